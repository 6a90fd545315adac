import os
from pathlib import Path

import pandas as pd
import pytest

from tasks.dataset import raw_files
from tests.conftest import Project


def test_every_file_is_listed_in_order(project: Project) -> None:
    project.write_digits(per_class=2)
    raw = project.path("data/raw")
    (raw / "README.md").write_text("no image")
    (raw / "0/.hidden").write_bytes(b"")
    (raw / "Thumbs.db").write_bytes(b"")
    (raw / "0/broken").symlink_to("nowhere")
    (raw / "linked").symlink_to(raw / "0")
    foreign = Path(os.fsdecode(os.fsencode(raw) + b"/\xff"))
    foreign.mkdir()
    (foreign / "x.png").write_bytes(b"x")
    before = {path: path.read_bytes() for path in raw.rglob("*.png")}
    said = project.stages_here("ingest")
    assert "layout: class folders (detected)" in said
    left_out = "clutter: 2 files of systems and editors left out, 0/.hidden for one\n"
    assert left_out in said
    rows = pd.read_parquet(project.path("data/ingested/manifest.parquet"))
    assert len(rows) == 6 + 4
    assert list(rows["file_name"]) == sorted(rows["file_name"], key=raw_files.path_key)
    problems = rows.set_index("file_name")["detail"].dropna().to_dict()
    assert problems == {
        "0/broken": "No such file or directory",
        "\\xff/x.png": "its name is not valid UTF-8",
        "linked": "is a link to a folder",
        "README.md": "text: it labels nothing; a table of labels has the columns file_name and "
        "label",
    }
    assert pd.isna(rows.set_index("file_name").loc["README.md", "label"])
    assert before == {path: path.read_bytes() for path in raw.rglob("*.png")}


def test_split_folders_beside_others_are_refused(project: Project) -> None:
    project.write_digits(folder="data/raw/train")
    project.write_digits(folder="data/raw")
    done = project.stage("ingest", check=False)
    expected = (
        "error: data/raw: needs split folders or class folders, found both: train beside 0, 1, 2; "
        "move one kind away, or set `ingest.layout: split_folders` or "
        "`ingest.layout: class_folders`\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)
    project.set_params(ingest__layout="class_folders")
    project.stages_here("ingest")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_of_the_project_is_told_and_not_opened(project: Project) -> None:
    project.write_digits(per_class=2)
    os.mkfifo(project.path("data/raw/0/pipe.png"))
    outside = project.path("outside.png")
    project.path("data/raw/0/0000.png").rename(outside)
    project.path("data/raw/0/link.png").symlink_to(outside)
    project.path("data/raw/1/inside.png").symlink_to(project.path("data/raw/1/0001.png"))
    project.stages_here("ingest")
    rows = pd.read_parquet(project.path("data/ingested/manifest.parquet")).set_index("file_name")
    assert rows["detail"].dropna().to_dict() == {
        "0/link.png": "is a link out of data/raw",
        "0/pipe.png": "is no regular file",
    }


def test_names_are_sorted_alike_whatever_their_unicode_form() -> None:
    composed, decomposed = "\u00e9.png", "e\u0301.png"
    between = ["a.png", decomposed, composed, "z.png"]
    assert raw_files.path_key(composed)[0] == raw_files.path_key(decomposed)[0]
    assert sorted(between, key=raw_files.path_key) == sorted(
        ["z.png", composed, decomposed, "a.png"], key=raw_files.path_key
    )


@pytest.mark.parametrize(("make", "found"), [(False, "no folder"), (True, "no files")])
def test_nothing_to_ingest_is_one_line(project: Project, make: bool, found: str) -> None:
    if make:
        project.path("data/raw").mkdir(parents=True)
    done = project.stage("ingest", check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: data/raw: needs images in class folders, found {found}\n"
