import os
from pathlib import Path

import pandas as pd
import pytest

from tasks import ingest
from tests.conftest import Project


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["cat/a.png", "dog/b.png"], "class_folders"),
        (["train/cat/a.png", "test/cat/b.png"], "split_folders"),
        (["Training/cat/a.png", "Testing/cat/b.png", "VAL/cat/c.png"], "split_folders"),
        (["train/cat/a.png", "notes.txt"], "split_folders"),
        (["train/a.png", "car/b.png"], "class_folders"),  # a class called train
        (["train/a.png", "test/b.png"], "class_folders"),
    ],
)
def test_layouts(names: list[str], layout: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert ingest.find_layout(tmp_path) == layout


@pytest.mark.parametrize(
    ("name", "layout", "expected"),
    [
        ("cat/a.png", "class_folders", ("cat", None)),
        ("cat/deep/a.png", "class_folders", ("cat", None)),
        ("a.png", "class_folders", (None, None)),
        ("train/cat/a.png", "split_folders", ("cat", "train")),
        ("Valid/cat/a.png", "split_folders", ("cat", "validation")),
        ("Testing/cat/deep/a.png", "split_folders", ("cat", "test")),
        ("train/a.png", "split_folders", (None, "train")),
        ("a.png", "split_folders", (None, None)),
    ],
)
def test_labels_and_splits(name: str, layout: str, expected: tuple[str | None, str | None]) -> None:
    assert ingest.label_and_split(name, layout) == expected


def test_every_file_is_listed_in_order(project: Project) -> None:
    project.write_digits(per_class=2)
    raw = project.path("data/raw")
    (raw / "README.md").write_text("no image")
    (raw / "0/.hidden").write_bytes(b"")
    (raw / "0/broken").symlink_to("nowhere")
    (raw / "linked").symlink_to(raw / "0")
    foreign = Path(os.fsdecode(os.fsencode(raw) + b"/\xff"))
    foreign.mkdir()
    (foreign / "x.png").write_bytes(b"x")
    before = {path: path.read_bytes() for path in raw.rglob("*.png")}
    done = project.stage("ingest")
    assert "layout: class_folders (detected)" in done.stdout
    rows = pd.read_parquet(project.path("data/ingested/manifest.parquet"))
    assert len(rows) == 6 + 5
    assert list(rows["file_name"]) == sorted(rows["file_name"], key=ingest.path_key)
    problems = rows.set_index("file_name")["problem"].dropna().to_dict()
    assert problems == {
        "0/broken": "No such file or directory",
        "\\xff/x.png": "its name is not valid UTF-8",
        "linked": "Is a directory",
    }
    assert pd.isna(rows.set_index("file_name").loc["README.md", "label"])
    assert before == {path: path.read_bytes() for path in raw.rglob("*.png")}


def test_names_are_sorted_alike_whatever_their_unicode_form() -> None:
    composed, decomposed = "\u00e9.png", "e\u0301.png"
    assert ingest.path_key(composed) == ingest.path_key(decomposed)


@pytest.mark.parametrize(("make", "found"), [(False, "no folder"), (True, "no files")])
def test_nothing_to_ingest_is_one_line(project: Project, make: bool, found: str) -> None:
    if make:
        project.path("data/raw").mkdir(parents=True)
    done = project.stage("ingest", check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: data/raw: needs images in class folders, found {found}\n"
