import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.ingest.tables.readers import OPENERS
from tasks.ingest.tables.values import Annotation
from tests.tasks.ingest.tables.found import find, labels_of

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
    (table,) = find({name: text}, []).tables
    assert table.has_labels
    assert table.entries == ENTRIES


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, None], ["3", None]),
        ([1.0, 1.5], ["1.0", "1.5"]),
        ([True, False], ["True", "False"]),
        ([2**63 - 1, 7], ["9223372036854775807", "7"]),
        (["007", "8"], ["007", "8"]),
        (["cat", None], ["cat", None]),
    ],
)
def test_csv_jsonl_and_parquet_give_the_same_labels(
    values: list[Any], expected: list[str | None]
) -> None:
    frame = pd.DataFrame({"file_name": ["a.png", "b.png"], "label": values})
    by_format = [
        find({"l.csv": frame.to_csv(index=False)}),
        find({"l.jsonl": frame.to_json(orient="records", lines=True)}),
        find({"l.parquet": frame.to_parquet()}),
        find({"l.parquet": frame.astype({"label": "category"}).to_parquet()}),
    ]
    for found in by_format:
        assert list(labels_of(found).values()) == expected


def test_labels_of_all_tables_have_one_form() -> None:
    train, val = "file_name,label\na.png,3\n", "file_name,label\nb.png,3.0\nc.png,\n"
    assert labels_of(find({"train.csv": train, "val.csv": val})) == {
        "a.png": "3",
        "b.png": "3",
        "c.png": None,
    }
    versions = find({"train.csv": "file_name,label\na.png,1.5\n", "val.csv": val})
    assert labels_of(versions)["b.png"] == "3.0"


def test_numbered_classes_of_hugging_face_have_their_names() -> None:
    feature = {"names": ["cat", "dog"], "_type": "ClassLabel"}
    info = {"info": {"features": {"label": feature}}}
    table = pa.table({"file_name": ["a.png", "b.png", "c.png"], "label": [1, 0, -1]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, RAW / "train.parquet")
    found = find({"train.parquet": (RAW / "train.parquet").read_bytes()})
    assert labels_of(found) == {"a.png": "dog", "b.png": "cat", "c.png": None}


def test_images_in_a_parquet_file_are_no_names() -> None:
    images = [{"bytes": b"x", "path": "a.png"}]
    pq.write_table(pa.table({"image": images, "raw": [b"x"], "label": [1]}), RAW / "i.parquet")
    found = find({"i.parquet": (RAW / "i.parquet").read_bytes()})
    assert (found.tables, found.notes) == ([], [])


def test_keys_that_come_late_in_jsonl_are_read() -> None:
    rows = [{"file_name": f"{number}.png"} for number in range(2000)]
    rows[-1] |= {"label": "cat", "group_id": 7.0}
    (table,) = find({"m.jsonl": "\n".join(map(json.dumps, rows))}).tables
    assert table.has_labels and table.entries["1999.png"] == Annotation("cat", None, "7")


def test_names_count_from_the_tables_folder_and_its_folder_may_name_the_split() -> None:
    found = find({"train/metadata.csv": "file_name,label\nx/a.png,cat\n../b.png,dog\n"})
    assert found.tables[0].entries == {
        "train/x/a.png": Annotation("cat", "train", None),
        "b.png": Annotation("dog", "train", None),
    }


def test_a_list_may_have_blanks_in_its_paths() -> None:
    found = find({"val.txt": "a.png cat\nb c.png dog\n"})
    assert found.tables[0].entries["b c.png"] == Annotation("dog", "validation", None)


def test_a_table_without_labels_still_names_groups() -> None:
    (table,) = find({"patients.csv": "file_name,group_id\na.png,7\n"}).tables
    assert not table.has_labels and table.entries == {"a.png": Annotation(None, None, "7")}


def test_names_that_no_file_has_are_kept_as_they_are_written() -> None:
    (table,) = find({"x/l.csv": "file_name,label\n.\\y\\gone.png,cat\n"}).tables
    assert table.unmatched == {"x/y/gone.png": ".\\y\\gone.png"}
    assert table.entries["x/y/gone.png"].label == "cat"


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
            'file_name,label\na.png,"two\nlines"\nb.png,"x"y\n',
            "data/raw/l.csv line 4: cannot be read: ',' expected after '\"'",
        ),
        (
            "l.csv",
            f"file_name,label\na.png,{'x' * 1001}\n",
            "data/raw/l.csv line 2: needs at most 1,000 characters, found 1,001",
        ),
        (
            "l.txt",
            "a.png cat\n\nb.png\n",
            "data/raw/l.txt line 3: needs 2 fields, found 1; "
            "a path and a label, separated by a blank",
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
        (
            "l.jsonl",
            '{"file_name": "a.png"\n',
            "data/raw/l.jsonl line 1: not valid JSON: Expecting ',' delimiter",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(name: str, text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        find({name: text})
    assert str(caught.value) == expected


def test_two_labels_for_one_file_are_a_conflict() -> None:
    (table,) = find(
        {"l.csv": "file_name,label\na.png,cat\na.png,dog\nb.png,cat\nb.png,cat\n"}
    ).tables
    assert table.conflicts == {"a.png": "l.csv says cat and dog"}


def test_two_tables_with_two_splits_for_one_file_are_an_error() -> None:
    text = "file_name,label\na.png,cat\n"
    with pytest.raises(UserError) as caught:
        labels_of(find({"test.csv": text, "train.csv": text}))
    assert (
        str(caught.value) == "data/raw/train.csv: a.png is of split 'train', and 'test' in test.csv"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_table() -> None:
    from tasks.ingest.tables.columns import Wanted
    from tasks.ingest.tables.finding import find_tables
    from tasks.ingest.tables.names import NameMatcher

    os.mkfifo(Path(RAW / "l.csv"))
    assert find_tables(["l.csv"], NameMatcher([]), Wanted()) == ([], [])


BYTES = st.lists(
    st.sampled_from([b"a.png", b"file_name", b"label", b"sep=;", b",", b";", b"\t", b" ", b'"'])
    | st.sampled_from([b"\n", b"\r", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b"}", b":", b"7"])
    | st.binary(max_size=3),
    max_size=40,
).map(b"".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(BYTES, st.sampled_from(sorted(OPENERS)))
def test_whatever_a_file_holds_it_is_read_or_told(content: bytes, extension: str) -> None:
    with contextlib.suppress(UserError):
        find({f"train{extension}": content}, match="loose")
