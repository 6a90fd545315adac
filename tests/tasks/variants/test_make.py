import hashlib

import numpy as np
import pytest

from tasks.pixels.decode import decode
from tasks.pixels.hashing import sha256
from tasks.variants.make import (
    Variant,
    draw_variant,
    encode_variant,
    variant_id,
    variant_seed,
)
from tasks.variants.params import Encoding
from tasks.variants.policy import canonical_json
from tasks.variants.quality.measures import Baseline
from tasks.variants.recipe import Recipe
from tasks.variants.sources import Source

SOURCE = Source("a.png", None, 1, "0123456789abcdef", "0" * 64, "cat", "PNG", 3, 2, 3, 8, 1)
FLIP = [{"name": "HorizontalFlip"}]
COLOURS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def recipe(policy: list | None = None, **changes: object) -> Recipe:
    settings = {"seed": 42, "encoding": Encoding(), "distinct": True, "max_attempts": 5, **changes}
    return Recipe(policy=canonical_json(policy or []), **settings)


def test_the_seed_is_a_hash_of_recipe_content_index_and_attempt() -> None:
    expected = hashlib.sha256(b"variant 42 abc 3 0").digest()[:8]
    assert variant_seed(42, "abc", 3, 0) == int.from_bytes(expected, "big")
    others = [(43, "abc", 3, 0), (42, "abd", 3, 0), (42, "abc", 4, 0), (42, "abc", 3, 1)]
    assert len({variant_seed(*key) for key in [(42, "abc", 3, 0), *others]}) == 5


def test_ids_have_three_digits_or_more() -> None:
    assert [variant_id("s", n) for n in (0, 7, 1234)] == ["s-v000", "s-v007", "s-v1234"]


@pytest.mark.parametrize(
    ("pixels", "channels", "bits"),
    [(COLOURS, 3, 8), (COLOURS[..., 0], 1, 8), (COLOURS[..., 0].astype(np.uint16), 1, 16)],
)
def test_the_row_of_a_written_variant(pixels: np.ndarray, channels: int, bits: int) -> None:
    row, data = encode_variant(SOURCE, recipe(), 7, Variant(99, 2, pixels, FLIP, 123, None))
    assert row == {
        "variant_id": "0123456789abcdef-v007",
        "source_id": "0123456789abcdef",
        "variant_index": 7,
        "seed": 99,
        "attempt": 2,
        "operations": '[{"name":"HorizontalFlip"}]',
        "pixel_hash": 123,
        "status": "written",
        "reason": None,
        "sha256": sha256(data),
        "width": 3,
        "height": 2,
        "channels": channels,
        "bits": bits,
        "length": len(data),
    }
    assert np.array_equal(decode(data, keep_depth=True).pixels, pixels)


def test_the_row_of_a_rejected_variant() -> None:
    rejected = Variant(99, 4, None, [], 0, "one_colour")
    row, data = encode_variant(SOURCE, recipe(), 7, rejected)
    assert data is None and row == {
        "variant_id": "0123456789abcdef-v007",
        "source_id": "0123456789abcdef",
        "variant_index": 7,
        "seed": 99,
        "attempt": 4,
        "operations": "[]",
        "pixel_hash": 0,
        "status": "rejected",
        "reason": "one_colour",
    }


def test_variants_are_encoded_as_the_recipe_says() -> None:
    def size(**encoding: object) -> int:
        one = Variant(0, 0, noise, [], 1, None)
        return len(encode_variant(SOURCE, recipe(encoding=Encoding(**encoding)), 1, one)[1])

    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    assert size(format="jpeg", quality=20) < size(format="jpeg", quality=90)
    assert size(format="webp", quality=20) < size(format="webp", quality=90)
    without_loss = Variant(0, 0, noise, [], 1, None)
    webp = recipe(encoding=Encoding(format="webp", lossless=True))
    assert np.array_equal(decode(encode_variant(SOURCE, webp, 1, without_loss)[1]).pixels, noise)


def test_the_last_attempt_says_why_there_is_no_variant() -> None:
    same = recipe([{"NoOp": {"p": 1.0}}], max_attempts=3)
    flat = np.zeros((2, 3, 3), np.uint8)
    first = draw_variant(SOURCE, Baseline(COLOURS), same, 1, set())
    assert first.pixel_hash != 0 and first.reason is None and first.attempt == 0
    again = draw_variant(SOURCE, Baseline(COLOURS), same, 2, {first.pixel_hash})
    seed = variant_seed(42, SOURCE.sha256, 2, 2)
    assert again == Variant(seed, 2, None, [], 0, "not_distinct")
    # a source of one colour may have variants of one colour
    assert draw_variant(SOURCE, Baseline(flat), same, 1, set()).reason is None
    fails = recipe([{"RandomCrop": {"height": 9, "width": 9, "p": 1.0}}], max_attempts=1)
    assert draw_variant(SOURCE, Baseline(COLOURS), fails, 1, set()).reason.startswith(
        "failed: CropSizeError: "
    )
