"""A variant that equals a held-out original or one of another class is left out, and comes back."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.augment import segments
from tasks.augment.conflicts import (
    OF_THE_IMAGE,
    find_conflicts,
    find_label_conflicts,
    kept_members,
    leave_out,
)
from tasks.augment.segments import name_rows, with_columns
from tasks.augment.tar_format import END
from tasks.commands.verify import remake_variant, verify
from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.dataset.manifests import read_ledger
from tasks.pixels.encode import encode
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants import recipe as recipes
from tasks.variants.originals import NO_ORIGINALS, Originals, read_originals
from tasks.variants.recipe import Recipes
from tests.tasks.augment.datasets import Dataset, run
from tests.tasks.augment.test_segments import assemble, finished, made

MIRROR = [[{"HorizontalFlip": {"p": 1.0}}]]


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)


@pytest.fixture
def mirrored(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Three training images of class a, each with its mirror image as its only variant."""
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setattr(recipes, "library_versions", dict)
    monkeypatch.setattr("tests.tasks.augment.datasets.POLICIES", MIRROR)
    dataset = Dataset(random.Random(0))
    dataset.files = {f"{n}.png": ("a", encode(picture(n), "png")) for n in (1, 2, 3)}
    dataset.count = {"variants_per_image": 1}
    return dataset


def reasons(dataset: Dataset) -> dict[str, str]:
    """Of the variant of each file: why it is rejected."""
    validated = dataset.validated().set_index("source_id")["file_name"]
    variants = read_ledger().query("variant_index > 0").set_index("source_id")
    return {
        validated[source_id]: reason for source_id, reason in variants["reason"].fillna("").items()
    }


def test_what_other_images_forbid_comes_and_goes_with_them(
    mirrored: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = run(mirrored, tmp_path, monkeypatch)
    held_out, other = encode(picture(1)[:, ::-1], "png"), encode(picture(2)[:, ::-1], "png")
    mirrored.files |= {"0.png": ("a", held_out), "4.png": ("b", other)}
    mirrored.count["per_class"] = {"b": {"variants_per_image": 0}}
    left, said = run(mirrored, tmp_path, monkeypatch)
    ids = mirrored.validated().set_index("file_name")["source_id"]
    assert reasons(mirrored) == {
        "1.png": f"equals_held_out: {ids['0.png']}",
        "2.png": f"equals_other_class: {ids['4.png']}",
        "3.png": "",
    }
    assert (said["made"], said["written"], said["rejected"]) == (0, 1, 2)
    rejected = read_ledger().query("status == 'rejected'")
    assert rejected["sha256"].isna().all() and rejected["segment"].isna().all()
    assert (rejected["pixel_hash"] != 0).all()
    assert set(rejected["operations"]) != {"[]"}  # which step did it
    validated, params = mirrored.validated(), mirrored.params()
    its = Recipes.from_params(params, AS_DECODED)
    assert verify(validated, its, remake=9)["differences"] == []
    remade = remake_variant(
        f"{ids['2.png']}-v001", validated, its, read_originals(validated, AS_DECODED)
    )
    assert (remade.row["reason"], remade.data) == (f"equals_other_class: {ids['4.png']}", None)
    assert left == run(mirrored, tmp_path / "cold", monkeypatch)[0]
    monkeypatch.chdir(tmp_path)
    del mirrored.files["0.png"], mirrored.files["4.png"]
    mirrored.count["per_class"] = {}
    after, said = run(mirrored, tmp_path, monkeypatch)
    assert said["made"] == 0 and after == before


def test_it_leaves_the_ends_of_segments_where_they_were(
    mirrored: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 1)  # each source ends a segment
    run(mirrored, tmp_path, monkeypatch)
    before = read_ledger().query("variant_index > 0").set_index("source_id")["segment"]
    mirrored.files["0.png"] = "a", encode(picture(2)[:, ::-1], "png")
    run(mirrored, tmp_path, monkeypatch)
    after = read_ledger().query("variant_index > 0").set_index("source_id")["segment"]
    assert before.nunique() == 3 and (before == after).sum() == 2


def test_an_image_of_the_same_class_forbids_nothing(
    mirrored: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored.files["4.png"] = "a", encode(picture(1)[:, ::-1], "png")
    _, said = run(mirrored, tmp_path, monkeypatch)
    assert (said["written"], said["rejected"]) == (4, 0)


def write_ledger(folder: Path, variants: list[tuple[str, str, int, int, str]]) -> Path:
    """A ledger of variants: variant_id, label, variant_index, pixel_hash, status."""
    names = ["variant_id", "label", "variant_index", "pixel_hash", "status"]
    rows = pd.DataFrame(variants, columns=names)
    rows = rows.assign(source_label=rows["label"]).reindex(columns=LEDGER_COLUMNS.names)
    tables.write_table(folder / "ledger.parquet", rows, LEDGER_COLUMNS)
    return folder / "ledger.parquet"


def test_variants_under_two_labels_are_told(tmp_path: Path) -> None:
    path = write_ledger(
        tmp_path,
        [
            ("a-v000", "cat", 0, 0, "written"),
            ("a-v001", "cat", 1, 7, "written"),
            ("a-v002", "cat", 2, 8, "written"),
            ("b-v001", "cat", 1, 7, "written"),
            ("c-v001", "dog", 1, 7, "written"),
            ("c-v002", "dog", 2, 9, "written"),
            ("d-v001", "cow", 1, 9, "rejected"),
        ],
    )
    found = find_label_conflicts(path)
    assert found is not None and found.warning() == (
        "3 variants are equal to a variant of another class, as a-v001 (cat) and c-v001 (dog): "
        "training sees one image under two labels; in augment.per_class, 'cat' can have a policy "
        "without the step that does it"
    )
    of_one_class = pq.read_table(path).slice(0, 4)
    tables.write_arrow(path, of_one_class)
    assert find_label_conflicts(path) is None


def test_of_several_pairs_the_first_is_told(tmp_path: Path) -> None:
    path = write_ledger(
        tmp_path,
        [
            ("a-v001", "cat", 1, 7, "written"),
            ("a-v002", "cat", 2, 8, "written"),
            ("b-v001", "dog", 1, 8, "written"),
            ("b-v002", "dog", 2, 7, "written"),
        ],
    )
    assert find_label_conflicts(path) == (4, [("a-v001", "cat"), ("b-v002", "dog")], "cat")


def test_a_segment_without_a_variant_is_as_if_it_were_rejected() -> None:
    sources = made("a", [700, None, 30]), made("b", [900])
    _, whole, rows = assemble(finished(*sources))
    status = ["written", "written", "rejected", "written", "written", "written"]
    reason = [None, None, "one_colour", None, None, None]
    rows = with_columns(rows, {"status": pa.array(status), "reason": pa.array(reason)})
    forbidden = pa.array([None, "equals_held_out: x", None, None, None, None], pa.string())
    # members of 512 + 1024, 512 + 512 and 512 + 1024 bytes
    assert len(whole) == 1536 + 1024 + 1536 + len(END)
    assert kept_members(rows, forbidden) == [(1536, 1024), (2560, 1536)]
    left = name_rows(leave_out(rows, forbidden), "left.tar")
    assert left.to_pylist() == [
        row | change
        for row, change in zip(
            rows.to_pylist(),
            [
                {},
                {
                    **dict.fromkeys(OF_THE_IMAGE),
                    "segment": None,
                    "offset": None,
                    "status": "rejected",
                    "reason": "equals_held_out: x",
                },
                {},
                {"segment": "left.tar", "offset": 512},
                {},
                {"segment": "left.tar", "offset": 512 + 512 + 512},
            ],
            strict=True,
        )
    ]
    everything = pa.array([None, "x", None, "x", None, "x"], pa.string())
    assert kept_members(rows, everything) == []
    assert leave_out(rows, everything)["offset"].null_count == 6


def test_conflicts_are_those_of_written_variants() -> None:
    _, _, rows = assemble(finished(made("a", [700, None, 30])))
    rows = with_columns(rows, {"pixel_hash": pa.array([5, 7, 7, 8], pa.int64())})
    all_held_out = Originals(
        np.array([5, 7]), np.array(["dog", "dog"]), np.array([True, True]), np.array(["x", "y"])
    )
    found = find_conflicts(rows, all_held_out)
    assert found == pa.array([None, "equals_held_out: y", None, None], pa.string())
    assert find_conflicts(rows, NO_ORIGINALS) == pa.nulls(4, pa.string())


def test_the_stage_tells_variants_under_two_labels(
    mirrored: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.tasks.augment.datasets.POLICIES", [[{"CenterCrop": {"height": 3, "width": 3}}]]
    )
    framed = picture(1)
    framed[0] = 0  # outside the crop
    mirrored.files["4.png"] = "b", encode(framed, "png")
    left, said = run(mirrored, tmp_path, monkeypatch)
    assert said["written"] == 4
    assert b'"equal_under_two_labels": 2' in left["metrics"]
    assert b"2 variants are equal to a variant of another class" in left["metrics"]


def test_a_class_has_its_own_recipe(
    mirrored: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored.files["4.png"] = "b", encode(picture(4), "png")
    run(mirrored, tmp_path, monkeypatch)
    mirrored.count["per_class"] = {"b": {"policy": "VerticalFlip"}}
    _, said = run(mirrored, tmp_path, monkeypatch)
    assert said["made"] == 1  # that of b; one segment holds both recipes' variants
    ledger = read_ledger()
    assert ledger.groupby("label")["recipe_hash"].nunique().to_dict() == {"a": 1, "b": 1}
    assert ledger["recipe_hash"].nunique() == 2
    assert ledger["segment"].nunique() == 1
    operations = ledger.query("variant_index > 0").groupby("label")["operations"].first()
    assert "HorizontalFlip" in operations["a"] and "VerticalFlip" in operations["b"]
