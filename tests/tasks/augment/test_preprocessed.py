"""Preprocessing over the stages: originals of every split and variants get it, once."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tasks.commands.export import export
from tasks.commands.preprocessed_originals import require_same_as_in_run
from tasks.common.errors import UserError
from tasks.dataset import image_bytes
from tasks.dataset.manifests import read_ledger, read_preprocessing, read_validated
from tasks.dataset.selections import usable, written_variants
from tasks.model import image_array
from tasks.model.images import InputForm, as_input
from tasks.pixels.decode import decode
from tasks.pixels.preprocess import Preprocessing
from tests.conftest import Project, fill
from tests.tasks.augment.test_stage import run_data_stages

INGEST = {
    "range": [0, 4095],
    "preprocess": [{"resize": {"shorter": 10}}, {"crop": {"width": 8, "height": 10}}],
}
AUGMENT = {"policy": [{"HorizontalFlip": {"p": 1.0}}], "variants_per_image": 1}


def detector_image(number: int) -> np.ndarray:
    """12 bits in files of 16: uint16 (20, 30), from 0 to 4095."""
    return np.random.default_rng(number).integers(0, 4096, (20, 30), np.uint16)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = fill(tmp_path_factory.mktemp("preprocessed"))
    for number in range(24):
        path = project.path(f"data/raw/{'ab'[number % 2]}/{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), detector_image(number))
    project.set_params(**{f"ingest__{key}": value for key, value in INGEST.items()})
    project.set_params(**{f"augment__{key}": value for key, value in AUGMENT.items()})
    run_data_stages(project)
    return project


@pytest.fixture
def rows(made: Project, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.chdir(made.root)
    return read_validated()


def preprocessed(row: object) -> np.ndarray:
    data = image_bytes.read_row(row)
    return Preprocessing(**INGEST).read(data, keep_depth=True)


def test_manifests_carry_it_and_describe_the_files_without_it(rows: pd.DataFrame) -> None:
    assert read_preprocessing() == Preprocessing(**INGEST)
    assert set(zip(rows["width"], rows["height"], strict=True)) == {(30, 20)}
    assert rows["highest"].max() <= 4095


def test_a_variant_is_the_policy_applied_to_the_preprocessed_source(rows: pd.DataFrame) -> None:
    sources = image_bytes.locate_images(usable(rows, "train")).set_index("source_id")
    variants = image_bytes.locate_variants(written_variants(read_ledger()))
    assert len(variants) == len(sources)
    for variant in variants.itertuples():
        pixels = decode(image_bytes.read_row(variant), keep_depth=True).pixels
        source = preprocessed(sources.loc[variant.source_id])
        assert source.shape == (10, 8) and source.dtype == np.uint16
        assert np.array_equal(pixels, source[:, ::-1])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_network_is_given_every_split_preprocessed(rows: pd.DataFrame, split: str) -> None:
    files = image_array.split_files(rows, split)
    form = InputForm(8, "squeeze", Preprocessing(**INGEST))
    with image_array.decoded_images(files, form, "decoding") as array:
        for given, row in zip(array, files.itertuples(), strict=True):
            assert np.array_equal(given, as_input(preprocessed(row), 8))
    assert array.max() > 100  # of 4095 in 65535 it would be 15


def test_an_export_has_originals_as_they_are_or_preprocessed(rows: pd.DataFrame) -> None:
    ledger, count = read_ledger(), len(usable(rows))
    export(rows, ledger, Path("plain"), "imagefolder")
    export(rows, ledger, Path("out"), "imagefolder", read_preprocessing())
    by_source = image_bytes.locate_images(usable(rows)).set_index("source_id")
    for folder in (Path("plain"), Path("out")):
        listed = pd.read_parquet(folder / "manifest.parquet")
        originals = listed[listed["variant_index"] == 0]
        assert len(originals) == count
        for original in originals.itertuples():
            pixels = cv2.imread(str(folder / original.file), cv2.IMREAD_UNCHANGED)
            row = by_source.loc[original.source_id]
            plain = decode(image_bytes.read_row(row), keep_depth=True).pixels
            expected = plain if folder == Path("plain") else preprocessed(row)
            assert np.array_equal(pixels, expected)
    again = export(rows, ledger, Path("out"), "imagefolder", read_preprocessing())
    assert again["kept"] == again["files"]


def test_an_export_is_of_what_params_yaml_still_says(made: Project, rows: pd.DataFrame) -> None:
    require_same_as_in_run()
    made.set_params(ingest__range="image")
    try:
        with pytest.raises(UserError) as caught:
            require_same_as_in_run()
    finally:
        made.set_params(ingest__range=INGEST["range"])
    assert str(caught.value) == (
        "params.yaml ingest: range or preprocess has changed since the dataset was made: "
        "`variegate run --until augment` first"
    )
