from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tasks.augment import segment_cache
from tasks.augment.assemble import assemble_segments
from tasks.augment.expand import (
    Batch,
    StoredRows,
    _read_variant,
    expand_batch,
    expand_source,
    read_reusable,
    source_row,
)
from tasks.augment.segments import Finished, is_sound
from tasks.augment.tar_format import END
from tasks.common.errors import UserError
from tasks.dataset.paths import SEGMENTS
from tasks.pixels import hashing
from tasks.pixels.decode import decode
from tasks.pixels.encode import encode
from tasks.pixels.hashing import fast_pixel_hash
from tasks.variants.make import (
    draw_variant,
    encode_variant,
    extension_of,
    has_one_colour,
    variant_seed,
)
from tasks.variants.originals import NO_ORIGINALS
from tasks.variants.params import Encoding
from tasks.variants.policy import canonical_json
from tasks.variants.quality.measures import Baseline
from tasks.variants.recipe import Recipe, Recipes
from tasks.variants.sources import Source

ROTATE = [{"Rotate": {"limit": 20, "p": 1.0}}]


def recipe(policy: list | None = None, **changes: object) -> Recipe:
    settings = {"seed": 42, "encoding": Encoding(), "distinct": True, "max_attempts": 5, **changes}
    return Recipe(policy=canonical_json(ROTATE if policy is None else policy), **settings)


def source(
    folder: Path, pixels: np.ndarray, planned: int = 3, name: str = "a.png", format: str = "PNG"
) -> Source:
    data = encode(pixels, "jpeg" if format == "JPEG" else "png")
    (folder / name).write_bytes(data)
    sha256 = hashing.sha256(data)
    decoded = decode(data).pixels
    height, width = decoded.shape[:2]
    place = str(folder / name), None, len(data)
    return Source(*place, sha256[:16], sha256, "a", format, width, height, decoded.ndim, 8, planned)


class Expanded(NamedTuple):
    """A variant as expand_source() gives it."""

    row: dict
    data: bytes | None


def expand(source: Source, recipe: Recipe) -> list[Expanded]:
    return [Expanded(*variant) for variant in expand_source(source, recipe)]


PHOTO = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_neither_name_nor_number_of_siblings_changes_a_variant(tmp_path: Path) -> None:
    few = expand(source(tmp_path, PHOTO, planned=2), recipe())
    many = expand(source(tmp_path, PHOTO, planned=5, name="other name.png"), recipe())
    assert [variant.data for variant in few] == [variant.data for variant in many[:2]]
    assert [variant.row for variant in few] == [variant.row for variant in many[:2]]
    assert len({variant.data for variant in many}) == 5


def test_a_row_says_what_was_made(tmp_path: Path) -> None:
    (first, *_) = expand(source(tmp_path, PHOTO), recipe())
    decoded = decode(first.data)
    assert first.row["sha256"] == hashing.sha256(first.data)
    assert first.row["pixel_hash"] == fast_pixel_hash(decoded.pixels)
    assert (first.row["height"], first.row["width"]) == (20, 30)
    assert first.row["seed"] == variant_seed(42, source(tmp_path, PHOTO).sha256, 1, 0)


@pytest.mark.parametrize(("kind", "expected"), [("JPEG", "JPEG"), ("PNG", "PNG")])
def test_encoding_follows_the_source(kind: str, expected: str, tmp_path: Path) -> None:
    photo = source(tmp_path, PHOTO, format=kind)
    (first, *_) = expand(photo, recipe())
    assert decode(first.data).format == expected
    assert extension_of(photo, recipe()) == ("jpg" if kind == "JPEG" else "png")


def test_distinct_draws_again_and_rejects_what_cannot_be_new(tmp_path: Path) -> None:
    flip = [{"HorizontalFlip": {"p": 0.5}}]
    variants = expand(source(tmp_path, PHOTO, planned=3), recipe(flip, max_attempts=20))
    assert [variant.row["status"] for variant in variants] == ["written", "rejected", "rejected"]
    assert np.array_equal(decode(variants[0].data).pixels, PHOTO[:, ::-1])
    assert variants[1].row["reason"] == "not_distinct"
    assert variants[1].row["attempt"] == 19 and variants[1].data is None


def test_without_distinct_the_first_draw_is_kept(tmp_path: Path) -> None:
    nothing = [{"HorizontalFlip": {"p": 0.0}}]
    variants = expand(source(tmp_path, PHOTO, planned=3), recipe(nothing, distinct=False))
    assert [variant.row["status"] for variant in variants] == ["written"] * 3
    assert {variant.row["attempt"] for variant in variants} == {0}


def test_a_branch_that_fails_on_an_image_is_drawn_again(tmp_path: Path) -> None:
    branches = [{"RandomCrop": {"height": 99, "width": 99}}, {"VerticalFlip": {"p": 1.0}}]
    policy = [{"OneOf": {"transforms": branches, "p": 1.0}}]
    seeds = [recipe(policy, max_attempts=20, seed=seed, distinct=False) for seed in range(20)]
    variants = [expand(source(tmp_path, PHOTO, planned=1), one)[0] for one in seeds]
    assert {variant.row["status"] for variant in variants} == {"written"}
    assert {variant.row["attempt"] for variant in variants} >= {0, 1}
    assert all(np.array_equal(decode(variant.data).pixels, PHOTO[::-1]) for variant in variants)


def test_a_variant_of_one_colour_is_drawn_again_and_then_rejected(tmp_path: Path) -> None:
    erase = {"hole_height_range": (20, 40), "hole_width_range": (30, 40)}
    blank = {"CoarseDropout": {"num_holes_range": (1, 1), **erase, "p": 0.5}}
    half = [blank, {"VerticalFlip": {"p": 1.0}}]
    variants = expand(source(tmp_path, PHOTO), recipe(half, distinct=False, max_attempts=30))
    for variant in variants:
        assert np.array_equal(decode(variant.data).pixels, PHOTO[::-1])
    blank["CoarseDropout"]["p"] = 1.0
    (variant,) = expand(source(tmp_path, PHOTO, planned=1), recipe([blank]))
    assert (variant.row["reason"], variant.row["attempt"], variant.data) == ("one_colour", 4, None)
    of_one_colour = source(tmp_path, np.full((20, 30), 200, np.uint8), planned=1)
    (variant,) = expand(of_one_colour, recipe([{"InvertImg": {"p": 1.0}}]))
    assert np.array_equal(decode(variant.data).pixels, np.full((20, 30), 55, np.uint8))


@pytest.mark.parametrize(
    ("place", "expected"), [(None, True), ((0, 1), False), ((19, 29), False), ((0, 0), False)]
)
def test_one_pixel_makes_another_colour(place: tuple[int, int] | None, expected: bool) -> None:
    for pixels in (np.full((20, 30), 9, np.uint8), np.full((20, 30, 3), (9, 8, 7), np.uint16)):
        if place:
            pixels[place] += 1
        assert has_one_colour(pixels) == expected


def test_a_policy_that_fails_on_an_image_rejects_with_the_reason(tmp_path: Path) -> None:
    dot = source(tmp_path, np.zeros((1, 1, 3), np.uint8), planned=1)
    (variant,) = expand(dot, recipe([{"GridDistortion": {"p": 1.0}}]))
    assert variant.row["status"] == "rejected"
    assert variant.row["reason"] == "failed: ZeroDivisionError: division by zero"
    assert variant.row["attempt"] == 4  # each attempt failed


def test_a_transform_that_writes_into_its_input_does_not_reach_its_siblings(tmp_path: Path) -> None:
    grey = np.linspace(60, 180, 600).astype(np.uint8).reshape(20, 30)
    policy = [{"AutoContrast": {"p": 1.0}}, *ROTATE]
    whole = expand(source(tmp_path, grey, planned=4), recipe(policy))
    assert {variant.row["status"] for variant in whole} == {"written"}
    one = source(tmp_path, grey)
    pixels = grey.copy()
    again = []
    for index in (4, 3, 2, 1):
        variant = draw_variant(one, Baseline(pixels), recipe(policy), index, set())
        again.append(encode_variant(one, recipe(policy), index, variant)[1])
    assert again[::-1] == [variant.data for variant in whole]
    assert np.array_equal(pixels, grey)


def test_an_image_that_cannot_be_encoded_is_a_rejected_variant(tmp_path: Path) -> None:
    wide = source(tmp_path, np.zeros((1, 17_000, 3), np.uint8), planned=1)
    (variant,) = expand(wide, recipe([], distinct=False, encoding=Encoding(format="webp")))
    assert variant.row["status"] == "rejected" and variant.row["reason"].startswith("failed: ")


def test_a_lack_of_memory_is_not_remembered_as_a_rejection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apply(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("tasks.variants.policy.Policy.apply", apply)
    with pytest.raises(MemoryError):
        expand(source(tmp_path, PHOTO), recipe())


def test_a_source_that_changed_or_went_is_one_line(tmp_path: Path) -> None:
    one = source(tmp_path, PHOTO)
    Path(one.path).write_bytes(b"other")
    with pytest.raises(
        UserError, match=r"a\.png: changed since it was validated; run from ingest again"
    ):
        expand(one, recipe())
    Path(one.path).unlink()
    with pytest.raises(
        UserError, match=r"a\.png: gone since it was validated; run from ingest again"
    ):
        expand(one, recipe())


@pytest.mark.parametrize(
    ("policy", "encoding", "expected"),
    [
        (["HorizontalFlip"], Encoding(), (1, 16)),
        (["HorizontalFlip"], Encoding(format="jpeg"), (1, 8)),
        (["Posterize"], Encoding(), (1, 8)),
        (["ISONoise"], Encoding(), (3, 8)),
    ],
    ids=["kept", "the format has 8 bits", "the policy takes 8 bits", "the policy takes RGB"],
)
def test_grey_and_16_bits_stay_where_policy_and_format_take_them(
    policy: list, encoding: Encoding, expected: tuple[int, int], tmp_path: Path
) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (12, 10), dtype=np.uint16)
    (variant, *_) = expand(
        source(tmp_path, deep), recipe(policy, encoding=encoding, max_attempts=50)
    )
    assert (variant.row["channels"], variant.row["bits"]) == expected
    made = decode(variant.data, keep_depth=True)
    assert (1 if made.pixels.ndim == 2 else 3, made.bits) == expected
    if expected == (1, 16):
        assert np.array_equal(made.pixels, deep[:, ::-1])


def test_the_row_of_a_source_is_its_own_with_index_0(tmp_path: Path) -> None:
    one = source(tmp_path, PHOTO)
    assert source_row(one) == {
        "variant_id": f"{one.source_id}-v000",
        "source_id": one.source_id,
        "variant_index": 0,
        "seed": 0,
        "attempt": 0,
        "operations": "[]",
        "pixel_hash": 0,
        "sha256": one.sha256,
        "width": 30,
        "height": 20,
        "channels": 3,
        "bits": 8,
        "status": "written",
    }


FLIP = [{"HorizontalFlip": {"p": 1.0}}]  # of three variants two are rejected: they are no others


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StoredRows]:
    """Makes the variants of sources, stores them, and gives the stored rows of the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    SEGMENTS.mkdir(parents=True)

    def store(recipe: Recipe, *sources: Source) -> StoredRows:
        recipes = Recipes(recipe)
        finished = expand_batch(Batch(recipes, [list(sources)]))
        list(assemble_segments(finished, recipes, NO_ORIGINALS))
        ((stored, index),) = segment_cache.read_cached()
        return stored, 0, int(index["rows"][0])

    return store


@pytest.mark.parametrize("policy", [ROTATE, FLIP], ids=["written", "rejected"])
def test_what_was_made_before_is_taken_by_its_index(
    policy: list, store: Callable[..., StoredRows], tmp_path: Path
) -> None:
    one, other = source(tmp_path, PHOTO), source(tmp_path, PHOTO[::-1], name="b.png")
    stored, *rows = store(recipe(policy), one, other)
    assert rows == [0, 4]
    expected = expand_source(one, recipe(policy))
    for planned, found in ((2, (1, 2)), (3, (1, 2, 3)), (5, (1, 2, 3))):
        reusable = read_reusable(one._replace(planned=planned), recipe(policy), (stored, 0, 4))
        assert tuple(reusable) == found
        for index, (row, data) in reusable.items():
            made_row, made_data = expected[index - 1]
            assert made_data == data and made_row.items() <= row.items()
    assert read_reusable(one, recipe(policy), None) == {}
    # the rows of another source, and of another recipe
    assert read_reusable(one, recipe(policy), (stored, 4, 8)) == {}
    assert read_reusable(one, recipe(policy, seed=43), (stored, 0, 4)) == {}


def test_more_variants_are_made_to_those_there_are(
    store: Callable[..., StoredRows], tmp_path: Path
) -> None:
    many = source(tmp_path, PHOTO, planned=5)
    stored = store(recipe(), many._replace(planned=3))
    (cold,) = expand_batch(Batch(Recipes(recipe()), [[many]]))
    (piece,) = expand_batch(Batch(Recipes(recipe()), [[many]], {many.source_id: stored}))
    assert (cold.reused, piece.reused) == (0, 3)
    assert piece.tar == cold.tar and (piece.start, piece.stop) == (0, 6)
    names = ["variant_id", "seed", "attempt", "operations", "pixel_hash", "sha256", "status"]
    assert piece.rows.select(names) == cold.rows.select(names)


def test_a_run_is_taken_whole_or_made_anew_where_its_segment_is_damaged(
    store: Callable[..., StoredRows], tmp_path: Path
) -> None:
    one, other = source(tmp_path, PHOTO), source(tmp_path, PHOTO[::-1], name="b.png")
    stored, _, _ = store(recipe(), one)
    run = Finished(0, 4, [one], reused=3, stored=stored)
    new, taken = expand_batch(Batch(Recipes(recipe()), [[other], run]))
    assert taken is run and new.sources == [other]
    data = stored.tar.read_bytes()
    stored.tar.unlink()  # not in place: it is linked
    stored.tar.write_bytes(data[:-1] + b"x")
    is_sound.cache_clear()
    new, again, last = expand_batch(Batch(Recipes(recipe()), [[other], run, [other]]))
    assert (again.stored, again.sources, again.reused) == (None, [one], 0)
    assert again.tar + END == data
    assert [piece.start for piece in (new, again, last)] == [0, 4, 8]
    assert read_reusable(one, recipe(), (stored, 0, 4)) == {}
    assert list(segment_cache.read_cached()) == []  # it is stored anew


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"seed": 1}, False),
        ({"sha256": "0" * 64}, False),
        ({"offset": 513}, False),
        ({"status": "rejected", "reason": "one_colour"}, True),
        ({"status": "rejected", "reason": "equals_held_out: 0123456789abcdef"}, False),
    ],
    ids=str,
)
def test_a_stored_variant_is_taken_where_seed_and_bytes_are_right(
    change: dict, taken: bool, store: Callable[..., StoredRows], tmp_path: Path
) -> None:
    one = source(tmp_path, PHOTO, planned=1)
    stored, start, stop = store(recipe(), one)
    row = stored.rows(start, stop).to_pylist()[1] | change
    found = _read_variant(row, one, recipe(), stored)
    data = None if "status" in change else expand_source(one, recipe())[0][1]
    assert found == ((row, data) if taken else None)
    stored.tar.unlink()
    if "status" not in change:
        assert _read_variant(row, one, recipe(), stored) is None
