"""The array of decoded images: which images, in which order, checked against the manifests."""

import numpy as np
import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.model import image_array
from tasks.model.images import InputForm
from tasks.pixels.decode import decode
from tasks.pixels.preprocess import AS_DECODED
from tests.conftest import Project


@pytest.fixture
def manifests(
    digits: Project, monkeypatch: pytest.MonkeyPatch
) -> tuple[pd.DataFrame, pd.DataFrame]:
    for stage in ("ingest", "validate", "augment"):
        digits.stage(stage)
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
