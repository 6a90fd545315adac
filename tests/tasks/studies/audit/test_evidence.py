"""Evidence: distances, intervals and tests that were computed by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.studies.audit import evidence
from tasks.studies.audit.evidence import HALVINGS, Images, Reference, share_of


def on_a_line(*classes: list[float]) -> Images:
    """Originals of one dimension: a class is a list of positions."""
    labels = np.repeat(np.arange(len(classes)), [len(positions) for positions in classes])
    features = np.concatenate([np.array(positions, np.float32) for positions in classes])[:, None]
    return Images(features, labels, np.arange(len(labels)))


def variants_of(sources: list[int], positions: list[float], labels: list[int]) -> Images:
    features = np.array(positions, np.float32)[:, None]
    return Images(features, np.array(labels), np.array(sources))


# --- shares ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "of", "low", "high"),
    [
        # 1.959964 squared is 3.841459. With 0 of 10 the upper end is 3.841459 / 13.841459.
        (0, 10, 0, 0.277533),
        (10, 10, 0.722467, 1),
        # Middle: 0.5. Half: 1.959964 / 1.3841459 * sqrt(0.025 + 0.0096036) = 0.263406.
        (5, 10, 0.236593, 0.763407),
        (50, 100, 0.403830, 0.596170),
        (1, 1, 0.206543, 1),
    ],
)
def test_intervals_of_wilson(found: int, of: int, low: float, high: float) -> None:
    share = share_of(np.arange(of) < found)
    assert (share.found, share.of, share.value) == (found, of, found / of)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-5)


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_contains_its_share_and_mirrors(counts: tuple[int, int]) -> None:
    found, of = counts
    share, rest = share_of(np.arange(of) < found), share_of(np.arange(of) >= found)
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert (share.low, share.high) == pytest.approx((1 - rest.high, 1 - rest.low))


# --- distances ------------------------------------------------------------------------------------


def test_the_third_nearest_original_says_how_far_a_class_is() -> None:
    reference = Reference(on_a_line([0, 1, 3, 7], [10, 11, 14]))
    # Of the original at 0: 1, 3 and 7 are its class; 10, 11 and 14 the other, of 3 images, whose
    # own have but two others.
    assert reference.distances[0].tolist() == [7, 14]
    assert reference.distances[2].tolist() == [4, 11]
    assert reference.distances[4].tolist() == [9, np.inf]


def test_the_source_of_a_variant_is_left_out() -> None:
    reference = Reference(on_a_line([0, 1, 3, 7], [10, 11, 14, 20]))
    variants = variants_of([0, 1], [0, 0], [0, 0])
    # The variant of 0 has 1, 3, 7; that of 1 has 0, 3, 7; in the same place.
    assert reference.distances_of(variants).tolist() == [[7, 14], [7, 14]]
    variants = variants_of([0, 3], [1, 1], [0, 0])
    # 1, 3 and 7 are 0, 2 and 6 away; 0, 1 and 3 are 1, 0 and 2.
    assert reference.distances_of(variants)[:, 0].tolist() == [6, 2]


def test_limits_are_quantiles_of_a_class_own_distances() -> None:
    reference = Reference(on_a_line([0, 1, 3, 7], [10, 11, 14]))
    # 7, 6, 4, 7 sorted is 4, 6, 7, 7; 95% of the way lies between the last two.
    assert reference.limits.tolist() == [7, 0]  # the other has too few to have any


def test_inside_is_nearer_than_the_own_class_and_within_the_limit() -> None:
    reference = Reference(on_a_line([0, 1, 2, 3, 4], [10, 11, 12, 13, 14]))
    assert reference.limits == pytest.approx([3, 3])
    variants = variants_of([0, 1, 2, 3], [11, 9.5, 7, 16], [0, 0, 0, 0])
    found = reference.inside(reference.distances_of(variants), variants.labels)
    # At 9.5 the third-nearest is 2.5 away; at 7 both classes are 5 away; at 16 it is 4.
    assert found.tolist() == [[False, True], [False, True], [False, False], [False, False]]
    assert reference.outside(reference.distances_of(variants)).tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_what_a_variant_ought_to_be_is_its_own_class() -> None:
    reference = Reference(on_a_line([0, 1, 2, 3, 4], [10, 11, 12, 13, 14]))
    variants = variants_of([0, 1], [12, 2], [1, 1])
    found = reference.inside(reference.distances_of(variants), variants.labels)
    assert found.tolist() == [[False, False], [True, False]]


def test_untouched_images_are_judged_as_variants_are() -> None:
    # One of the first class lies within the second, and one of the second far from all.
    reference = Reference(on_a_line([0, 1, 2, 3, 12], [10, 11, 12, 13, 30]))
    assert reference.known.tolist() == [0.8, 1.0]
    assert reference.inside_untouched.tolist() == [[0, 0.2], [0, 0]]
    assert reference.outside_untouched.tolist() == [0, 0.2]


def test_a_class_without_originals_changes_nothing() -> None:
    images = on_a_line([0, 1, 2, 3], [], [10, 11, 12, 13])
    reference = Reference(images)
    assert (reference.known.tolist(), reference.limits[1]) == ([1, 0, 1], 0)
    assert not reference.inside_untouched.any()


def test_a_source_that_is_no_original_is_an_error() -> None:
    reference = Reference(on_a_line([0, 1, 2, 3]))
    with pytest.raises(ValueError, match="not among the originals"):
        reference.distances_of(variants_of([9], [0], [0]))


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    images = gaussian_classes(20, [0, 3])
    whole = Reference(images).distances
    monkeypatch.setattr(evidence, "ROWS_AT_ONCE", 7)
    assert Reference(images).distances == pytest.approx(whole, abs=1e-4)


def gaussian_classes(images: int, centres: list[float], seed: int = 0) -> Images:
    """Classes of five dimensions, with deviations of 1 about their centres."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(centres)), images)
    features = rng.normal(size=(len(labels), 5)).astype(np.float32)
    features[:, 0] += np.array(centres, np.float32)[labels]
    return Images(features, labels, np.arange(len(labels)))


# --- confusion ------------------------------------------------------------------------------------


def test_the_exact_test_of_mcnemar_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten images that only the second classifier gets wrong: chance 1 in 1,024."""
    own, other = [float(n % 5) for n in range(10)], [100.0 + n % 5 for n in range(10)]
    reference = Reference(on_a_line(own, other))
    monkeypatch.setattr(reference, "_folds", np.arange(20)[None] % 2)
    untouched = variants_of(list(range(10)), own, [0] * 10)
    assert reference.chance_of_confusion(untouched, 1) == 1
    # A variant at 200 is nearer to the originals about 100 than to the variants left about 0, while
    # the originals of the other class stay right.
    halves = [position + 300 * (number % 2 == 0) for number, position in enumerate(own)]
    moved = variants_of(list(range(10)), halves, [0] * 10)
    # Each half learns from the other: those at 0 take 300 as theirs, farther than 100, and are
    # taken for the other class; those at 300 know 0 alone, and 100 is nearer to them.
    assert reference.chance_of_confusion(moved, 1) == pytest.approx(0.5**10)


def test_variants_upon_another_class_are_confused_with_it() -> None:
    images = gaussian_classes(60, [0, 8])
    reference = Reference(images)
    rows = np.flatnonzero(images.labels == 0)
    moved = images.take(rows)
    moved.features[:, 0] += 8
    assert reference.chance_of_confusion(moved, 1) < 1e-6
    gone = images.take(rows)
    gone.features[:, 0] -= 8
    assert reference.chance_of_confusion(gone, 1) == 1


def test_too_few_images_are_never_confused() -> None:
    reference = Reference(on_a_line([0, 1], [10]))
    assert reference.chance_of_confusion(variants_of([0, 1], [10, 10], [0, 0]), 1) == 1


def test_an_original_of_the_new_class_stands_in_where_a_variant_changed_class() -> None:
    images = gaussian_classes(60, [0, 8])
    reference = Reference(images)
    rows = np.flatnonzero(images.labels == 0)
    relabelled = images.take(rows)._replace(labels=np.ones(60, np.int64))
    # They ought to be of class 1, and lie among originals of class 0.
    assert reference.chance_of_confusion(relabelled, 0) < 1e-6
    relabelled.features[:, 0] += 8
    assert reference.chance_of_confusion(relabelled, 0) > 0.05


# --- order ----------------------------------------------------------------------------------------


def test_the_order_of_originals_makes_no_difference() -> None:
    images = gaussian_classes(30, [0, 2, 4])
    order = np.random.default_rng(1).permutation(90)
    one, other = Reference(images), Reference(images.take(order))
    for name in ("distances", "limits", "known", "inside_untouched", "outside_untouched"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    rows = np.arange(30)
    moved = images.take(rows)
    moved.features[:, 0] += 2
    chances = [reference.chance_of_confusion(moved, 1) for reference in (one, other)]
    assert chances[0] == chances[1] < 1


def test_folds_halve_each_class_in_several_ways() -> None:
    reference = Reference(gaussian_classes(7, [0, 2, 4]))
    for start, end in pairwise([0, 7, 14, 21]):
        folds = reference._folds[:, start:end]
        assert folds.sum(axis=1).tolist() == [3] * HALVINGS
        assert len({tuple(halving) for halving in folds.tolist()}) > 1


def test_most_halvings_decide_whether_an_image_is_told_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, other = [float(n % 5) for n in range(10)], [100.0 + n % 5 for n in range(10)]
    reference = Reference(on_a_line(own, other))
    halves = [position + 300 * (number % 2 == 0) for number, position in enumerate(own)]
    moved = variants_of(list(range(10)), halves, [0] * 10)
    by_turns, by_pairs = np.arange(20) % 2, np.arange(20) // 2 % 2
    monkeypatch.setattr(evidence, "VOTE", 1)
    # Where both halves have variants of both kinds, each finds its like: nothing is confused.
    monkeypatch.setattr(reference, "_folds", np.stack([by_turns, by_pairs, by_pairs]))
    assert reference.chance_of_confusion(moved, 1) == 1
    monkeypatch.setattr(reference, "_folds", np.stack([by_turns, by_pairs, by_turns]))
    assert reference.chance_of_confusion(moved, 1) == pytest.approx(0.5**10)
