import pytest

from tasks.common.errors import UserError
from tasks.dataset.split_names import split_named
from tasks.ingest import folder_labels
from tasks.ingest.folder_labels import Layout, SplitFolder, label_and_split

CLASSES = Layout("class_folders")


def in_each(*folders: str, classes: tuple[str, ...] = ("cat", "dog")) -> list[str]:
    """A picture in each class folder of these folders."""
    names = []
    for folder in folders:
        names += [f"{folder}/{label}/1.jpg" for label in classes]
    return names


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["cat/a.png", "dog/b.png"], CLASSES),
        (["train/a.png", "car/b.png"], CLASSES),  # a class called train
        (["train/a.png", "test/b.png"], CLASSES),
        (["pets/cat/a.png", "pets/dog/b.png", "LICENSE"], Layout("class_folders", "pets")),
        (["pets/cat/a.png", "pets/dog/b.png", "docs/a.txt"], Layout("class_folders", "pets")),
        (["cat/a.png", "cat/deep/b.png"], CLASSES),  # images lie in it: it is a class
        (["a.png"], CLASSES),
        (
            ["test_tube/1.jpg", "train_station/2.jpg", "validation_stamp/3.jpg", "shoe/4.jpg"],
            CLASSES,
        ),
        (["training_shoes/1.jpg", "shoe/2.jpg"], CLASSES),
        (in_each("valid_pass", "invalid_pass", classes=("old", "new", "torn")[:1]), CLASSES),
    ],
)
def test_class_folders(names: list[str], layout: Layout) -> None:
    assert folder_labels.find_layout(names) == layout


@pytest.mark.parametrize(
    "splits",
    [
        {"train": "train", "test": "test"},
        {"Training": "train", "Testing": "test", "VAL": "validation"},
        {"training_set": "train", "test_set": "test"},
        {"train_images": "train", "val_images": "validation", "test_images": "test"},
        {"Train-Data": "train", "Test-Data": "test"},
        {"trainset": "train", "valset": "validation", "testset": "test"},
        {"TRAIN_2017": "train", "val2017": "validation"},
        {"images_train": "train", "images_test": "test"},
        {"TrainImages": "train", "TestImages": "test"},
        {"seg_train": "train", "seg_test": "test"},
        {"train_1": "train", "train_2": "train", "test_1": "test"},
        {"trainval": "train", "test": "test"},
    ],
)
def test_split_folders(splits: dict[str, str]) -> None:
    names = [*in_each(*splits), "notes.txt", "docs/about/readme.md"]  # texts decide nothing
    folders = {name: SplitFolder(split, name) for name, split in splits.items()}
    assert folder_labels.find_layout(names) == Layout("split_folders", "", folders)


@pytest.mark.parametrize(
    "names",
    [
        in_each("training_set/training_set", "test_set/test_set"),  # as Kaggle's sets unpack
        in_each("seg_train/seg_train", "seg_test/seg_test"),
        in_each("train/train", "test"),
        in_each("train/images", "test/images"),
        in_each("train/pets/all", "test/animals/all"),  # a folder around the classes of each
        in_each("set/train", "set/test"),
        in_each("a/b/train/train", "a/b/test/test"),
        in_each("train_data/train", "train_data/test"),  # a folder around splits
    ],
)
def test_folders_around_classes_and_splits_are_no_classes(names: list[str]) -> None:
    layout = folder_labels.find_layout(names)
    found = [label_and_split(name, layout) for name in names]
    assert found == [("cat", "train"), ("dog", "train"), ("cat", "test"), ("dog", "test")]
    assert layout.notes == ()


def test_a_class_that_lies_deep_in_one_split_alone_is_no_folder_around_classes() -> None:
    names = ["train/cat/small/1.jpg", "train/dog/2.jpg", "test/cat/small/3.jpg"]
    layout = folder_labels.find_layout(names)
    assert [label_and_split(name, layout) for name in names] == [
        ("cat", "train"),
        ("dog", "train"),
        ("cat", "test"),
    ]


def test_split_folders_beside_others_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        folder_labels.find_layout(["set/train/cat/a.png", "set/cat/b.png", "set/dog/c.png"])
    assert str(caught.value) == (
        "data/raw/set: needs split folders or class folders, found both: train beside cat, dog; "
        "move one kind away, or set `ingest.layout: split_folders` or "
        "`ingest.layout: class_folders`"
    )


@pytest.mark.parametrize("flat", ["test/1.jpg", "test/test/1.jpg", "test/images/1.jpg"])
def test_a_split_folder_without_class_folders_is_named(flat: str) -> None:
    layout = folder_labels.find_layout([*in_each("train"), flat])
    assert layout.notes == (
        "test holds no class folders: its images are quarantined, and test images are taken from "
        "train; to use them, move them into test/<class>/",
    )
    assert label_and_split(flat, layout) == (None, "test")
    assert folder_labels.why_unlabelled(flat, layout) == (
        "test holds no class folders; to use it, move it into test/<class>/"
    )
    assert label_and_split("train/cat/1.jpg", layout) == ("cat", "train")


def test_a_lone_split_folder_that_is_not_of_train_is_told() -> None:
    names = in_each("valid")
    assert folder_labels.find_layout(names).notes == (
        "valid is the only split folder, and none of train: `ingest.layout: class_folders` takes "
        "it for a folder around all classes",
    )
    asked = folder_labels.find_layout(names, "class_folders")
    assert label_and_split("valid/cat/1.jpg", asked) == ("cat", None)
    assert folder_labels.find_layout(in_each("train")).notes == ()
    assert folder_labels.find_layout([*names, "in-train.tar.jpg"]).notes == ()


def test_images_to_be_predicted_are_of_no_split() -> None:
    """Kaggle's Intel scenes."""
    names = in_each("seg_train/seg_train", "seg_test/seg_test")
    layout = folder_labels.find_layout([*names, "seg_pred/seg_pred/1.jpg"])
    assert layout.notes == (
        "seg_pred holds no class folders: its images are quarantined; to use them, move them into "
        "seg_pred/<class>/",
    )
    assert label_and_split("seg_pred/seg_pred/1.jpg", layout) == (None, None)
    assert layout.words == "split folders, seg_test as test, seg_train as train"


KEEP = "`ingest.layout: class_folders` keeps it so"


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (
            in_each("cats_vs_dogs_train", "cats_vs_dogs_test"),
            "cats_vs_dogs_test, cats_vs_dogs_train are taken for classes, but there are words of "
            f"splits in their names: `ingest.layout: split_folders` makes them splits, {KEEP}",
        ),
        (
            in_each("site1", "site2"),
            "the classes site1, site2 all hold the same folders, cat, dog: "
            f"`ingest.label_from: last` makes them the classes, {KEEP}",
        ),
        (
            in_each("cat", "dog", classes=("train", "test")),
            "the classes cat, dog all hold test, train, but no splits inside classes are read: "
            "move them outside, as <split>/<class>/; `ingest.layout: class_folders` is silent",
        ),
    ],
)
def test_what_may_not_be_classes_is_told_with_what_mends_it(names: list[str], note: str) -> None:
    layout = folder_labels.find_layout(names)
    assert (layout.kind, layout.notes) == ("class_folders", (note,))
    asked = folder_labels.find_layout(names, "class_folders")
    assert asked == Layout("class_folders")
    if "split_folders" in note:
        layout = folder_labels.find_layout(names, "split_folders")
        assert [label_and_split(name, layout) for name in names] == [
            ("cat", "train"),
            ("dog", "train"),
            ("cat", "test"),
            ("dog", "test"),
        ]


def test_likely_splits_beside_other_folders_are_told() -> None:
    names = in_each("my_train_v2", "my_test_v2")
    words = "my_test_v2, my_train_v2 are taken for classes, but there are words of splits"
    (note,) = folder_labels.find_layout([*names, "extra/1.jpg"]).notes
    assert note.startswith(words)
    (note,) = folder_labels.find_layout([*names, "extra/red/1.jpg"]).notes
    assert note.startswith(words)


def test_classes_that_hold_different_folders_are_told_nothing_about() -> None:
    names = ["cat/big/1.jpg", "cat/small/2.jpg", "dog/big/3.jpg", "dog/old/4.jpg"]
    assert folder_labels.find_layout(names) == CLASSES


def test_split_folders_that_are_asked_for_have_to_be_there() -> None:
    with pytest.raises(UserError) as caught:
        folder_labels.find_layout(in_each("a"), "split_folders")
    need = "needs folders called as splits that hold class folders"
    assert str(caught.value) == (
        f"data/raw/a: ingest.layout is split_folders: {need}, found cat, dog"
    )


SPLITS = folder_labels.find_layout([*in_each("train", "Valid", "Testing"), "x.png"])
PETS = folder_labels.find_layout([*in_each("pets/train", "pets/test"), "pets/README.md"])


@pytest.mark.parametrize(
    ("name", "layout", "expected"),
    [
        ("cat/a.png", CLASSES, ("cat", None)),
        ("cat/deep/a.png", CLASSES, ("cat", None)),
        ("a.png", CLASSES, (None, None)),
        ("train/cat/a.png", SPLITS, ("cat", "train")),
        ("Valid/cat/a.png", SPLITS, ("cat", "validation")),
        ("Testing/cat/deep/a.png", SPLITS, ("cat", "test")),
        ("train/a.png", SPLITS, (None, "train")),
        ("other/cat/a.png", SPLITS, ("cat", None)),
        ("a.png", SPLITS, (None, None)),
        ("pets/train/cat/a.png", PETS, ("cat", "train")),
        ("README.md", PETS, (None, None)),
        ("test/a.png", Layout("tables"), (None, "test")),
        ("set/test_images/a.png", Layout("tables"), (None, "test")),
        ("images/a.png", Layout("tables"), (None, None)),
        ("test_tube/a.png", Layout("tables"), (None, None)),
    ],
)
def test_labels_and_splits(
    name: str, layout: Layout, expected: tuple[str | None, str | None]
) -> None:
    assert label_and_split(name, layout) == expected


@pytest.mark.parametrize(
    ("label_from", "label"), [("first", "pets"), ("last", "cat"), ("path", "pets/small/cat")]
)
def test_which_of_nested_folders_names_the_class(
    label_from: folder_labels.LabelFrom, label: str
) -> None:
    found = label_and_split("train/pets/small/cat/a.png", SPLITS, label_from)
    assert found == (label, "train")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-000001.tar", "train"),
        ("a/t10k-images-idx3-ubyte.gz", "test"),
        ("imagenet_val_07.tar", "validation"),
        ("trains.tar", None),
        ("testset.csv", "test"),
        ("train_images.tar", "train"),
        ("TRAIN_2017.tar", "train"),
        ("val2017.jsonl", "validation"),
        ("train/shard.tar", None),  # its folder speaks for itself
    ],
)
def test_splits_named_by_files(name: str, split: str | None) -> None:
    assert split_named(name) == split
