"""Facts of decoded images."""

from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks.common import fact_cache
from tasks.common.errors import UserError
from tasks.pixels.decode import Decoded
from tasks.pixels.hashing import sha256
from tasks.validate import isolation, measure


def test_every_fact_of_a_decoded_image_has_a_column_and_every_column_a_fact() -> None:
    decoded = Decoded(np.zeros((9, 7, 3), np.uint8), "PNG", 8)
    facts = measure.measure_pixels("0", decoded).facts
    assert {"reason": None, **facts}.keys() == set(measure.FACT_NAMES)
    (row,) = measure.as_table([("0", facts)]).to_pylist()
    assert (row["sha256"], row["reason"]) == ("0", None)
    assert (row["format"], row["width"], row["height"], row["contrast"]) == ("PNG", 7, 9, 0.0)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_the_smallest_and_the_largest_sample_are_those_of_full_depth(shape: tuple) -> None:
    pixels = np.full(shape, 300, np.uint16)
    pixels[2, 3], pixels[4, 5] = 17, 4095
    facts = measure.measure_pixels("0", Decoded(pixels, "PNG", 16)).facts
    assert (facts["lowest"], facts["highest"], facts["bits"]) == (17, 4095, 16)


def test_facts_of_undecodable_images_are_null_but_for_the_reason() -> None:
    (row,) = measure.as_table([("0", {"reason": "corrupt", "detail": "half"})]).to_pylist()
    found = {name for name, value in row.items() if value is not None}
    assert found == {"sha256", "reason", "detail"}


def facts_of(pixels: np.ndarray, bits: int = 8) -> dict:
    return measure.measure_pixels("0", Decoded(pixels, "PNG", bits, "a note")).facts


def test_the_measures_by_hand() -> None:
    """Half black and half white: mean 127.5, deviation 127.5.

    The Laplacian is 255 in the last black column, -255 in the first white one and 0 in the six
    others: variance 2 * 255^2 / 8.
    """
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 4:] = 255
    facts = facts_of(pixels)
    assert facts["sharpness"] == round(2 * 255**2 / 8, 1) == 16256.2
    by_hand = {
        "detail": "a note",
        "format": "PNG",
        "width": 8,
        "height": 4,
        "channels": 1,
        "bits": 8,
        "lowest": 0,
        "highest": 255,
        "brightness": 127.5,
        "contrast": 127.5,
        "sharpness": 16256.2,
    }
    assert by_hand.items() <= facts.items()
    colour = facts_of(np.dstack([pixels, pixels // 2, pixels // 4]))
    # ITU-R 601: 0.299 R + 0.587 G + 0.114 B of (255, 127, 63) is 157.98
    assert (colour["channels"], colour["brightness"], colour["contrast"]) == (3, 79.0, 79.0)


def test_the_hash_is_that_of_imagehash_and_the_thumbnail_a_mean_of_boxes() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    found = measure.measure_pixels("0", Decoded(pixels, "PNG", 8))
    boxes = pixels.reshape(32, 2, 32, 3, 3).mean(axis=(1, 3))
    thumbnail = np.frombuffer(found.thumbnail, np.uint8).reshape(32, 32, 3)
    assert np.abs(thumbnail - boxes).max() < 1  # rounded twice: by rows and by columns
    assert found.facts["perceptual_hash"] == str(imagehash.phash(Image.fromarray(thumbnail)))
    grey = np.repeat(pixels[:, :, :1], 3, axis=2)
    assert facts_of(grey)["pixel_sha256"] == facts_of(pixels[:, :, 0])["pixel_sha256"]
    assert facts_of(grey)["pixel_sha256"] != facts_of(pixels)["pixel_sha256"]


@pytest.mark.parametrize(
    ("shape", "halved"),
    [((255, 600), (255, 600)), ((256, 300), (128, 150)), ((257, 301), (128, 150))],
)
def test_images_of_256_pixels_are_measured_at_half_their_size(
    shape: tuple[int, int], halved: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = measure._halve_if_large(pixels)
    assert found.shape == (*halved, 3)
    if halved != shape:
        even = pixels[: 2 * halved[0], : 2 * halved[1]]
        means = even.reshape(halved[0], 2, halved[1], 2, 3).mean(axis=(1, 3))
        assert np.abs(found - means).max() <= 0.5
    # noise has a smaller Laplacian once it is halved
    assert facts_of(pixels)["sharpness"] == facts_of(found)["sharpness"]


@pytest.mark.parametrize(("lowest", "highest"), [(1000, 1009), (0, 65_535), (700, 700)])
def test_hash_and_thumbnail_of_16_bits_are_of_the_samples_stretched(
    lowest: int, highest: int
) -> None:
    steps = np.linspace(lowest, highest, 64).astype(np.uint16).reshape(8, 8)
    pixels = np.kron(steps, np.ones((8, 8), np.uint16))
    found = measure.measure_pixels("0", Decoded(pixels, "PNG", 16))
    thumbnail = np.frombuffer(found.thumbnail, np.uint8).reshape(32, 32, 3)[::4, ::4, 0]
    wanted = (steps - float(lowest)) / max(highest - lowest, 1) * 255
    assert np.abs(thumbnail - wanted).max() <= 1
    # but brightness is that of the upper 8 bits
    assert found.facts["brightness"] == pytest.approx((steps >> 8).mean(), abs=0.6)


def written(folder: Path, *pixels: np.ndarray) -> pd.DataFrame:
    """Rows of the ingested manifest of images that are written into data/raw."""
    raw = folder / "data/raw"
    raw.mkdir(parents=True)
    rows = []
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(raw / f"{number}.png")
        data = (raw / f"{number}.png").read_bytes()
        rows.append((f"{number}.png", None, None, len(data), sha256(data)))
    return pd.DataFrame(rows, columns=["file_name", "container", "offset", "bytes", "sha256"])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    return tmp_path


def test_each_content_is_decoded_once_and_remembered(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    black, white = np.zeros((5, 6), np.uint8), np.full((7, 8, 3), 255, np.uint8)
    rows = written(place, black, white, black)
    (place / "data/raw/1.png").write_bytes(b"no image, of another length")
    rows.loc[1, ["bytes", "sha256"]] = [27, sha256(b"no image, of another length")]
    facts = measure.measure_all(rows)
    assert facts.columns.tolist() == measure.FACT_NAMES
    assert facts.index.tolist() == rows["sha256"][:2].tolist()
    first, second = facts.to_dict("records")
    assert (first["width"], first["height"], first["contrast"]) == (6, 5, 0.0)
    assert facts["reason"].fillna("").tolist() == ["", "not_an_image"]
    assert second["detail"] and pd.isna(second["width"])

    with fact_cache.FactCache("thumbnails", measure.VERSION) as thumbnails:
        keys = [bytes.fromhex(text) for text in facts.index]
        assert thumbnails.get(keys) == {keys[0]: bytes(32 * 32 * 3)}

    asked = []
    monkeypatch.setattr(measure, "decode", lambda data, **_: asked.append(data))
    monkeypatch.setattr(measure, "KEYS_AT_ONCE", 1)
    again = measure.measure_all(rows)
    assert again.sort_index().equals(facts.sort_index()) and asked == []


def test_what_cannot_be_read_now_is_not_remembered(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = written(place, np.zeros((5, 6), np.uint8), np.ones((5, 6), np.uint8))
    read = measure.image_bytes.read_checked

    def fails(location: measure.ImageLocation, text: str) -> bytes:
        if location.path.endswith("0.png"):
            raise OSError(5, "Input/output error")
        return read(location, text)

    with monkeypatch.context() as broken:
        broken.setattr(measure.image_bytes, "read_checked", fails)
        facts = measure.measure_all(rows)
    assert facts["reason"].fillna("").tolist() == ["unreadable", ""]
    assert facts["detail"].fillna("").tolist() == ["Input/output error", ""]
    assert measure.measure_all(rows)["reason"].isna().all()


def test_files_that_changed_or_went_away_are_told(place: Path) -> None:
    rows = written(place, np.zeros((5, 6), np.uint8))
    path = place / "data/raw/0.png"
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(UserError) as caught:
        measure.measure_all(rows)
    assert str(caught.value) == "data/raw/0.png: changed while it was read; run again"
    path.unlink()
    with pytest.raises(UserError) as caught:
        measure.measure_all(rows)
    assert str(caught.value) == "data/raw/0.png: gone since it was read; run again"


def test_a_file_at_which_decoders_crashed_is_not_decoded(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = written(place, np.zeros((5, 6), np.uint8), np.ones((5, 6), np.uint8))
    crashes = {rows["sha256"][1]: isolation.Crashes(2, False)}
    monkeypatch.setattr(isolation, "read_crashes", lambda: crashes)
    cleared = []
    monkeypatch.setattr(isolation, "clear_crashes", lambda: cleared.append(True))
    monkeypatch.setattr(measure, "IMAGES_PER_TASK", 1)
    (first,), (second,) = measure.measure_rows(rows, "decoding")
    assert (first.sha256, first.facts["width"]) == (rows["sha256"][0], 6)
    assert second == (
        rows["sha256"][1],
        {"reason": "corrupt", "detail": "the decoder ended its process twice"},
        b"",
    )
    assert cleared == [True]
    assert list(measure.measure_rows(rows.iloc[:0], "decoding")) == [] and cleared == [True]


def test_progress_is_counted_in_images(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = written(place, *(np.full((5, 6), value, np.uint8) for value in range(5)))
    monkeypatch.setattr(measure, "IMAGES_PER_TASK", 2)
    monkeypatch.setattr("tasks.common.events.SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    assert len(measure.measure_all(rows)) == 5
    told = [line.partition(" images, ")[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["decoding: 2 of 5", "decoding: 4 of 5"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_without_colours_are_grey_whatever_their_channels(dtype: type) -> None:
    levels = np.arange(63, dtype=dtype).reshape(9, 7)
    equal = np.repeat(levels[..., None], 3, axis=2)
    coloured = equal.copy()
    coloured[8, 6, 2] += 1  # the last pixel alone
    found = [
        measure.measure_pixels("0", Decoded(pixels, "PNG", 8)).facts["grey"]
        for pixels in (levels, equal, coloured)
    ]
    assert found == [True, True, False]
