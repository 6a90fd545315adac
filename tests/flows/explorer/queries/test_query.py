"""Addresses: what they choose is what pandas chooses, and they lead back to themselves."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from flows.explorer.queries import database
from flows.explorer.queries.fields import FIELDS, MEASURED, Kind, numbers, sortable
from flows.explorer.queries.query import Query, rows_numbered
from flows.explorer.rendering import sentence_of
from tests.flows.explorer.random_tables import LABELS, OPERATIONS, Tables

RANDOM_QUERIES = 150


def random_query(rng: np.random.Generator) -> dict[str, Any]:
    """Parameters of an address: a kind, each filter now and then, and an order."""
    kind: Kind = rng.choice(["original", "variant"]).item()
    parameters: dict[str, Any] = {"kind": kind, "label": rng.choice(LABELS)}
    measure = rng.choice([*MEASURED[kind][:4], "height"])
    parameters |= {"name": rng.choice(["1", "ca", "É&?", "_", "%"])}
    parameters |= {"measure": measure, "from": rng.random() * 2}
    parameters["to"] = parameters["from"] + rng.random() * 10
    if kind == "original":
        low, high = sorted(rng.random(2))
        least, most = sorted(rng.integers(0, 40, 2).tolist())
        parameters |= {"split": rng.choice(["train", "validation", "test"])}
        parameters |= {"status": rng.choice(["ok", "duplicate", "quarantined"])}
        parameters |= {"reason": "corrupt", "prediction": rng.choice(["right", "wrong"])}
        parameters |= {"confidence_from": low, "confidence_to": high}
        parameters |= {"exposure_from": least, "exposure_to": most, "cluster": "any"}
    else:
        parameters |= {"status": rng.choice(["written", "rejected"])}
        parameters |= {"reason": rng.choice(["gate", "not_distinct", "failed"])}
        parameters |= {"operation": rng.choice([*OPERATIONS, "none"])}
        parameters |= {"source_label": rng.choice(LABELS)}
    sort = rng.choice([field.name for field in sortable(kind)])
    kept = {name: value for name, value in parameters.items() if rng.random() < 0.15}
    kept["kind"] = kind
    if {"from", "to"} & kept.keys():
        kept["measure"] = measure
    return {**kept, "sort": sort, "order": rng.choice(["asc", "desc"])}


def only(rows: pd.DataFrame, chosen: list[bool]) -> pd.DataFrame:
    return rows[np.array(chosen, bool)]


def chosen_by_pandas(tables: Tables, asked: dict[str, Any]) -> pd.DataFrame:
    """The rows that parameters choose, in their order."""
    rows = tables.images if asked["kind"] == "original" else tables.variants
    for name in ("label", "source_label", "split", "status"):
        if name in asked:
            rows = rows[rows[name] == asked[name]]
    if "name" in asked:
        part = asked["name"].lower()
        rows = only(rows, [part in name.lower() for name in rows["file_name"]])
    if "reason" in asked:
        kinds = [str(text).partition(":")[0] for text in rows["reason"]]
        rows = only(rows, [kind == asked["reason"] for kind in kinds])
    if "prediction" in asked:
        rows = rows[rows["correct"] == (asked["prediction"] == "right")]
    if "cluster" in asked:
        rows = rows[rows["cluster"].notna()]
    if asked.get("operation") == "none":
        rows = rows[rows["operations"] == "[]"]
    elif "operation" in asked:
        named = f'"{asked["operation"]}"'
        rows = only(rows, [named in text for text in rows["operations"]])
    for least, most, column in (
        ("confidence_from", "confidence_to", "probability"),
        ("exposure_from", "exposure_to", "presentations"),
        ("from", "to", asked.get("measure")),
    ):
        if least in asked:
            rows = rows[rows[column] >= asked[least]]
        if most in asked:
            rows = rows[rows[column] <= asked[most]]
    upwards = asked["order"] == "asc"
    return rows.sort_values(asked["sort"], ascending=upwards, kind="stable", na_position="last")


def test_what_is_chosen_and_its_order_are_those_of_pandas(
    random_dataset: tuple[Path, Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, tables = random_dataset
    monkeypatch.chdir(folder)
    rng = np.random.default_rng(1)
    some = 0
    for _ in range(RANDOM_QUERIES):
        asked = random_query(rng)
        query = Query.model_validate(asked)
        found = database.row_numbers(*query.numbers())
        key = "file_name" if query.kind == "original" else "variant_id"
        columns = [query.fields[key]]
        names = database.select(*rows_numbered(query.kind, columns, found.tolist()))
        expected = chosen_by_pandas(tables, asked)
        assert [row[key] for row in names] == expected[key].tolist(), asked
        some += 0 < len(found) < 200
    assert some > RANDOM_QUERIES / 4


def test_an_address_leads_back_to_the_query_that_made_it() -> None:
    rng = np.random.default_rng(2)
    for _ in range(RANDOM_QUERIES):
        query = Query.model_validate({**random_query(rng), "page": 3})
        address = query.address("/images.csv")
        assert urlsplit(address).path == "/images.csv"
        named = dict(parse_qsl(urlsplit(address).query, strict_parsing=True))
        assert Query.model_validate(named) == query


def test_what_is_changed_in_an_address_begins_at_its_first_page() -> None:
    query = Query.model_validate({"label": "a&b=c/é", "sort": "width", "page": 7})
    assert query.address() == "/images?label=a%26b%3Dc%2F%C3%A9&sort=width&page=7"
    assert query.address(sort=None) == "/images?label=a%26b%3Dc%2F%C3%A9"
    assert query.address(page=8) == "/images?label=a%26b%3Dc%2F%C3%A9&sort=width&page=8"
    assert query.address(label=None, order="desc") == "/images?sort=width&order=desc"
    assert query.address(label=None, sort=None) == "/images"


def test_what_a_form_sends_without_being_filled_is_not_asked() -> None:
    asked = {"label": "", "from": "", "measure": "", "sort": "", "page": "", "cluster": ""}
    assert Query.model_validate(asked) == Query()


def test_conditions_are_said_in_words() -> None:
    asked = {
        "name": "IMG_1",
        "label": "cat",
        "split": "test",
        "status": "ok",
        "reason": "leak",
        "prediction": "wrong",
        "confidence_from": "0.9",
        "exposure_to": "3",
        "cluster": "any",
        "measure": "width",
        "from": "10",
        "to": "20.5",
    }
    assert [condition.words for condition in Query.model_validate(asked).conditions()] == [
        "file name with IMG_1",
        "split test",
        "class cat",
        "status ok",
        "reason leak",
        "predicted wrong",
        "looks like another",
        "confidence from 0.9",
        "exposure to 3",
        "width from 10 to 20.5",
    ]
    variants = Query.model_validate({"kind": "variant", "operation": "Rotate"})
    assert [condition.words for condition in variants.conditions()] == ["operation Rotate"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"foo": "1"}, "foo: Extra inputs are not permitted; found '1'"),
        ({"kind": "x"}, "kind: Input should be 'original' or 'variant'; found 'x'"),
        ({"split": "x"}, "split: Input should be 'train', 'validation' or 'test'; found 'x'"),
        ({"status": "written"}, "status: needs to be one of ok, duplicate, quarantined; found "),
        (
            {"kind": "variant", "prediction": "right"},
            "prediction: variants have none; kind=original has it; found 'right'",
        ),
        (
            {"operation": "Rotate"},
            "operation: originals have none; kind=variant has it; found 'Rotate'",
        ),
        ({"source_label": "cat"}, "source_label: originals have none; kind=variant has it; found"),
        ({"kind": "variant", "operation": '"; x'}, "operation: String should match pattern "),
        ({"measure": "label"}, "measure: originals have no such field; they have sharpness, "),
        ({"sort": "width; DROP"}, "sort: originals have no such field; they have sharpness, "),
        ({"kind": "variant", "sort": "operations"}, "sort: variants have no such field; they "),
        ({"from": "1"}, "from: needs `measure`, the field that it bounds; found '1'"),
        ({"measure": "width", "from": "inf"}, "from: Input should be a finite number; found "),
        (
            {"measure": "width", "from": "3", "to": "2"},
            "to: needs to be at least 3, where the range begins; found '2'",
        ),
        (
            {"confidence_from": "0.5", "confidence_to": "0.25"},
            "confidence_to: needs to be at least 0.5, where the range begins; found '0.25'",
        ),
        ({"confidence_to": "2"}, "confidence_to: Input should be less than or equal to 1; found"),
        ({"exposure_from": "1.5"}, "exposure_from: Input should be a valid integer, unable "),
        ({"page": "0"}, "page: Input should be greater than or equal to 1; found '0'"),
        ({"page": "9" * 5000}, "page: Unable to parse input string as an integer, exceeded "),
        ({"page": str(10**30)}, "page: Input should be less than or equal to 1000000000; found "),
        ({"label": "x" * 5000}, "label: String should have at most 4096 characters; found 'xx"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(asked: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        Query.model_validate(asked)
    (found,) = error.value.errors()
    sentence = sentence_of({**found, "loc": ("query", *found["loc"])})
    assert sentence.startswith(told)
    assert len(sentence) < 700 and "\n" not in sentence


@pytest.mark.parametrize("kind", ["original", "variant"])
def test_every_column_has_a_title_of_its_own_and_a_number_can_be_bounded(kind: Kind) -> None:
    fields = FIELDS[kind]
    titles = [field.title for field in fields.values()]
    assert len(set(titles)) == len(titles)
    assert {field.name for field in numbers(kind)} >= set(MEASURED[kind])
    assert len(sortable(kind)) == len(set(sortable(kind)))
