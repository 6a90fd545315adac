import pytest

from tasks.common.errors import UserError
from tasks.dataset.split_names import split_named
from tasks.ingest import folder_labels
from tasks.ingest.folder_labels import Layout

CLASSES, SPLITS = Layout("class_folders"), Layout("split_folders")


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["cat/a.png", "dog/b.png"], CLASSES),
        (["train/cat/a.png", "test/cat/b.png"], SPLITS),
        (["Training/cat/a.png", "Testing/cat/b.png", "VAL/cat/c.png"], SPLITS),
        (["train/cat/a.png", "notes.txt"], SPLITS),
        (["train/a.png", "car/b.png"], CLASSES),  # a class called train
        (["train/a.png", "test/b.png"], CLASSES),
        (["train/cat/a.png", ".ipynb_checkpoints/x"], SPLITS),
        (["pets/cat/a.png", "pets/dog/b.png", "LICENSE"], Layout("class_folders", "pets")),
        (
            ["a/b/train/cat/1.png", "a/b/test/cat/2.png", "a/README.md"],
            Layout("split_folders", "a/b"),
        ),
        (["cat/a.png", "cat/deep/b.png"], CLASSES),  # images lie in it: it is a class
        (["train/cat/a.png"], SPLITS),
        (["a.png"], CLASSES),
    ],
)
def test_layouts(names: list[str], layout: Layout) -> None:
    assert folder_labels.find_layout(names) == layout


def test_split_folders_beside_others_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        folder_labels.find_layout(["set/train/cat/a.png", "set/cat/b.png", "set/dog/c.png"])
    assert str(caught.value) == (
        "data/raw/set: needs split folders or class folders, found both: train beside cat, dog; "
        "move one kind away or set ingest.layout"
    )


@pytest.mark.parametrize(
    ("name", "layout", "expected"),
    [
        ("cat/a.png", CLASSES, ("cat", None)),
        ("cat/deep/a.png", CLASSES, ("cat", None)),
        ("a.png", CLASSES, (None, None)),
        (".cache/a.png", CLASSES, (None, None)),
        ("cat/.cache/a.png", CLASSES, (None, None)),
        ("train/cat/a.png", SPLITS, ("cat", "train")),
        ("Valid/cat/a.png", SPLITS, ("cat", "validation")),
        ("Testing/cat/deep/a.png", SPLITS, ("cat", "test")),
        ("train/a.png", SPLITS, (None, "train")),
        ("a.png", SPLITS, (None, None)),
        ("pets/train/cat/a.png", Layout("split_folders", "pets"), ("cat", "train")),
        ("README.md", Layout("split_folders", "pets"), (None, None)),
        ("test/a.png", Layout("tables"), (None, "test")),
        ("images/a.png", Layout("tables"), (None, None)),
    ],
)
def test_labels_and_splits(
    name: str, layout: Layout, expected: tuple[str | None, str | None]
) -> None:
    assert folder_labels.label_and_split(name, layout) == expected


@pytest.mark.parametrize(
    ("label_from", "label"), [("first", "pets"), ("last", "cat"), ("path", "pets/small/cat")]
)
def test_which_of_nested_folders_names_the_class(
    label_from: folder_labels.LabelFrom, label: str
) -> None:
    assert folder_labels.label_and_split("train/pets/small/cat/a.png", SPLITS, label_from) == (
        label,
        "train",
    )


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-000001.tar", "train"),
        ("a/t10k-images-idx3-ubyte.gz", "test"),
        ("imagenet_val_07.tar", "validation"),
        ("trains.tar", None),
        ("train/shard.tar", None),  # its folder speaks for itself
    ],
)
def test_splits_named_by_files(name: str, split: str | None) -> None:
    assert split_named(name) == split
