import hashlib

from tasks.variants.make import variant_id, variant_seed


def test_the_seed_is_a_hash_of_recipe_content_index_and_attempt() -> None:
    expected = hashlib.sha256(b"variant 42 abc 3 0").digest()[:8]
    assert variant_seed(42, "abc", 3, 0) == int.from_bytes(expected, "big")
    others = [(43, "abc", 3, 0), (42, "abd", 3, 0), (42, "abc", 4, 0), (42, "abc", 3, 1)]
    assert len({variant_seed(*key) for key in [(42, "abc", 3, 0), *others]}) == 5


def test_ids_have_three_digits_or_more() -> None:
    assert [variant_id("s", n) for n in (0, 7, 1234)] == ["s-v000", "s-v007", "s-v1234"]
