import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from tasks.common import fact_cache
from tasks.pixels.decode import Decoded
from tasks.pixels.hashing import sha256
from tasks.validate import measure
from tasks.validate.measure import Measured
from tasks.validate.params import ValidateParams
from tasks.validate.related import close_hashes, near_duplicates
from tasks.validate.related.lineage import components


def photo(number: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture with structure: smooth noise in colour, another for each number."""
    noise = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return (
        Image.fromarray(noise)
        .resize(size, Image.Resampling.BICUBIC)
        .filter(ImageFilter.GaussianBlur(1))
    )


def measured(picture: Image.Image, name: str) -> Measured:
    return measure.measure_pixels(name, Decoded(np.asarray(picture.convert("RGB")), "PNG", 8))


def find(pictures: list[Image.Image], which: str = "auto") -> list[tuple[int, int]]:
    """The pairs that look the same as they are."""
    return [(a, b) for a, b, kind in find_all(pictures, which) if kind == "near"]


def find_all(pictures: list[Image.Image], which: str = "auto") -> list[tuple[int, int, str]]:
    """The pairs that find_near_duplicates() gives, with the thumbnails in the cache."""
    return pairs_of(
        [
            measured(picture, sha256(str(number).encode()))
            for number, picture in enumerate(pictures)
        ],
        which,
    )


def pairs_of(images: list[Measured], which: str = "auto") -> list[tuple[int, int, str]]:
    """The same of images that were measured."""
    with fact_cache.FactCache("thumbnails", measure.VERSION) as thumbnails:
        thumbnails.put((bytes.fromhex(image.sha256), image.thumbnail) for image in images)
    rows = pd.DataFrame([image.facts for image in images])
    rows["sha256"] = [image.sha256 for image in images]
    pairs = near_duplicates.find_near_duplicates(
        rows.assign(status="ok", file_name="x", container=None, offset=None, bytes=0),
        ValidateParams(near_duplicates=which),
    )
    assert pairs.index.tolist() == list(range(len(pairs)))
    return [tuple(pair) for pair in pairs.to_numpy().tolist()]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data)


def test_the_same_picture_made_anew_is_found_and_no_other() -> None:
    first = photo(0, (320, 240))
    same = [
        jpeg(first, 60),
        jpeg(first, 30),
        first.resize((160, 120), Image.Resampling.LANCZOS),
        first.resize((640, 480), Image.Resampling.BICUBIC),
        first.point(lambda value: min(value + 15, 255)),
    ]
    others = [photo(number, (320, 240)) for number in range(1, 40)]
    stretched = first.resize((320, 200))
    mirrored = first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    other_colour = Image.merge("RGB", first.split()[::-1])
    pairs = find([first, *same, *others, stretched, mirrored, other_colour])
    assert {(0, b) for b in range(1, 6)} <= set(pairs)
    assert {place for pair in pairs for place in pair} == set(range(6))


@pytest.mark.parametrize("white", [65535, 4095, 900])
def test_copies_of_deep_images_are_found_whatever_part_of_their_range_they_use(white: int) -> None:
    grey = np.stack([np.asarray(photo(number).convert("L")) for number in range(8)])
    deep = (grey.astype(np.uint32) * white // 255).astype(np.uint16)
    brighter = deep[0] - deep[0] // 20
    images = [*deep, brighter, deep[1][:, ::-1]]
    measures = [
        measure.measure_pixels(sha256(bytes([number])), Decoded(pixels, "PNG", 16))
        for number, pixels in enumerate(images)
    ]
    assert pairs_of(measures) == [(0, 8, "near"), (1, 9, "mirrored")]


def test_what_differs_in_one_place_is_another_image() -> None:
    first = photo(0)
    marked = first.copy()
    marked.paste((255, 255, 255), (70, 50, 90, 70))
    assert find([first, marked]) == []


def test_small_and_blank_images_are_left_out_unless_asked_for() -> None:
    small = photo(0, (60, 45))
    blank = Image.new("RGB", (100, 100), (200, 200, 200))
    assert find([small, small.copy(), blank, blank.copy()]) == []
    assert find([small, small.copy(), blank, blank.copy()], "all") == [(0, 1)]


def test_many_that_look_the_same_are_one_cluster_without_asking_for_every_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(close_hashes, "SMALL_GROUP", 100)
    many = [photo(0)] * 400
    pairs = find(many)
    assert 399 <= len(pairs) <= 400 * close_hashes.MOST_NEIGHBOURS < 400 * 399 / 2
    assert len(set(components(400, *(np.array(side) for side in zip(*pairs, strict=True))))) == 1


def test_lost_thumbnails_are_made_again(tmp_path: Path) -> None:
    names = ["a.png", "b.png", "c.png"]
    for number, name in enumerate(names):
        photo(number).save(tmp_path / name)
    data = [(tmp_path / name).read_bytes() for name in names]
    rows = pd.DataFrame({"sha256": map(sha256, data), "path": [str(tmp_path / n) for n in names]})
    rows = rows.assign(file_name="../../x", container=None, offset=None, bytes=[*map(len, data)])
    expected = [measured(photo(number), "x").thumbnail for number in range(3)]
    with (
        fact_cache.FactCache("thumbnails", measure.VERSION) as thumbnails,
        pytest.MonkeyPatch.context() as patch,
    ):
        thumbnails.put([(bytes.fromhex(rows["sha256"][1]), expected[1])])  # the others are lost
        patch.setattr(
            measure.image_bytes,
            "locate_images",
            lambda table: table.rename(columns={"bytes": "length"}),
        )
        patch.setattr(measure, "IMAGES_PER_TASK", 1)
        patch.setenv("VARIEGATE_WORKERS", "1")
        found = near_duplicates.read_thumbnails(rows, thumbnails)
    assert [each.tobytes() for each in found] == expected


def test_a_copy_is_found_among_hundreds_that_share_its_hash() -> None:
    """One picture in many colours of one luminance: few hashes, and all but the copies differ."""
    grey = np.asarray(photo(0).convert("L"))[:, :, None] / 255
    tints = np.random.default_rng(1).uniform(0.3, 1, (300, 3))
    tints /= (tints @ [0.299, 0.587, 0.114])[:, None] * 2
    coloured = [
        Image.fromarray((grey * tint * 255).clip(0, 255).astype(np.uint8)) for tint in tints
    ]
    pairs = set(find(coloured + [jpeg(picture, 90) for picture in coloured[::10]]))
    assert {(place * 10, 300 + place) for place in range(30)} <= pairs


# --- mirrored and turned --------------------------------------------------------------------------

MOVES = Image.Transpose
KINDS = {
    MOVES.FLIP_LEFT_RIGHT: "mirrored",
    MOVES.FLIP_TOP_BOTTOM: "mirrored",
    MOVES.TRANSPOSE: "mirrored",
    MOVES.TRANSVERSE: "mirrored",
    MOVES.ROTATE_180: "turned",
    MOVES.ROTATE_90: "turned",
    MOVES.ROTATE_270: "turned",
}


def test_pictures_mirrored_and_turned_are_found_and_no_other() -> None:
    pictures, expected = [], []
    for number, (move, kind) in enumerate(KINDS.items()):
        size = (321 + 40 * (number % 2), 243)  # odd: what is halved loses another row when flipped
        picture = photo(number, size)
        expected.append((len(pictures), len(pictures) + 1, kind))
        pictures += [picture, jpeg(picture.transpose(move), 60)]
    pictures += [photo(number, (320, 240)) for number in range(20, 60)]
    assert find_all(pictures) == expected


def test_a_pair_that_looks_the_same_in_several_ways_is_listed_once() -> None:
    half = photo(0, (80, 120))
    symmetric = Image.new("RGB", (160, 120))
    symmetric.paste(half, (0, 0))
    symmetric.paste(half.transpose(MOVES.FLIP_LEFT_RIGHT), (80, 0))
    brighter = symmetric.point(lambda value: min(value + 5, 255))
    assert find_all([symmetric, brighter]) == [(0, 1, "near")]


def test_another_shape_turned_is_another_image() -> None:
    turned = photo(0, (160, 120)).transpose(MOVES.ROTATE_90)
    assert find_all([photo(0, (160, 120)), turned.resize((160, 120))]) == []


def test_small_mirrored_images_are_left_out_unless_asked_for() -> None:
    small = photo(0, (60, 45))
    pair = [small, small.transpose(MOVES.FLIP_LEFT_RIGHT)]
    assert (find_all(pair), find_all(pair, "all")) == ([], [(0, 1, "mirrored")])
