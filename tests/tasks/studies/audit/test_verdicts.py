"""Verdicts: on classes of which the truth is known."""

import numpy as np
import pytest

from tasks.studies.audit.evidence import Images, Reference
from tasks.studies.audit.verdicts import Judged, judge

DIMENSIONS = 8
IMAGES = 80  # of a class
CENTRES = np.eye(4, DIMENSIONS) * 8  # of four classes; deviations are 1


def originals(images: int = IMAGES, seed: int = 0) -> Images:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(CENTRES)), images)
    features = CENTRES[labels] + rng.normal(size=(len(labels), DIMENSIONS))
    return Images(features.astype(np.float32), labels, np.arange(len(labels)) * 10)


def moved(images: Images, label: int, by: np.ndarray, share: float = 1) -> Images:
    """Images with those of one class, or the first of them, elsewhere."""
    features = images.features.copy()
    own = np.flatnonzero(images.labels == label)
    features[own[: round(share * len(own))]] += by.astype(np.float32)
    return images._replace(features=features)


def verdicts(judged: list[Judged]) -> list[str]:
    return [each.verdict if each.to is None else f"{each.verdict} {each.to}" for each in judged]


def test_untouched_images_keep_their_class() -> None:
    images = originals()
    judged = judge(Reference(images), images)
    assert verdicts(judged) == ["keeps"] * 4
    assert [each.label for each in judged] == [0, 1, 2, 3]
    for each in judged:
        assert (each.share.of, each.share.found, each.worst) == (IMAGES, 0, ())


@pytest.mark.parametrize("share", [1, 0.6, 0.3])
def test_a_class_that_moves_onto_another_is_said_to(share: float) -> None:
    images = originals()
    variants = moved(images, 1, CENTRES[3] - CENTRES[1], share)
    judged = judge(Reference(images), variants)
    assert verdicts(judged) == ["keeps", "moves 3", "keeps", "keeps"]
    found = judged[1]
    assert found.share.value == pytest.approx(share * 0.95, abs=0.06)
    assert found.share.low < found.share.value < found.share.high
    assert found.untouched == 0
    # The worst are those that moved, the first that are farthest from their class.
    assert len(set(found.worst)) == 8
    last = IMAGES + round(share * IMAGES)
    assert all(IMAGES <= position < last for position in found.worst)


def test_an_involution_is_found_in_both_directions() -> None:
    images = originals()
    step = CENTRES[3] - CENTRES[1]
    variants = moved(moved(images, 1, step), 3, -step)
    assert verdicts(judge(Reference(images), variants)) == ["keeps", "moves 3", "keeps", "moves 1"]


def test_a_few_that_move_are_no_finding() -> None:
    images = originals()
    variants = moved(images, 1, CENTRES[3] - CENTRES[1], 0.05)
    assert verdicts(judge(Reference(images), variants)) == ["keeps"] * 4


def test_variants_told_from_each_other_elsewhere_keep_their_class() -> None:
    images = originals()
    away = images._replace(features=images.features + np.float32(30))
    assert verdicts(judge(Reference(images), away)) == ["keeps"] * 4


def test_variants_that_are_all_one_are_unlike_anything() -> None:
    images = originals()
    rng = np.random.default_rng(1)
    noise = (30 + rng.normal(size=images.features.shape)).astype(np.float32)
    judged = judge(Reference(images), images._replace(features=noise))
    assert verdicts(judged) == ["unlike anything"] * 4
    assert [each.share.value for each in judged] == [1] * 4
    assert [each.untouched for each in judged] == pytest.approx([0.05] * 4, abs=0.02)
    assert all(len(each.worst) == 8 for each in judged)


def test_two_classes_that_are_guessed_are_lost() -> None:
    images = originals()
    images = images.take(np.flatnonzero(images.labels < 2))
    noise = 30 + np.random.default_rng(1).normal(size=images.features.shape)
    variants = images._replace(features=noise.astype(np.float32))
    assert verdicts(judge(Reference(images), variants)) == ["unlike anything"] * 2


def test_variants_that_are_equal_are_unlike_anything() -> None:
    images = originals()
    blank = images._replace(features=np.full_like(images.features, 30))
    assert verdicts(judge(Reference(images), blank)) == ["unlike anything"] * 4


def test_of_a_class_that_originals_do_not_tell_nothing_is_said() -> None:
    images = originals()
    # Class 1 lies within class 0, which has four times as many.
    dense = images.features.copy()
    dense[images.labels == 1] += (CENTRES[0] - CENTRES[1]).astype(np.float32)
    rows = np.flatnonzero((images.labels != 1) | (np.arange(len(dense)) % 4 == 0))
    images = Images(dense, images.labels, images.sources).take(rows)
    variants = moved(images, 1, CENTRES[3] - CENTRES[0])
    judged = judge(Reference(images), variants)
    assert verdicts(judged) == ["keeps", "cannot tell", "keeps", "keeps"]
    assert judged[1].worst == ()


def test_of_what_moves_to_a_class_that_originals_do_not_tell_nothing_is_said() -> None:
    images = originals()
    # Class 1 lies within class 0, of which but a quarter is left; class 2 moves there.
    features = images.features.copy()
    features[images.labels == 1] += (CENTRES[0] - CENTRES[1]).astype(np.float32)
    rows = np.flatnonzero((images.labels != 0) | (np.arange(len(features)) % 4 == 0))
    images = images._replace(features=features).take(rows)
    reference = Reference(images)
    assert (reference.known >= 0.6).tolist() == [False, True, True, True]
    judged = judge(reference, moved(images, 2, CENTRES[0] - CENTRES[2]))
    assert verdicts(judged) == ["cannot tell", "keeps", "moves 1", "keeps"]
    # Half of class 1 away: neither of the two is told any more.
    rows = np.flatnonzero((images.labels != 1) | (np.arange(len(images.labels)) % 4 == 0))
    images = images.take(rows)
    reference = Reference(images)
    assert (reference.known >= 0.6).tolist() == [False, False, True, True]
    judged = judge(reference, moved(images, 2, CENTRES[0] - CENTRES[2]))
    assert verdicts(judged) == ["cannot tell", "cannot tell", "cannot tell", "keeps"]
    assert judged[2].share.value > 0.8 and judged[2].worst == ()


def test_of_a_class_with_three_images_nothing_is_said() -> None:
    images = originals()
    rows = np.flatnonzero((images.labels != 2) | (np.arange(len(images.labels)) % 27 == 0))
    images = images.take(rows)
    assert verdicts(judge(Reference(images), images)) == ["keeps", "keeps", "cannot tell", "keeps"]


def test_what_relabel_makes_of_a_variant_is_its_class() -> None:
    images = originals()
    step = CENTRES[3] - CENTRES[1]
    variants = moved(moved(images, 1, step), 3, -step)
    swapped = np.array([0, 3, 2, 1])[images.labels]
    assert verdicts(judge(Reference(images), variants._replace(labels=swapped))) == ["keeps"] * 4
    # A map without the step that it is for
    judged = judge(Reference(images), images._replace(labels=swapped))
    assert verdicts(judged) == ["keeps", "moves 1", "keeps", "moves 3"]


def test_only_classes_with_variants_are_judged() -> None:
    images = originals()
    some = np.flatnonzero(images.labels % 2 == 1)
    assert [each.label for each in judge(Reference(images), images.take(some))] == [1, 3]


def test_orders_make_no_difference_but_to_positions() -> None:
    images = originals()
    variants = moved(images, 1, CENTRES[3] - CENTRES[1], 0.5)
    order = np.random.default_rng(5).permutation(len(images.labels))
    one = judge(Reference(images), variants)
    other = judge(Reference(images.take(order[::-1])), variants.take(order))
    for first, second in zip(one, other, strict=True):
        assert first._replace(worst=()) == second._replace(worst=())
        assert list(first.worst) == order[list(second.worst)].tolist()


def test_a_change_that_means_nothing_is_never_a_finding() -> None:
    """Four classes that overlap, of 40 images, in 100 tries."""
    flagged = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(4), 40)
        features = CENTRES[labels] * 0.35 + rng.normal(size=(160, DIMENSIONS))
        images = Images(features.astype(np.float32), labels, np.arange(160))
        noise = rng.normal(0, 0.3, features.shape).astype(np.float32)
        judged = judge(Reference(images), images._replace(features=images.features + noise))
        flagged += sum(each.verdict in ("moves", "unlike anything") for each in judged)
    assert flagged == 0
