"""What ingest says of tables: which it took, which names it did not find, what would mend it."""

from pathlib import Path

import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.ingest.__main__ import Ingested, ingest
from tasks.ingest.params import IngestParams


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RAW.mkdir(parents=True)


def ingested(files: list[str], tables: dict[str, str], **params: str | int) -> Ingested:
    for name, text in [*((file, file) for file in files), *tables.items()]:
        (RAW / name).parent.mkdir(parents=True, exist_ok=True)
        (RAW / name).write_text(text)
    return ingest(IngestParams.model_validate(params))


def labels_of(done: Ingested) -> dict[str, str | None]:
    rows = done.rows.to_pydict()
    return dict(zip(rows["file_name"], rows["label"], strict=True))


FILES = ["images/1.JPG", "images/2.JPG"]


@pytest.mark.parametrize(
    ("written", "differ", "value"),
    [
        ("images/{}", "their ending", "stem"),
        ("images/{}.jpg", "their case", "ignore_case"),
        ("/home/me/images/{}.JPG", "their folder", "basename"),
        ("{}", "their folder, ending or case", "loose"),
    ],
)
def test_names_that_differ_are_told_with_what_takes_them(
    written: str, differ: str, value: str
) -> None:
    names = [written.format(number) for number in (1, 2)]
    table = {"labels.csv": f"file_name,label\n{names[0]},cat\n{names[1]},dog\n"}
    done = ingested(FILES, table)
    assert labels_of(done) == dict.fromkeys(FILES)
    assert done.findings["notes"] == [
        f"tables have names that differ in {differ} only: 2, as {names[0]} in labels.csv "
        f"for images/1.JPG; `ingest.match_names: {value}` takes them"
    ]
    assert len(done.missing) == 2
    done = ingested(FILES, table, match_names=value)
    assert labels_of(done) == {"images/1.JPG": "cat", "images/2.JPG": "dog"}
    assert done.findings["notes"] == [] and done.missing.empty


def test_each_kind_of_name_is_told_of_and_loose_takes_them_all() -> None:
    files = [*FILES, "images/3.png", "images/3.gif"]
    text = "file_name,label\nimages/1,cat\n2.JPG,dog\nimages/3,cat\nimages/4.png,cat\n"
    done = ingested(files, {"labels.csv": text})
    assert done.findings["notes"] == [
        "tables have names that differ in their ending only: 1, as images/1 in labels.csv "
        "for images/1.JPG; `ingest.match_names: loose` takes them",
        "tables have names that differ in their folder only: 1, as 2.JPG in labels.csv "
        "for images/2.JPG; `ingest.match_names: loose` takes them",
        "tables have names that fit several files: 1, as images/3 in labels.csv "
        "for images/3.gif and images/3.png; write more of them",
        "tables name files that are not there: 1, images/4.png in labels.csv for one; "
        "names count from the table's folder; see data/ingested/missing.csv",
    ]
    done = ingested(files, {"labels.csv": text}, match_names="loose")
    assert labels_of(done) == {
        "images/1.JPG": "cat",
        "images/2.JPG": "dog",
        "images/3.gif": None,
        "images/3.png": None,
    }
    expected = pd.DataFrame(
        {
            "table": ["labels.csv"] * 2,
            "file_name": ["images/3", "images/4.png"],
            "label": ["cat"] * 2,
        }
    )
    pd.testing.assert_frame_equal(done.missing, expected)


def test_food_101s_lists_name_splits_and_its_folders_classes() -> None:
    files = [f"images/{name}/{number}.jpg" for name in ("pie", "tart") for number in (1, 2)]
    lists = {
        "meta/train.txt": "pie/1\ntart/1\n",
        "meta/test.txt": "pie/2\ntart/2\n",
        "meta/classes.txt": "pie\ntart\n",
    }
    done = ingested(files, lists, match_names="loose")
    rows = {row["file_name"]: (row["label"], row["split"]) for row in done.rows.to_pylist()}
    assert {name: rows[name] for name in files} == {
        "images/pie/1.jpg": ("pie", "train"),
        "images/pie/2.jpg": ("pie", "test"),
        "images/tart/1.jpg": ("tart", "train"),
        "images/tart/2.jpg": ("tart", "test"),
    }
    assert done.findings["label_files"] == ["meta/test.txt", "meta/train.txt"]


def test_the_columns_that_were_found_stand_in_the_layout() -> None:
    text = "image;class\nimages/1.JPG;cat\nimages/2.JPG;dog\n"
    done = ingested(FILES, {"labels.csv": text})
    assert done.findings["layout"] == "tables (labels.csv: columns image, class) (detected)"


def test_a_table_that_says_nothing_is_told_where_labels_lack() -> None:
    text = {"labels.csv": "file_name,breed\n1.png,cat\n"}
    advice = "labels.csv labels nothing: needs a column called label, found 'file_name,breed'; "
    advice += "`ingest.label_column: breed` takes one of them"
    assert ingested(["1.png"], text).findings["notes"] == [advice]
    done = ingested(["1.png"], text, label_column="breed")
    assert (labels_of(done), done.findings["notes"]) == ({"1.png": "cat"}, [])


def test_layout_tables_without_a_table_says_what_is_there() -> None:
    with pytest.raises(UserError) as caught:
        ingested(FILES, {"labels.csv": "x,y\n1,2\n"}, layout="tables")
    need = "needs a table with the columns file_name and label"
    assert str(caught.value) == (
        f"data/raw: ingest.layout is tables: {need}, found labels.csv labels nothing: "
        "needs the columns file_name and label, found 'x,y'"
    )


def test_tables_are_left_alone_where_folders_are_asked_for() -> None:
    done = ingested(FILES, {"labels.csv": "x,y\n1,2\n"}, layout="class_folders")
    assert done.findings["notes"] == [] and labels_of(done)["images/1.JPG"] == "images"
