"""Keys of params.yaml are the names that are written there, or their quotes are asked for."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.common.yaml_names import in_one_line, load, quoted
from tasks.ingest.params import IngestParams
from tasks.variants.params import AugmentParams, ClassPlan

SCALARS = (
    *("6", "9", "-6", "+6", "007", "010", "08", "0o10", "0x1F", "1_000", "1e3", "6.0", "1.50"),
    *(
        "true",
        "True",
        "false",
        "null",
        "~",
        "no",
        "yes",
        "on",
        "off",
        "y",
        "6:30",
        "1:2:3",
        "=",
        "-",
    ),
    *(".inf", ".nan", "nan", "2024-01-01", "2024-13-45", "2024-01-01 10:00"),
    *("cat", "'6'", '"no"'),
)


def read_classes(*keys: str) -> dict[str, ClassPlan]:
    lines = ["augment:", "  policy: []", "  variants_per_image: 1", "  per_class:"]
    lines += [f"    {key}: {{variants_per_image: 0}}" for key in keys]
    Path("params.yaml").write_text("\n".join(lines))
    return read_params("augment", AugmentParams).per_class


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["6", "-6", "1.5", "true", "false", "null", "no", "yes", "off", "6:30", ".inf", "2024-1-1"],
)
def test_a_class_is_called_what_is_written(name: str) -> None:
    assert list(read_classes(name)) == [name]
    assert list(read_classes(f"'{name}'")) == [name]


def test_names_that_are_all_numbers_need_no_quotes() -> None:
    assert list(read_classes("10", "9", "6")) == ["10", "9", "6"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["007"], "line 5 augment.per_class: write '007', in quotes: DVC reads it as 7"),
        (["010"], "line 5 augment.per_class: write '010', in quotes: DVC reads it as 10"),
        (["0o10"], "line 5 augment.per_class: write '0o10', in quotes: DVC reads it as 8"),
        (["1_000"], "line 5 augment.per_class: write '1_000', in quotes: DVC reads it as 1000"),
        (["1e3"], "line 5 augment.per_class: write '1e3', in quotes: DVC reads it as 1000.0"),
        (["1.50"], "line 5 augment.per_class: write '1.50', in quotes: DVC reads it as 1.5"),
        (["True"], "line 5 augment.per_class: write 'True', in quotes: DVC reads it as true"),
        (["~"], "line 5 augment.per_class: write '~', in quotes: DVC reads it as null"),
        (
            ["cat", "2024-01-01"],
            "line 6 augment.per_class: write '2024-01-01', in quotes: DVC cannot keep a date",
        ),
        (
            ["2024-13-45"],  # no date, though YAML takes it for one
            "line 5 augment.per_class: write '2024-13-45', in quotes: DVC cannot keep a date",
        ),
        (
            ["cat", "6", "9"],
            "line 6 augment.per_class: write '6', in quotes: "
            "DVC cannot sort it among the other names",
        ),
        (
            ["1", "true"],
            "line 6 augment.per_class: write 'true', in quotes: DVC cannot tell it from 1",
        ),
        (
            ["6", "6.0"],
            "line 6 augment.per_class: write '6.0', in quotes: DVC cannot tell it from 6",
        ),
        (["6", "cat", "'6'"], "line 7 augment.per_class: 6 is on line 5 too; keep one"),
        (["cat", "cat"], "line 6 augment.per_class: cat is on line 5 too; keep one"),
        (
            ["caf\u00e9", "cafe\u0301"],  # one name, composed and not
            "line 6 augment.per_class: cafe\u0301 is on line 5 too; keep one",
        ),
        (["[1, 2]"], "line 5 augment.per_class: needs names as keys, found a sequence"),
    ],
)
def test_where_dvc_would_lose_the_name_its_quotes_are_asked_for(
    keys: list[str], expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        read_classes(*keys)
    assert str(caught.value) == f"params.yaml {expected}"


@given(st.lists(st.sampled_from(SCALARS), min_size=1, max_size=3))
def test_what_is_taken_dvc_can_hash_and_writes_as_it_stands(keys: list[str]) -> None:
    text = "".join(f"{key}: 1\n" for key in keys)
    try:
        taken = load(text)
    except UserError:
        return
    assert list(taken) == [key.strip("'\"") for key in keys]
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    read = yaml.load(text)  # as DVC does
    json.dumps(read, sort_keys=True)
    lock = io.StringIO()
    yaml.dump(read, lock)
    assert set(load(lock.getvalue())) == set(taken)


def test_keys_of_an_anchor_are_names_too() -> None:
    assert load("a: &shared {6: 1}\nb: {<<: *shared, 7: 2}\n") == {
        "a": {"6": 1},
        "b": {"6": 1, "7": 2},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", "params.yaml ingest.group_pattern: needs a text: write 'true', in quotes"),
        ("007", "params.yaml ingest.group_pattern: needs a text: write '007', in quotes"),
        (
            "2024-01-01",
            "params.yaml line 2 ingest.group_pattern: write '2024-01-01', in quotes: "
            "DVC cannot keep a date",
        ),
        ("[1]", "params.yaml ingest.group_pattern: input should be a valid string, found [1]"),
    ],
)
def test_a_text_that_yaml_takes_for_something_else_needs_quotes(value: str, expected: str) -> None:
    Path("params.yaml").write_text(f"ingest:\n  group_pattern: {value}\n")
    with pytest.raises(UserError) as caught:
        read_params("ingest", IngestParams)
    assert str(caught.value) == expected


@example("-")
@example("a, b")
@given(
    st.one_of(
        st.sampled_from(SCALARS),
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
    )
)
def test_a_quoted_name_is_read_as_it_was(name: str) -> None:
    yaml = YAML(typ="safe")
    assert yaml.load(f"label_column: {quoted(name)}") == {"label_column": name}
    assert yaml.load(f"per_class: {{{quoted(name)}: 1}}") == {"per_class": {name: 1}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cat", "cat"), ("007", "'007'"), ("no", "no"), ("it's: 1", "'it''s: 1'")],
)
def test_only_what_needs_them_gets_quotes(name: str, expected: str) -> None:
    assert quoted(name) == expected


def test_a_value_in_one_line_is_read_as_it_was() -> None:
    value = {"6": ["y", "a: b", 1e-05, -0.5, 30, True, None, {}], "it's": {"x": [[1, 2], []]}}
    line = in_one_line(value)
    assert YAML(typ="safe").load(line) == value
    expected = "{'6': [y, 'a: b', 1e-05, -0.5, 30, true, null, {}], it's: {x: [[1, 2], []]}}"
    assert line == expected
