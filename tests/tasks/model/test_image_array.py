"""The array of decoded images: which images, in which order, checked against the manifests."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.model import image_array
from tasks.model.images import InputForm
from tasks.pixels.decode import decode
from tasks.pixels.encode import encode
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tests.conftest import Project


@pytest.fixture
def manifests(
    digits: Project, monkeypatch: pytest.MonkeyPatch
) -> tuple[pd.DataFrame, pd.DataFrame]:
    digits.stages_here("ingest", "validate", "augment")
    monkeypatch.chdir(digits.root)
    return read_validated(), read_ledger()


def test_training_sees_each_original_and_each_variant_once(
    manifests: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    validated, variants = manifests
    files = image_array.training_files(validated, variants)
    assert sorted(files["sha256"]) == sorted(variants["sha256"])
    assert len(files) == 60
    others = pd.concat(
        [image_array.split_files(validated, split) for split in ("validation", "test")]
    )
    assert len(others) == 6 and not set(others["sha256"]) & set(files["sha256"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_images_arrive_in_order_at_one_size(
    workers: str, manifests: tuple[pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", workers)
    files = image_array.training_files(*manifests)
    with image_array.decoded_images(
        files, InputForm(8, "squeeze", AS_DECODED), "decoding"
    ) as array:
        assert array.shape == (60, 3, 8, 8) and array.dtype == np.uint8
        for place, row in enumerate(files.itertuples(index=False)):
            pixels = decode(image_array.read_bytes(row)).pixels
            assert np.array_equal(array[place], np.stack([pixels] * 3))
    larger = InputForm(16, "squeeze", AS_DECODED)
    with image_array.decoded_images(files.head(1), larger, "decoding") as array:
        assert array.shape == (1, 3, 16, 16)


def test_bytes_that_differ_from_the_manifest_are_refused(
    manifests: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    files = image_array.training_files(*manifests)
    row = next(files.assign(sha256="0").itertuples(index=False))
    with pytest.raises(UserError, match="bytes differ from the manifest's"):
        image_array.read_bytes(row)


def test_images_are_decoded_once_whatever_trains_on_them_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal bytes are decoded anew only for another size, fit or preprocessing."""
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path / "cache"))
    decoded: list[str] = []
    read = image_array.read_bytes

    def counted(row: Any) -> bytes:
        decoded.append(row.source_id)
        return read(row)

    monkeypatch.setattr(image_array, "read_bytes", counted)

    def rows_of(names: str) -> pd.DataFrame:
        rows = []
        for name in names:
            path = tmp_path / f"{name}.png"
            data = encode(np.full((4, 6, 3), ord(name), np.uint8), "png")
            path.write_bytes(data)
            rows.append([name, 0, "cat", "cat", str(path), None, len(data), sha256(data)])
        return pd.DataFrame(rows, columns=image_array.COLUMNS)

    def decodes(files: pd.DataFrame, form: InputForm) -> str:
        decoded.clear()
        with image_array.decoded_images(files, form, "decoding") as array:
            assert array[:, 0, 0, 0].tolist() == [ord(name) for name in files["source_id"]]
        return "".join(decoded)

    form = InputForm(4, "squeeze", AS_DECODED)
    assert decodes(rows_of("abc"), form) == "abc"
    assert decodes(rows_of("abc"), form) == ""
    assert decodes(rows_of("caxb"), form) == "x"
    assert decodes(rows_of("abc"), form._replace(size=5)) == "abc"
    assert decodes(rows_of("abc"), form._replace(fit="crop")) == "abc"
    grey = Preprocessing(preprocess=[{"grey": {}}])
    assert decodes(rows_of("abc"), form._replace(preprocessing=grey)) == "abc"
    variants = rows_of("abc").assign(variant_index=1)  # these get no preprocessing
    assert decodes(variants, form) == "abc"
