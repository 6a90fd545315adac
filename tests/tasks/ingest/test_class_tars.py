"""Tars that are named after the class that they hold."""

import io
import tarfile
from pathlib import Path

import pytest

from tasks.dataset.paths import RAW
from tasks.ingest.__main__ import ingest
from tasks.ingest.params import IngestParams
from tests.tasks.ingest.containers import png, write_tar


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    RAW.mkdir(parents=True)


def write_tars(*names: str, members: tuple[str, ...] = ("1.png", "2.png")) -> None:
    for number, name in enumerate(names):
        write_tar(RAW / name, {member: png(number) for member in members})


def labels() -> dict[str, set[tuple[str | None, str | None]]]:
    """The labels and splits of each tar's images."""
    rows = ingest(IngestParams()).rows.to_pylist()
    found: dict[str, set[tuple[str | None, str | None]]] = {}
    for row in rows:
        found.setdefault(row["container"], set()).add((row["label"], row["split"]))
    return found


def test_tars_in_split_folders_are_classes() -> None:
    write_tars("train/cat.tar", "train/dog.tar", "test/cat.tar", "test/dog.tar")
    assert labels() == {
        "test/cat.tar": {("cat", "test")},
        "test/dog.tar": {("dog", "test")},
        "train/cat.tar": {("cat", "train")},
        "train/dog.tar": {("dog", "train")},
    }
    layout = ingest(IngestParams()).findings["layout"]
    assert layout == (
        "split folders; 4 containers read in place; classes by the names of 4 tars (detected)"
    )


def test_tars_at_the_top_or_in_one_folder_are_classes() -> None:
    write_tars("n01440764.tar", "n01443537.TAR")
    assert labels() == {
        "n01440764.tar": {("n01440764", None)},
        "n01443537.TAR": {("n01443537", None)},
    }


def test_tars_in_the_one_folder_around_everything_are_classes() -> None:
    write_tars("my-set/0.tar", "my-set/1.tar")
    assert labels() == {"my-set/0.tar": {("0", None)}, "my-set/1.tar": {("1", None)}}


@pytest.mark.parametrize(
    "names",
    [
        ("part1.tar", "part2.tar"),
        ("shard-000000.tar", "shard-000001.tar"),
        ("00000.tar", "00001.tar"),
        ("train.tar", "test.tar"),
        ("cat.tar",),
        ("train/images.tar", "test/images.tar"),
    ],
)
def test_shards_and_splits_are_no_classes(names: tuple[str, ...]) -> None:
    write_tars(*names)
    found = set().union(*labels().values())
    # a folder names the class of what lies in it, as ever
    assert {label for label, _ in found} <= {None, "train", "test"}


def test_what_a_tar_says_inside_goes_before_its_name() -> None:
    write_tars("a.tar", "b.tar", members=("cat/1.png", "dog/1.png"))
    assert labels() == {name: {("cat", None), ("dog", None)} for name in ("a.tar", "b.tar")}


def test_tars_in_class_folders_belong_to_the_folder() -> None:
    write_tars("cat/a.tar", "cat/b.tar", "dog/c.tar")
    assert labels() == {
        "cat/a.tar": {("cat", None)},
        "cat/b.tar": {("cat", None)},
        "dog/c.tar": {("dog", None)},
    }


def test_a_table_says_more_than_the_name_of_a_tar() -> None:
    write_tars("a.tar", "b.tar", members=("1.png",))
    table = "file_name,label\na.tar::1.png,cat\nb.tar::1.png,dog\n"
    (RAW / "labels.csv").write_text(table)
    assert labels() == {"a.tar": {("cat", None)}, "b.tar": {("dog", None)}}
    layout = ingest(IngestParams()).findings["layout"]
    assert layout == "tables (labels.csv); 2 containers read in place (detected)"


def test_labelled_shards_are_no_classes() -> None:
    for name in ("a.tar", "b.tar"):
        write_tar(RAW / name, {"1.png": png(1), "1.cls": b"cat", "2.png": png(2)})
    assert labels() == {name: {("cat", None), (None, None)} for name in ("a.tar", "b.tar")}


def test_a_tar_in_a_tar_is_told_with_what_helps() -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("1.png"))
    write_tar(RAW / "all.tar", {"n01440764.tar": inner.getvalue()})
    (row,) = ingest(IngestParams()).rows.to_pylist()
    assert (row["reason"], row["detail"]) == (
        "not_an_image",
        "a tar in a tar: `variegate import` unpacks the outer one; tars in data/raw are read",
    )


def test_several_shards_of_each_class_are_one_class() -> None:
    write_tars("train/cat-000.tar", "train/cat-001.tar", "train/dog-000.tar", "test/cat-000.tar")
    assert labels() == {
        "test/cat-000.tar": {("cat", "test")},
        "train/cat-000.tar": {("cat", "train")},
        "train/cat-001.tar": {("cat", "train")},
        "train/dog-000.tar": {("dog", "train")},
    }
