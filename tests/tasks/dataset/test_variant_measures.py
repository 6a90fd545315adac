"""The measures of a ledger: of written variants, by class and operation, the worst first."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dataset.columns import LEDGER_COLUMNS, MEASURES
from tasks.dataset.variant_measures import (
    UNTOUCHED,
    high_is_worst,
    operations_of,
    quantiles,
    read_measured,
    read_medians,
    read_rows,
)
from tasks.variants.policy import canonical_json

TURNED, FLIPPED = {"name": "Rotate", "angle": 3}, {"name": "HorizontalFlip"}


def write_ledger(path: Path, *rows: dict[str, Any]) -> Path:
    """A ledger of these rows; what is not given is that of a written variant of class `a`."""
    usual = {"source_label": "a", "variant_index": 1, "status": "written", "operations": "[]"}
    full = [{**usual, "variant_id": f"id{number}", **row} for number, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(full, schema=LEDGER_COLUMNS), path, row_group_size=2)
    return path


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return write_ledger(
        tmp_path / "manifest.parquet",
        {"variant_index": 0, "sharpness": 0.0},
        {"sharpness": 0.5, "border": 0.0, "operations": canonical_json([TURNED, FLIPPED])},
        {"sharpness": 0.7, "border": 0.25, "operations": canonical_json([TURNED, TURNED])},
        {"status": "rejected", "sharpness": 0.0},
        {
            "source_label": "b",
            "sharpness": 0.1,
            "border": 0.5,
            "operations": canonical_json([FLIPPED]),
        },
        {"source_label": "b", "sharpness": 1.5},
    )


def test_only_written_variants_count_and_measures_that_are_known(ledger: Path) -> None:
    measured = read_measured(ledger)
    assert measured.known == ["border", "sharpness"]
    assert measured.rows["sharpness"].to_dict() == {1: 0.5, 2: 0.7, 4: 0.1, 5: 1.5}
    assert read_medians(ledger) == {"border": 0.25, "sharpness": 0.6}


def test_quantiles_of_classes_and_operations(ledger: Path) -> None:
    measured = read_measured(ledger)
    by_class = measured.by_class("sharpness")
    assert list(by_class.index) == ["a", "b"]
    assert by_class[0.5].tolist() == pytest.approx([0.6, 0.8])
    assert by_class[0.05].tolist() == pytest.approx([0.51, 0.17])
    by_operation = measured.by_operation("sharpness")[0.5].to_dict()
    assert by_operation == pytest.approx({"HorizontalFlip": 0.3, "Rotate": 0.6, "none": 1.5})
    assert measured.uses.to_dict() == {"HorizontalFlip": 2, "Rotate": 2, "none": 1}
    assert measured.by_operation("border").index.tolist() == ["HorizontalFlip", "Rotate"]


def test_the_worst_are_those_worse_than_untouched_on_the_side_that_is_worse(ledger: Path) -> None:
    measured = read_measured(ledger)
    assert measured.worst("border", 9).to_dict() == {4: 0.5, 2: 0.25}
    assert measured.worst("sharpness", 2).to_dict() == {4: 0.1, 1: 0.5}
    assert list(measured.worst("sharpness", 9).index) == [4, 1, 2]
    assert measured.worst("kept", 9).empty
    found = read_rows(ledger, list(measured.worst("sharpness", 9).index), ["variant_id"])
    assert found["variant_id"].tolist() == ["id4", "id1", "id2"]


def test_each_measure_has_its_worse_side() -> None:
    assert UNTOUCHED.keys() == MEASURES.keys()
    worse_when_high = {name for name in MEASURES if high_is_worst(name)}
    assert worse_when_high == {"border", "clipped_low", "clipped_high"}


NAMES = st.sampled_from(["Rotate", "Affine", "trivialaugment", "D4"])
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "mode": st.sampled_from(['"name":"x"', "plain", 'a"name":"b"'])},
        optional={"operations": st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=2)},
    ),
    max_size=4,
)


@given(st.lists(OPERATIONS, min_size=1, max_size=6))
def test_names_are_those_that_the_json_holds(variants: list[list[dict[str, Any]]]) -> None:
    texts = pa.chunked_array([pa.array(list(map(canonical_json, variants)))])
    numbers = pa.chunked_array([pa.array(range(10, 10 + len(variants)))])
    found = operations_of(texts, numbers).to_pandas()
    expected = {
        (number, name)
        for number, variant in enumerate(variants, start=10)
        for name in names_in(variant) or {"none"}
    }
    assert len(found) == len(expected)
    assert set(found.itertuples(index=False, name=None)) == expected


def names_in(operations: list[dict[str, Any]]) -> set[str]:
    inner = [name for one in operations for name in names_in(one.get("operations", []))]
    return {one["name"] for one in json.loads(json.dumps(operations))} | set(inner)


def test_an_empty_ledger_has_no_measures(tmp_path: Path) -> None:
    measured = read_measured(write_ledger(tmp_path / "manifest.parquet", {"variant_index": 0}))
    assert measured.known == [] and measured.uses.empty
    assert read_medians(tmp_path / "manifest.parquet") == {}


def test_groups_without_a_value_have_no_quantiles() -> None:
    found = quantiles(pd.Series([1.0, None, 3.0]), pd.Series(["a", "b", "a"]))
    assert found.index.tolist() == ["a"] and found[0.5].tolist() == [2.0]
