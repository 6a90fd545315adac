import numpy as np
import pytest

from tasks.validate.related import close_hashes
from tasks.validate.related.close_hashes import Groups, Index, pairs_across, pairs_within


def with_neighbours(count: int) -> np.ndarray:
    """Random hashes, and some that differ from five of them in 1 to 9 bits."""
    rng = np.random.default_rng(count)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    flips = [
        np.uint64(sum(1 << int(bit) for bit in rng.choice(64, bits, replace=False)))
        for bits in range(1, 10)
    ]
    return np.concatenate([hashes, *(hashes[:5] ^ flip for flip in flips)])


def listed(parts: object) -> list[tuple[int, int]]:
    pairs = close_hashes.join([close_hashes.no_pairs(), *parts])  # type: ignore[misc]
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


@pytest.mark.parametrize("most_candidates", [5_000_000, 10])
@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_every_pair_within_seven_bits_is_proposed(
    count: int, most_candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(close_hashes, "MOST_CANDIDATES", most_candidates)
    hashes = with_neighbours(count)
    close = np.bitwise_count(hashes[:, None] ^ hashes[None, :]) <= close_hashes.MOST_BITS
    brightness = np.random.default_rng(0).random(len(hashes))
    groups = Groups(hashes, brightness)
    index = Index(groups.unique)
    within = {tuple(sorted(pair)) for pair in listed(pairs_within(groups, index, brightness))}
    assert within == set(zip(*np.nonzero(np.triu(close, 1)), strict=True))
    others = Groups(hashes[::-1].copy(), brightness)
    across = set(listed(pairs_across(others, groups, index, brightness)))
    wanted = close[::-1] & ~np.eye(len(hashes), dtype=bool)
    assert across == set(zip(*np.nonzero(wanted), strict=True))


def test_of_many_that_share_a_hash_each_is_paired_with_the_nearest_in_brightness() -> None:
    brightness = np.arange(1000.0)
    groups = Groups(np.full(1000, 7, np.uint64), brightness)
    found = listed(pairs_across(groups, groups, Index(groups.unique), brightness))
    assert len(found) <= 1000 * close_hashes.MOST_NEIGHBOURS
    assert {(a, a + 1) for a in range(999)} <= set(found)
    assert max(abs(a - b) for a, b in found) <= close_hashes.MOST_NEIGHBOURS


def test_an_image_is_paired_with_all_of_a_group_that_is_close() -> None:
    """The last has a hash of its own, one bit from that of the three others."""
    hashes = np.array([12, 12, 12, 13], np.uint64)
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        brightness = np.array([0.3, 0.1, 0.4, 0.2])[order]
        groups = Groups(hashes[order], brightness)
        found = listed(pairs_within(groups, Index(groups.unique), brightness))
        assert {tuple(sorted(pair)) for pair in found} == {
            (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)
        }  # fmt: skip
    assert groups.first_of(np.array([0])).tolist() == [2]  # the darkest
    assert groups.members_of(0).tolist() == [2, 3, 1] and groups.members_of(1).tolist() == [0]
