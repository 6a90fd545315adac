"""No variant may equal an original that is held out, or one of another class."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.pixels.encode import encode
from tasks.pixels.hashing import fast_pixel_hash, from_hex, sha256, to_hex
from tasks.pixels.preprocess import AS_DECODED, Preprocessing, to_8_bits
from tasks.variants import originals as module
from tasks.variants.originals import NO_ORIGINALS, Originals, read_originals

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def originals(*rows: tuple[int, str, str, str]) -> Originals:
    """Of rows (hash, label, split, source_id)."""
    hashes, labels, splits, ids = (np.array(column) for column in zip(*rows, strict=True))
    return Originals(hashes.astype(np.int64), labels, splits != "train", ids)


ALL = originals(
    (5, "cat", "train", "c" * 16),
    (5, "cat", "train", "a" * 16),
    (7, "dog", "validation", "d" * 16),
    (7, "dog", "test", "b" * 16),
    (7, "cat", "train", "0" * 16),
    (-9, "dog", "train", "e" * 16),
)


@pytest.mark.parametrize(
    ("pixel_hash", "label", "reason"),
    [
        (5, "cat", None),
        (5, "dog", f"equals_other_class: {'a' * 16}"),
        (7, "dog", f"equals_held_out: {'b' * 16}"),
        (7, "cat", f"equals_held_out: {'b' * 16}"),
        (-9, "a class that has no original", f"equals_other_class: {'e' * 16}"),
        (6, "cat", None),
        (10**18, "cat", None),
    ],
)
def test_a_conflict_names_the_first_original(
    pixel_hash: int, label: str, reason: str | None
) -> None:
    assert ALL.conflict(pixel_hash, label) == reason
    assert NO_ORIGINALS.conflict(pixel_hash, label) is None


@given(st.lists(st.tuples(st.integers(-10, 10), st.sampled_from(["cat", "dog", "cow"]))))
def test_many_at_once_are_each_by_itself(variants: list[tuple[int, str]]) -> None:
    hashes = np.array([pixel_hash for pixel_hash, _ in variants], np.int64)
    labels = np.array([label for _, label in variants], object)
    # 0 is no hash: a variant without pixels
    expected = [ALL.conflict(*variant) if variant[0] else None for variant in variants]
    assert ALL.conflicts(hashes, labels) == expected
    assert NO_ORIGINALS.conflicts(hashes, labels) == [None] * len(variants)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_hashes_survive_as_text(hashes: list[int]) -> None:
    assert from_hex([to_hex(pixel_hash) for pixel_hash in hashes]).tolist() == hashes


def validated(folder: Path, **images: np.ndarray) -> pd.DataFrame:
    """Rows of the validated manifest for PNG files of these pixels, all held out."""
    rows = []
    for name, pixels in images.items():
        data = encode(pixels, "png")
        path = folder / "data" / "raw" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest = sha256(data)
        rows.append(
            {
                "file_name": path.name,
                "container": None,
                "offset": None,
                "bytes": len(data),
                "source_id": digest[:16],
                "sha256": digest,
                "pixel_xxh3": to_hex(fast_pixel_hash(pixels)),
                "label": "a",
                "split": "test",
                "status": "ok",
                "format": "PNG",
                "width": pixels.shape[1],
                "height": pixels.shape[0],
                "channels": 1 if pixels.ndim == 2 else 3,
                "bits": pixels.dtype.itemsize * 8,
            }
        )
    return pd.DataFrame(rows)


def test_what_was_validated_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = validated(tmp_path, colour=PIXELS, grey=PIXELS[:, :, 0])
    for file in Path("data/raw").iterdir():
        file.unlink()
    found = read_originals(rows, AS_DECODED)
    for pixels in (PIXELS, PIXELS[:, :, 0], PIXELS[:, :, [0, 0, 0]]):  # as RGB: the same image
        assert found.conflict(fast_pixel_hash(pixels), "a").startswith("equals_held_out")
    assert found.conflict(fast_pixel_hash(PIXELS[:, ::-1]), "a") is None


def test_originals_count_as_the_policy_receives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    deep = np.random.default_rng(1).integers(0, 65536, (6, 8), dtype=np.uint16)
    rows = validated(tmp_path, colour=PIXELS, deep=deep)
    plain = read_originals(rows, AS_DECODED)
    half = Preprocessing(preprocess=[{"crop": {"width": 4, "height": 6}}])
    cropped = read_originals(rows, half)
    for pixels in (PIXELS, deep, to_8_bits(deep)):
        hashes = fast_pixel_hash(pixels), fast_pixel_hash(half.apply(pixels))
        assert [plain.conflict(pixel_hash, "a") is None for pixel_hash in hashes] == [False, True]
        assert [cropped.conflict(pixel_hash, "a") is None for pixel_hash in hashes] == [True, False]
    # what was found is kept: the second time, nothing is read
    monkeypatch.setattr(module, "read_pixels", None)
    again = read_originals(rows, half)
    assert np.array_equal(again.hashes, cropped.hashes)


def test_each_image_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setattr(module, "IMAGES_PER_TASK", 2)
    deep = [PIXELS[..., 0].astype(np.uint16) + level for level in range(5)]
    rows = validated(tmp_path, **{f"image-{n}": pixels for n, pixels in enumerate(deep)})
    batches = [[source.sha256 for source in batch] for batch in module._batches(rows)]
    assert batches == [
        rows["sha256"][:2].tolist(), rows["sha256"][2:4].tolist(), rows["sha256"][4:].tolist()
    ]  # fmt: skip
    found = module.hash_images(rows, AS_DECODED)
    expected = [[fast_pixel_hash(to_8_bits(one)), fast_pixel_hash(one)] for one in deep]
    assert [hashes.tolist() for hashes in found] == expected


def test_what_is_not_usable_forbids_nothing(tmp_path: Path) -> None:
    rows = validated(tmp_path, kept=PIXELS, excluded=PIXELS[::-1])
    rows.loc[1, "status"] = "excluded"
    found = read_originals(rows, AS_DECODED)
    assert found.source_ids.tolist() == [rows["source_id"][0].encode()]
