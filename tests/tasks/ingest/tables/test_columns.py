"""Which columns of people's tables and lists hold what."""

import pytest

from tasks.common.errors import UserError
from tasks.ingest.tables.columns import Wanted
from tasks.ingest.tables.values import Annotation
from tests.tasks.ingest.tables.found import find, labels_of

LABELS = {"a.png": "cat", "b.png": "dog"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "file_name;label\na.png;cat\nb.png;dog\n"),
        ("l.csv", "file_name\tlabel\na.png\tcat\nb.png\tdog\n"),
        ("l.csv", "Image;Class;score\na.png;cat;0,5\nb.png;dog;0,7\n"),
        ("l.csv", ",image,label\n0,a.png,cat\n1,b.png,dog\n"),  # pandas' index
        ("l.csv", "File Name , LABEL\na.png,cat\nb.png,dog\n"),
        ("l.csv", "image.path,class.name\na.png,cat\nb.png,dog\n"),
        ("l.csv", "path,mask,category\na.png,c d.png,cat\nb.png,a.png,dog\n"),
        ("l.csv", "whatever,target\na.png,cat\nb.png,dog\n"),
        ("l.csv", "filename,label,class\na.png,cat,1\nb.png,dog,2\n"),
        ("l.tsv", "image\tlabel\na.png\tcat\nb.png\tdog\n"),
        ("l.tsv", "image,label\na.png,cat\nb.png,dog\n"),
        ("l.txt", "Filename\tCategory\na.png\tcat\nb.png\tdog\n"),
        ("l.txt", "file_name label\na.png cat\nb.png dog\n"),
        ("l.csv", "a.png,cat\nb.png,dog\n"),
        ("l.csv", '"a.png","cat"\n"b.png", "dog"\n'),
        ("l.csv", "gone.png,cat\na.png,cat\nb.png,dog\n"),
        ("l.txt", "a.png,cat\nb.png,dog\n"),
        ("l.txt", "a.png , cat\nb.png , dog\n"),
        ("l.txt", "a.png; cat\nb.png; dog\n"),
        ("l.txt", "a.png\tcat\nb.png\tdog\n"),
        ("l.txt", "a.png   cat\nb.png dog\n"),
        ("l.txt", '"a.png" cat\n"b.png" dog\n'),
        ("l.txt", "a.png,cat,3,x\nb.png,dog,4,y\n"),
        ("l.csv", "a.png,3,5,30,40,cat\nb.png,4,6,31,41,dog\n"),  # boxes
        ("l.csv", "sep=;\nimage;label\na.png;cat\nb.png;dog\n"),  # Excel's
        ("l.csv", "image,label\na.png,cat,\nb.png,dog,\n"),
        ("l.txt", "a.png cat 3 x\nb.png dog 4 y\n"),
        ("l.txt", "cat a.png\ndog b.png\n"),
        ("l.txt", "\n a.png cat\n\nb.png dog \n"),
        ("l.lst", "7\tcat\ta.png\n3\tdog\tb.png\n"),  # MXNet's
        ("l.jsonl", '{"image": "a.png", "class": "cat"}\n{"image": "b.png", "class": "dog"}\n'),
    ],
)
def test_obvious_tables_and_lists_are_read(name: str, text: str) -> None:
    found = find({name: text})
    assert found.notes == []
    assert {file: labels_of(found)[file] for file in LABELS} == LABELS


def test_which_columns_were_found_is_said() -> None:
    found = find({"l.csv": "image,class\na.png,cat\n", "m.txt": "b.png,dog,1\n"})
    guessed = [table.columns.guessed for table in found.tables]
    assert guessed == ["columns image, class", "labels from column 2 of 3"]


def test_a_column_of_splits_in_a_list() -> None:
    found = find({"l.txt": "a.png,cat,train\nb.png,dog,VAL\n"})
    assert found.tables[0].entries == {
        "a.png": Annotation("cat", "train", None),
        "b.png": Annotation("dog", "validation", None),
    }


@pytest.mark.parametrize("text", ["a.png\nc d.png\n", "path\na.png\nc d.png\n"])
@pytest.mark.parametrize("name", ["meta/val.txt", "val.csv", "lists/val/files.txt"])
def test_a_list_of_paths_names_the_split_that_it_is_called_after(name: str, text: str) -> None:
    up = "../" * name.count("/")
    (table,) = find({name: text.replace("a.png", f"{up}a.png").replace("c d", f"{up}c d")}).tables
    assert not table.has_labels
    split = Annotation(None, "validation", None)
    assert table.entries == {"a.png": split, "c d.png": split}


def test_the_first_line_of_a_list_counts_where_its_file_is_missing() -> None:
    (table,) = find({"train.txt": "gone\na\nb\n"}, match="stem").tables
    assert list(table.entries) == ["gone", "a.png", "b.png"]
    assert table.unmatched == {"gone": "gone"}


def test_a_column_that_numbers_the_rows_holds_no_labels() -> None:
    files = [f"n01/{number}.png" for number in range(60)]
    rows = "".join(f"{file} {number}\n" for number, file in enumerate(files, 1))
    (table,) = find({"train.txt": rows}, files).tables  # ImageNet's train_cls.txt
    assert not table.has_labels and table.entries["n01/0.png"].split == "train"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.txt", "Some words\nabout a.png\n"),
        ("README.txt", "file_name and label are the columns of labels.csv\nSee there.\n"),
        ("classes.txt", "cat\ndog\n"),
        ("list.txt", "a.png\nb.png\n"),  # neither labels nor a split
        ("x.parquet", "PAR1"),
        ("x.jsonl", '{"text": "x"}\n'),
        ("a.png", "x"),
    ],
)
def test_other_files_are_no_tables(name: str, text: str) -> None:
    found = find({name: text})
    assert (found.tables, found.notes) == ([], [])


NEEDS = "needs a column called label, found"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("l.csv", "id,breed\n1,x\n", "needs the columns file_name and label, found 'id,breed'"),
        ("l.csv", "", "is empty"),
        (
            "l.csv",
            "image,breed,age\na.png,cat,3\n",
            f"{NEEDS} 'image,breed,age'; `ingest.label_column: breed` takes one of them",
        ),
        (
            "l.txt",
            "image\tbreed\na.png\tcat\n",
            f"{NEEDS} 'image,breed'; `ingest.label_column: breed` takes one of them",
        ),
        (
            "l.csv",
            "image,2024\na.png,pug\nb.png,boxer\n",
            f"{NEEDS} 'image,2024'; `ingest.label_column: '2024'` takes one of them",
        ),
        (
            "l.csv",
            "image,class,category\na.png,cat,3\n",
            "several columns may hold the labels: class, category; "
            "`ingest.label_column: class` takes one",
        ),
        (
            "l.csv",
            "left,right,label\na.png,b.png,cat\n",
            "several columns name files: left, right; `ingest.file_column: left` takes one",
        ),
        (
            "l.csv",
            "file_name,label,label\na.png,cat,dog\n",
            "needs each column once, found label twice",
        ),
        (
            "l.csv",
            "id_code,diagnosis\na,1\nb,2\n",
            "its names differ from those of files in their ending only: a for a.png; "
            "`ingest.match_names: stem` takes them, with `ingest.label_column: diagnosis` for one",
        ),
        (
            "val.txt",
            "a\nb\n",
            "its names differ from those of files in their ending only: a for a.png; "
            "`ingest.match_names: stem` takes them",
        ),
        (
            "l.txt",
            "x/a.png cat\nx/b.png dog\n",
            "its names differ from those of files in their folder only: x/a.png for a.png; "
            "`ingest.match_names: basename` takes them",
        ),
    ],
)
def test_what_is_nearly_a_table_is_told_with_what_makes_it_one(
    name: str, text: str, why: str
) -> None:
    found = find({name: text})
    assert found.tables == []
    assert found.notes == [f"{name} labels nothing: {why}"]


@pytest.mark.parametrize("column", ["breed", "Breed", 3])
def test_the_column_of_labels_can_be_said(column: str | int) -> None:
    text = "image,label,breed\na.png,1,cat\nb.png,2,dog\n"
    assert labels_of(find({"l.csv": text}, wanted=Wanted(label=column))) == LABELS


def test_the_column_of_labels_of_a_list_is_said_by_its_number() -> None:
    text = "a.png,1,cat\nb.png,2,dog\n"
    assert labels_of(find({"l.txt": text}, wanted=Wanted(label=3))) == LABELS


@pytest.mark.parametrize("column", ["left", 1])
def test_the_column_of_files_can_be_said(column: str | int) -> None:
    text = "left,right,label\na.png,b.png,cat\nb.png,a.png,dog\n"
    assert labels_of(find({"l.csv": text}, wanted=Wanted(file=column))) == LABELS


def test_ids_without_endings_and_another_column_of_labels() -> None:
    text = "id_code,diagnosis\na,cat\nb,dog\n"
    found = find({"l.csv": text}, match="stem", wanted=Wanted(label="diagnosis"))
    assert labels_of(found) == LABELS


def test_a_guess_that_concerns_few_images_is_told_and_not_taken() -> None:
    files = [f"cat/{number}.png" for number in range(5)]
    tables = {"boxes.csv": "image,class,x\ncat/0.png,1,7\ncat/1.png,2,8\n"}
    found = find(tables, files)
    assert (found.tables, found.notes) == (
        [],
        [
            "boxes.csv labels nothing: columns image, class, for 2 of 5 images; "
            "`ingest.label_column: class` takes it"
        ],
    )
    found = find(tables, files, wanted=Wanted(label="class"))
    assert labels_of(found) == {"cat/0.png": "1", "cat/1.png": "2"}
    lists = {"more.txt": "cat/2.png,3,x,5\ncat/3.png,4,y,6\n"}
    assert len(find(tables | lists, files).tables) == 2  # together they name four of five


def test_a_list_of_checksums_beside_class_folders_labels_nothing() -> None:
    files = [f"{folder}/{number}.png" for folder in ("cat", "dog") for number in range(4)]
    sums = "".join(f"{name} {number * 7919:032x}\n" for number, name in enumerate(files))
    found = find({"sums.txt": sums}, files)
    assert (found.tables, found.notes) == (
        [],
        [
            "sums.txt labels nothing: column 2 has nearly another value for each image; "
            "`ingest.label_column: 2` takes it"
        ],
    )
    assert len(find({"sums.txt": sums}, files, wanted=Wanted(label=2)).tables) == 1
    classes = "".join(f"{name} {number % 3}\n" for number, name in enumerate(files))
    assert len(find({"l.txt": classes}, files).tables) == 1


def test_a_column_of_splits_may_be_called_otherwise() -> None:
    (table,) = find({"l.csv": "file_name,label,Set\na.png,cat,train\nb.png,dog,Test\n"}).tables
    assert [entry.split for entry in table.entries.values()] == ["train", "test"]
    (table,) = find({"l.csv": "file_name,label,set\na.png,cat,7\nb.png,dog,train\n"}).tables
    assert [entry.split for entry in table.entries.values()] == [None, None]


def test_a_form_for_predictions_is_not_offered_as_labels() -> None:
    files = [f"{number}.png" for number in range(5)]
    table = {"sample_submission.csv": "image,label\n0.png,0\n1.png,0\n"}
    assert find(table, files).notes == [
        "sample_submission.csv labels nothing: columns image, label, for 2 of 5 images, "
        "all with one label"
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("file_name,label\na.png,cat\n", "l.csv with file_name, label"),
        ("x,y\n1,2\n", "l.csv labels nothing: needs the columns file_name and label, found 'x,y'"),
    ],
)
def test_a_column_that_no_table_has_is_an_error(text: str, found: str) -> None:
    with pytest.raises(UserError) as caught:
        find({"l.csv": text}, wanted=Wanted(label="breed"))
    need = "needs a table with this column"
    assert str(caught.value) == f"data/raw: ingest.label_column is 'breed': {need}, found {found}"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (
            2,
            "data/raw: ingest.label_column is 2, and l.csv has a column 2: "
            "write '2', in quotes, for that column, or '1' for column number 2",
        ),
        (
            2024,
            "data/raw: ingest.label_column is 2024, and l.csv has a column 2024: "
            "write '2024', in quotes, for that column",
        ),
    ],
)
def test_a_number_that_is_also_the_name_of_another_column_is_an_error(
    number: int, expected: str
) -> None:
    table = {"l.csv": "file_name,1,2,2024\na.png,cat,x,7\nb.png,dog,y,8\n"}
    with pytest.raises(UserError) as caught:
        find(table, wanted=Wanted(label=number))
    assert str(caught.value) == expected
    labels = {2: ["x", "y"], 2024: ["7", "8"]}[number]
    named = find(table, wanted=Wanted(label=str(number)))
    assert labels_of(named) == dict(zip(("a.png", "b.png"), labels, strict=True))
