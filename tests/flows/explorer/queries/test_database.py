"""Rows of the manifests: as pandas joins them, of one state of the files, and nothing else."""

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from flows.explorer.queries import database
from tasks.common import tables
from tasks.common.errors import UserError
from tasks.dataset.columns import LEDGER_COLUMNS, VALIDATED_COLUMNS
from tasks.dataset.paths import COUNTS, EXPOSURE, LEDGER, PREDICTIONS, VALIDATED_MANIFEST
from tests.flows.explorer.random_tables import write_tables

COUNT = "SELECT count(*) AS rows FROM images"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, empty; its name holds what a pattern of paths would have."""
    folder = tmp_path / "it's [a] *"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def as_frame(rows: list[dict[str, object]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns).astype(object)


def test_relations_are_what_pandas_joins() -> None:
    expected = write_tables()
    for relation, rows, key in (
        ("images", expected.images, "file_name"),
        ("variants", expected.variants.drop(columns="file_name"), "variant_id"),
    ):
        found = database.select(f"SELECT * FROM {relation}")
        assert set(found[0]) == set(rows.columns)
        found_rows = as_frame(found, list(rows.columns)).sort_values(key, ignore_index=True)
        expected_rows = rows.astype(object).sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(
            found_rows.where(found_rows.notna(), None),
            expected_rows.where(expected_rows.notna(), None),
            check_dtype=False,
        )


def test_a_file_that_is_not_there_is_a_relation_without_rows() -> None:
    assert database.select(COUNT) == [{"rows": 0}]
    names = {
        "images": [
            *VALIDATED_COLUMNS.names,
            *("predicted", "probability", "probability_of_label", "correct"),
            *("presentations", "planned", "written", "rejected"),
        ],
        "variants": LEDGER_COLUMNS.names,
    }
    columns = {}
    for relation, expected in names.items():
        columns[relation] = database.select(f"DESCRIBE {relation}")
        assert [column["column_name"] for column in columns[relation]] == expected
    write_tables()  # the same columns of the same types, where the files are there
    for relation in names:
        assert database.select(f"DESCRIBE {relation}") == columns[relation]
    for path in (PREDICTIONS, EXPOSURE, COUNTS):
        path.unlink()
        assert database.select(COUNT) == [{"rows": 300}]
    assert database.select("SELECT DISTINCT correct, presentations, planned FROM images") == [
        {"correct": None, "presentations": None, "planned": None}
    ]


def test_images_that_are_not_used_have_nothing_of_the_one_that_they_are_copies_of() -> None:
    write_tables()
    sql = "SELECT DISTINCT planned, predicted, presentations FROM images WHERE status <> 'ok'"
    assert database.select(sql) == [{"planned": None, "predicted": None, "presentations": None}]


def test_numbers_of_rows_are_those_in_the_file_and_cannot_be_changed() -> None:
    write_tables()
    rows = pd.read_parquet(VALIDATED_MANIFEST)
    found = database.row_numbers("SELECT row FROM manifest WHERE label = ? ORDER BY row", ["NA"])
    assert found.dtype == np.int32
    assert found.tolist() == rows.index[rows["label"] == "NA"].tolist()
    assert database.row_numbers("SELECT row FROM manifest WHERE label = 'none'").tolist() == []
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_the_next_question_sees_files_that_were_replaced() -> None:
    asked = (database.select, database.select_once)
    sql = "SELECT count(*) AS rows FROM manifest"
    numbers = "SELECT row FROM manifest"
    for count in (5, 300, 7):
        write_tables(images=count)
        for ask in asked:
            assert ask(sql) == [{"rows": count}]
        assert len(database.row_numbers(numbers)) == count
        assert database.select_arrow(numbers).num_rows == count
    shutil.rmtree("data")
    assert database.select(sql) == database.select_once(sql) == [{"rows": 0}]


def test_a_link_into_the_cache_of_dvc_is_followed(folder: Path) -> None:
    write_tables(images=5)
    for path in (VALIDATED_MANIFEST, LEDGER, PREDICTIONS):
        kept = path.rename(folder / f"{path.parent.name} {path.name}")
        path.symlink_to(kept)
    assert database.select(COUNT) == [{"rows": 5}]


def test_another_folder_is_another_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tables(images=5)
    assert database.select_once(COUNT) == [{"rows": 5}]
    monkeypatch.chdir(tmp_path)
    assert database.select_once(COUNT) == [{"rows": 0}]


def test_what_is_replaced_while_it_is_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    write_tables(images=5)
    states = [database.state_of_files()]
    write_tables(images=7)
    now = database.state_of_files

    def late() -> database.State:
        return states.pop() if states else now()

    monkeypatch.setattr(database, "state_of_files", late)
    assert database.select(COUNT) == [{"rows": 7}]


def test_a_file_that_vanishes_while_it_is_read_is_told_where_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_tables(images=5)
    states = iter(range(1000))
    folder = Path.cwd()
    monkeypatch.setattr(database, "state_of_files", lambda: database.State(folder, (next(states),)))
    with pytest.raises(UserError) as error:
        database.select(COUNT)
    told = "the files of the dataset are being replaced; reload the page in a moment"
    assert str(error.value) == told


def test_damaged_files_and_those_of_other_versions_are_told() -> None:
    write_tables(images=5)
    VALIDATED_MANIFEST.write_bytes(b"PAR1")
    mend = "`variegate run --until validate --force` makes it anew"
    told = f"{VALIDATED_MANIFEST}: cannot be read as a manifest: "
    with pytest.raises(UserError) as error:
        database.select(COUNT)
    assert str(error.value).startswith(told) and str(error.value).endswith(mend)
    other = VALIDATED_COLUMNS.remove(VALIDATED_COLUMNS.get_field_index("cluster"))
    rows = pd.DataFrame(columns=other.names)
    tables.write_table(VALIDATED_MANIFEST, rows, other)
    with pytest.raises(UserError) as error:
        database.select(COUNT)
    problem = "has no column cluster, and may be of another version"
    assert str(error.value) == f"{VALIDATED_MANIFEST}: {problem}; {mend}"
    write_tables(images=5)
    PREDICTIONS.write_text("source_id,predicted\na,b\n")
    with pytest.raises(UserError) as error:
        database.select(COUNT)
    assert str(error.value).startswith(f"{PREDICTIONS}: cannot be read as a table: ")


def test_pages_of_a_manifest_that_are_damaged_are_told() -> None:
    write_tables()
    data = bytearray(LEDGER.read_bytes())
    data[50 : len(data) // 2] = bytes(len(data) // 2 - 50)
    LEDGER.write_bytes(data)
    with pytest.raises(UserError, match=r"^the dataset cannot be read: "):
        database.select("SELECT * FROM variants")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM 'params.yaml'",
        "SELECT * FROM read_csv('params.yaml')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO 'written.csv'",
        "ATTACH 'written.db'",
        "EXPORT DATABASE 'written'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET threads = 64",
        "SELECT * FROM folder",  # a variable of this program
    ],
)
def test_even_our_own_text_reaches_no_other_file_and_writes_none(sql: str, folder: Path) -> None:
    (folder / "params.yaml").write_text("secret: 1\n")
    with pytest.raises((duckdb.Error, UserError)):
        database.select(sql)
    assert [path.name for path in folder.iterdir()] == ["params.yaml"]


def test_a_file_of_the_dataset_cannot_be_written() -> None:
    write_tables(images=5)
    before = PREDICTIONS.read_bytes()
    for sql in (f"COPY (SELECT 1) TO '{PREDICTIONS}'", f"COPY manifest TO '{LEDGER}'"):
        with pytest.raises((duckdb.Error, UserError)):
            database.select(sql)
    assert PREDICTIONS.read_bytes() == before
