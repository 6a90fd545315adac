import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tasks.studies.statistics import compare, holm, over_seeds, seeds_needed


def trained(
    seed: int, seeds: int, images: int, accuracy: float, deviation: float, alike: float = 0.7
) -> np.ndarray:
    """Which images so many models get right: bool (seeds, images).

    A model gets an image right by its difficulty, which all models share, by the seed's luck and by
    chance. `deviation`: of the seeds' accuracies. `alike`: the share of variance that is the
    difficulty's.
    """
    rng = np.random.default_rng((seed, 1))
    middle = stats.norm.ppf(accuracy)
    difficulty = np.sqrt(alike) * np.random.default_rng((seed, 0)).normal(size=images)
    luck = deviation / stats.norm.pdf(middle) * rng.normal(size=(seeds, 1))
    chance = np.sqrt(1 - alike) * rng.normal(size=(seeds, images))
    return np.asarray(middle + difficulty + luck + chance > 0)


def decided(pool: np.ndarray, seeds: int, resamplings: int) -> int:
    """Of so many pairs of sets of a pool's models, how many are told apart."""
    units = np.arange(pool.shape[1])
    found = 0
    for number in range(resamplings):
        drawn = np.random.default_rng(number).permutation(len(pool))[: 2 * seeds]
        found += compare(pool[drawn[:seeds]], pool[drawn[seeds:]], units).p < 0.05
    return found


@pytest.mark.parametrize("seeds, images, deviation", [(2, 30, 0.02), (5, 1000, 0.01)])
def test_an_arm_is_not_told_from_itself(seeds: int, images: int, deviation: float) -> None:
    assert decided(trained(3, 20, images, 0.85, deviation), seeds, 100) <= 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds, images, accuracy, deviation",
    [
        (2, 30, 0.9, 0.02),
        (2, 1000, 0.85, 0.003),
        (3, 277, 0.975, 0.01),
        (5, 277, 0.975, 0.003),
        (5, 1000, 0.85, 0.003),
        (5, 1000, 0.85, 0.01),
        (5, 1000, 0.85, 0.02),
        (10, 1000, 0.85, 0.01),
    ],
)
def test_of_many_arms_at_most_1_in_20_is_told_from_itself(
    seeds: int, images: int, accuracy: float, deviation: float
) -> None:
    told, trials = 0, 400
    for number in range(trials):
        both = trained(number, 2 * seeds, images, accuracy, deviation)
        told += compare(both[:seeds], both[seeds:], np.arange(images)).p < 0.05
    print(f"{seeds} seeds, {images} images, deviation {deviation}: {told / trials:.1%} are told")
    assert told <= 0.05 * trials


@pytest.mark.parametrize("images", [1, 30, 1000])
@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_models_that_say_the_same_are_no_evidence(images: int, accuracy: float) -> None:
    correct = np.tile(np.arange(images) < accuracy * images, (5, 1))
    found = compare(correct, correct, np.arange(images))
    assert (found.mean, found.p) == (0, 1)
    assert found.low < 0 < found.high  # of few images no difference is no proof that there is none


def test_the_same_few_images_in_all_seeds_decide_nothing_though_seeds_do_not_vary() -> None:
    reference = np.zeros((5, 100), bool)
    for right in (1, 3):
        correct = np.tile(np.arange(100) < right, (5, 1))
        assert over_seeds(np.full(5, right / 100)).p == 0
        assert compare(correct, reference, np.arange(100)).p > 0.05
    correct = np.tile(np.arange(100) < 12, (5, 1))
    assert compare(correct, reference, np.arange(100)).p < 0.01


def test_seeds_that_vary_widen_the_interval_as_a_paired_t_test_does() -> None:
    many = 20_000  # images: their part is small
    differences = np.array([0.01, 0.03, 0.02, 0.05, 0.0])
    reference = np.tile(np.arange(many) < many // 2, (5, 1))
    correct = np.stack([np.arange(many) < round(many * (0.5 + one)) for one in differences])
    by_scipy = stats.ttest_1samp(differences, 0)
    ends = tuple(by_scipy.confidence_interval())
    assert over_seeds(differences) == pytest.approx((0.022, *ends, by_scipy.pvalue))
    found = compare(correct, reference, np.arange(many))
    assert found.p >= by_scipy.pvalue and found.low <= ends[0] and found.high >= ends[1]
    assert found == pytest.approx((0.022, *ends, by_scipy.pvalue), abs=0.005)


def test_images_of_one_unit_count_as_one() -> None:
    rng = np.random.default_rng(0)
    few = rng.random((5, 40)) < 0.8
    more = few | (np.arange(40) < 12)
    alone = compare(more, few, np.arange(40))
    copied = compare(np.repeat(more, 9, 1), np.repeat(few, 9, 1), np.repeat(np.arange(40), 9))
    assert copied == pytest.approx(alone, abs=1e-12)
    pretended = compare(np.repeat(more, 9, 1), np.repeat(few, 9, 1), np.arange(360))
    assert pretended.high - pretended.low < 0.8 * (alone.high - alone.low)


@settings(max_examples=10)
@given(st.permutations(range(30)))
def test_the_order_of_images_and_the_names_of_units_change_nothing(order: list[int]) -> None:
    correct, reference = (trained(seed, 3, 30, 0.8, 0.01) for seed in (1, 2))
    units = np.arange(30) // 2
    expected = compare(correct, reference, units)
    assert compare(correct[:, order], reference[:, order], 7 + units[order] * 3) == expected


def test_arms_that_change_places_change_the_sign() -> None:
    better, worse = trained(1, 5, 500, 0.9, 0.01), trained(1, 5, 500, 0.8, 0.01)
    one, other = compare(better, worse, np.arange(500)), compare(worse, better, np.arange(500))
    assert one.mean == -other.mean > 0
    assert one.p < 0.001 and other.p < 0.001
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.003)


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [0.003, 0.01, 0.02])
@pytest.mark.parametrize("seeds, images", [(2, 300), (3, 300), (5, 100), (5, 1000), (10, 1000)])
def test_95_in_100_intervals_hold_the_true_difference(
    seeds: int, images: int, deviation: float
) -> None:
    holds, trials = 0, 400
    for number in range(trials):
        # the arms share the images, with difficulties that agree in part
        rng = np.random.default_rng((number, seeds, images))
        shared = np.sqrt(0.6) * rng.normal(size=images)
        own = np.sqrt(0.1) * rng.normal(size=(2, 1, images))
        luck = deviation / stats.norm.pdf(1) * rng.normal(size=(2, seeds, 1))
        chance = np.sqrt(0.3) * rng.normal(size=(2, seeds, images))
        latent = np.array([1.08, 1.0])[:, None, None] + shared + own + luck + chance > 0
        spread = np.sqrt(1 + (deviation / stats.norm.pdf(1)) ** 2)
        truth = np.diff(stats.norm.cdf(np.array([1.0, 1.08]) / spread))[0]
        found = compare(*latent, np.arange(images))
        holds += found.low <= truth <= found.high
    print(f"{seeds} seeds, {images} images, deviation {deviation}: {holds / trials:.1%} hold")
    assert holds >= 0.95 * trials


def test_no_interval_is_wider_than_accuracies_can_differ() -> None:
    correct, reference = np.array([[True] * 6, [False] * 6]), np.ones((2, 6), bool)
    assert over_seeds(np.array([0.0, -1.0])).low < -6
    found = compare(correct, reference, np.arange(6))
    assert (found.mean, found.low, found.high) == (-0.5, -1, 1)


# --- many arms --------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_no_correction_and_bonferronis(p_values: list[float]) -> None:
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1, p * len(p_values))


# --- more seeds -------------------------------------------------------------------------------


def alternating(seeds: int, images: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """An arm that is 4 points better with every other seed, and the arm that it is held against."""
    right = images // 2 + np.arange(seeds) % 2 * images // 25
    numbers = np.arange(images)
    return numbers < right[:, None], np.tile(numbers < images // 2, (seeds, 1))


def test_so_many_more_seeds_of_that_spread_tell() -> None:
    units = np.arange(5000)
    assert compare(*alternating(4), units).p > 0.05
    more = seeds_needed(*alternating(4), units)
    # 2 points against a deviation of 2.3: by tables of power a paired t-test needs 13 seeds
    assert more in (9, 10, 11)
    assert compare(*alternating(4 + more), units).p < 0.05
    assert compare(*alternating(4 + more // 3), units).p > 0.05


def test_a_stricter_level_needs_more_seeds() -> None:
    reference, correct = trained(5, 4, 3000, 0.80, 0.02), trained(5, 8, 3000, 0.83, 0.02)[4:]
    needed = [seeds_needed(correct, reference, np.arange(3000), level) for level in (0.05, 0.005)]
    assert None not in needed
    assert needed == sorted(needed) and needed[0] != needed[1]


def test_where_images_are_the_limit_no_number_of_seeds_tells() -> None:
    correct = np.tile(np.arange(30) < 25, (5, 1))
    reference = np.tile(np.arange(30) < 24, (5, 1))
    assert seeds_needed(correct, reference, np.arange(30)) is None


def by_chance(seeds: int, right: int, seed: int) -> np.ndarray:
    """So many of 300 images are right for each seed, but other ones each time."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(300) < right for _ in range(seeds)])


def test_so_many_more_seeds_tell_where_models_differ_in_single_images_alone() -> None:
    correct, reference, units = by_chance(20, 231, 1), by_chance(20, 225, 2), np.arange(300)
    more = seeds_needed(correct[:5], reference[:5], units)
    assert more == 11
    assert compare(correct[: 5 + more // 3], reference[: 5 + more // 3], units).p > 0.05
    assert compare(correct[: 5 + more], reference[: 5 + more], units).p < 0.05


def test_no_difference_of_many_images_can_be_told_from_a_gain_that_matters() -> None:
    reference, correct = (trained(5, 10, 20_000, 0.8, 0.005, 0.9)[at : at + 3] for at in (0, 3))
    units = np.arange(20_000)
    assert seeds_needed(correct, reference, units, worthwhile=0.01) is not None
