import errno
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from tasks.common import tables
from tasks.common.errors import UserError, one_line
from tasks.common.temporary import atomic_write
from tasks.dataset.selections import example_rows

SCHEMA = pa.schema({"name": pa.string(), "number": pa.int64()})
ROWS = pd.DataFrame({"name": ["a", None, "c"], "number": [1, 2, 3]})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new/manifest.parquet"
    tables.write_table(path, ROWS.assign(more=1), SCHEMA)
    found = tables.read_table(path, SCHEMA, made_by="test")
    assert list(found) == ["name", "number"]
    assert found["name"].isna().tolist() == [False, True, False] and found["number"].tolist() == [
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("cut", [1, 7, 100_000, 199_999])
def test_bytes_do_not_depend_on_how_the_rows_arrive(cut: int, tmp_path: Path) -> None:
    table = pa.table({"name": ["x"] * 200_000, "number": range(200_000)}, schema=SCHEMA)
    for name, parts in (("whole", [table]), ("parts", [table.slice(0, cut), table.slice(cut)])):
        with tables.ParquetWriter(tmp_path / name, SCHEMA) as writer:
            for part in parts:
                writer.write(part)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("named", [True, False])
def test_a_full_disk_names_the_file_that_people_know(named: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OSError) as caught, atomic_write(path) as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", *([str(temporary)] if named else []))
    assert one_line(caught.value) == f"{path}: No space left on device"


def test_csv_keeps_every_row_on_its_line(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"name": ["a,b", 'say "hi"', "line\nbreak", "\r", None], "number": range(5)}
    )
    tables.write_csv(tmp_path / "x.csv", rows)
    assert (tmp_path / "x.csv").read_text().splitlines() == [
        "name,number", '"a,b",0', '"say ""hi""",1', "line\\x0abreak,2", "\\x0d,3", ",4",
    ]  # fmt: skip
    assert pd.read_csv(tmp_path / "x.csv")["number"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_what_is_no_manifest_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    if content is None:
        pd.DataFrame({"name": ["a"], "number": ["not a number"]}).to_parquet(path)
    else:
        path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"manifest\.parquet: cannot be read as a manifest: "
    ) as caught:
        tables.read_table(path, SCHEMA, made_by="test")
    assert "\n" not in str(caught.value)


def test_a_manifest_of_another_version_is_told_by_the_column_that_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    tables.write_table(path, ROWS, SCHEMA)
    with pytest.raises(UserError) as caught:
        tables.read_table(path, SCHEMA.append(pa.field("border", pa.float64())), made_by="augment")
    assert str(caught.value) == (
        f"{path}: cannot be read as a manifest: has no column border, and may be of another "
        "version; `variegate run --until augment --force` makes it anew"
    )


def test_examples_take_turns_among_the_classes() -> None:
    rows = pd.DataFrame({"source_id": list("dcba"), "label": ["x", "x", "x", "y"]})
    assert example_rows(rows, 3)["source_id"].tolist() == ["b", "a", "c"]
