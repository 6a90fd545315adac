from pathlib import Path

import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.ingest import table_labels
from tasks.ingest.containers import Annotation


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    RAW.mkdir(parents=True)
    return RAW


ENTRIES = {
    "a.png": Annotation("cat, small", "train", "p1"),
    "b c.png": Annotation("dog", "test", None),
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "labels.csv",
            'file_name,label,split,group_id\na.png,"cat, small",train,p1\nb c.png,dog,TEST,\n',
        ),
        (
            "labels.tsv",
            "file_name\tlabel\tsplit\tgroup_id\r\n"
            "a.png\tcat, small\ttrain\tp1\r\nb c.png\tdog\ttesting\t\r\n",
        ),
        (
            "bom.csv",
            "\ufefffile_name, label, split, group_id\n"
            'a.png,"cat, small",train,p1\n\nb c.png, dog ,test,\n',
        ),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "label": "cat, small", "split": "train", '
            '"group_id": "p1", "text": "x"}\n'
            '{"file_name": "./b c.png", "label": "dog", "split": "test"}\n',
        ),
    ],
)
def test_formats(name: str, text: str) -> None:
    (RAW / name).write_text(text, newline="")
    assert table_labels.is_table(name, {name, "a.png"})
    table = table_labels.read_table(name)
    assert table.has_labels
    assert table.entries == ENTRIES


def test_parquet_and_numbers_as_labels() -> None:
    pd.DataFrame({"file_name": ["a.png", "b.png"], "label": [3.0, 10.0]}).to_parquet(
        RAW / "t.parquet"
    )
    assert table_labels.is_table("t.parquet", set())
    assert table_labels.read_table("t.parquet").entries == {
        "a.png": Annotation("3", None, None),
        "b.png": Annotation("10", None, None),
    }


@pytest.mark.parametrize("text", ["a.png\tcat, small\nb c.png\tdog\n", "a.png cat\nb c.png dog\n"])
def test_lists_of_paths_and_labels(text: str) -> None:
    (RAW / "val.txt").write_text(text)
    assert table_labels.is_table("val.txt", {"a.png"})
    assert not table_labels.is_table("val.txt", {"z.png"})  # its first line names no file
    entries = table_labels.read_table("val.txt").entries
    assert entries["b c.png"] == Annotation("dog", "validation", None)


def test_names_count_from_the_tables_folder_and_its_folder_may_name_the_split() -> None:
    (RAW / "train").mkdir()
    (RAW / "train/metadata.csv").write_text("file_name,label\nx/a.png,cat\n../b.png,dog\n")
    entries = table_labels.read_table("train/metadata.csv").entries
    assert entries == {
        "train/x/a.png": Annotation("cat", "train", None),
        "b.png": Annotation("dog", "train", None),
    }


def test_a_table_without_labels_still_names_groups() -> None:
    (RAW / "patients.csv").write_text("file_name,group_id\na.png,7\n")
    table = table_labels.read_table("patients.csv")
    assert not table.has_labels and table.entries == {"a.png": Annotation(None, None, "7")}


def test_other_files_are_no_tables() -> None:
    (RAW / "other.csv").write_text("id,breed\n1,x\n")
    (RAW / "README.txt").write_text("Some words about the images\n")
    (RAW / "x.csv").write_bytes(b"\xff\xfe\x00")
    (RAW / "x.parquet").write_bytes(b"PAR1")
    assert not any(
        table_labels.is_table(name, {"a.png"})
        for name in ("other.csv", "README.txt", "x.csv", "x.parquet", "a.png")
    )


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "l.csv",
            "file_name,label\na.png,cat, small\n",
            "data/raw/l.csv line 2: needs 2 fields, found 3; a field with a ',' needs quotes",
        ),
        (
            "l.csv",
            "file_name,label\n,cat\n",
            "data/raw/l.csv line 2: needs a file_name, found none",
        ),
        (
            "l.csv",
            "file_name,label,split\na.png,cat,extra\n",
            "data/raw/l.csv line 2: split needs to be train, validation or test, found 'extra'",
        ),
        (
            "l.csv",
            "file_name,label,group_id\na.png,cat,1\na.png,cat,2\n",
            "data/raw/l.csv line 3: a.png is named before, with another split or group",
        ),
        (
            "l.csv",
            "file_name;label\na.png;cat\n",
            "data/raw/l.csv: needs columns parted by ',', each once, file_name among them; "
            "found 'file_name;label'",
        ),
        (
            "l.csv",
            f"file_name,label\na.png,{'x' * 1001}\n",
            "data/raw/l.csv line 2: needs at most 1,000 characters, found 1,001",
        ),
        (
            "l.jsonl",
            '{"file_name": "a.png", "label": "\\ud800"}\n',
            "data/raw/l.jsonl line 1: needs text in UTF-8, found '\\ud800'",
        ),
        (
            "l.jsonl",
            '{"file_name": ["a"]}\n',
            "data/raw/l.jsonl line 1: needs text or a number, found list",
        ),
        (
            "l.jsonl",
            '{"file_name": "a.png"}\n[1]\n',
            "data/raw/l.jsonl line 2: needs an object with file_name and label, found list",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(name: str, text: str, expected: str) -> None:
    (RAW / name).write_text(text)
    assert table_labels.is_table(name, set())
    with pytest.raises(UserError) as caught:
        table_labels.read_table(name)
    assert str(caught.value) == expected


def test_two_labels_for_one_file_are_a_conflict() -> None:
    (RAW / "l.csv").write_text("file_name,label\na.png,cat\na.png,dog\nb.png,cat\nb.png,cat\n")
    assert table_labels.read_table("l.csv").conflicts == {"a.png": "l.csv says cat and dog"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_in_another_encoding_is_an_error_and_not_passed_over(encoding: str) -> None:
    (RAW / "l.csv").write_text("file_name,label\na.png,caf\u00e9\n", encoding=encoding)
    assert table_labels.is_table("l.csv", set())
    with pytest.raises(UserError, match=r"^data/raw/l\.csv line \d: cannot be read: 'utf-8' codec"):
        table_labels.read_table("l.csv")


def test_two_tables_with_two_splits_for_one_file_are_an_error() -> None:
    for name in ("test", "train"):
        (RAW / f"{name}.csv").write_text("file_name,label\na.png,cat\n")
    with pytest.raises(UserError) as caught:
        table_labels.merge_tables(
            [table_labels.read_table("test.csv"), table_labels.read_table("train.csv")]
        )
    assert (
        str(caught.value) == "data/raw/train.csv: a.png is of split 'train', and 'test' in test.csv"
    )


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    import os

    os.mkfifo(RAW / "l.csv")
    assert not table_labels.is_table("l.csv", set()) and table_labels.header_of("l.csv") is None
