"""New images are copied atomically, what was there stays unless asked, no link is followed."""

import os
import time
from pathlib import Path

import pytest

from tasks.acquire.copy_folder import copy_or_mirror, result_lines
from tasks.common.errors import UserError

PAST = 1_700_000_000


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    put(tmp_path / "data/raw", "cat/1.png", b"one")
    return tmp_path / "data/raw"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    put(tmp_path / "inbox", "cat/1.png", b"one")
    put(tmp_path / "inbox", "dog/2.png", b"two")
    return tmp_path / "inbox"


def put(folder: Path, name: str, data: bytes, at: float = PAST) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_only_what_is_new_is_copied_and_a_second_time_finds_nothing(raw: Path, inbox: Path) -> None:
    first = copy_or_mirror(inbox, raw)
    assert (first.added, first.changed) == (["dog/2.png"], True)
    assert content(raw) == content(inbox)
    second = copy_or_mirror(inbox, raw)
    assert not second.changed
    assert list(result_lines(second, Path("inbox"))) == ["inbox: nothing new"]
    assert not (raw.parent / ".raw.tmp").exists()


def test_what_was_there_stays_unless_asked(raw: Path, inbox: Path) -> None:
    put(raw, "own/3.png", b"three")
    put(inbox, "cat/1.png", b"other")
    found = copy_or_mirror(inbox, raw)
    assert found.differing == ["cat/1.png"]
    assert content(raw) == {"cat/1.png": b"one", "dog/2.png": b"two", "own/3.png": b"three"}
    assert list(result_lines(found, Path("inbox"))) == [
        "inbox: 1 added (dog/2.png)",
        "1 other than in data/raw, which keeps its own (cat/1.png); --mirror replaces them",
    ]


def test_a_mirror_replaces_and_removes(raw: Path, inbox: Path) -> None:
    put(raw, "own/deep/3.png", b"three")
    put(inbox, "cat/1.png", b"other")
    before = content(inbox)
    found = copy_or_mirror(inbox, raw, mirror=True)
    assert (found.added, found.replaced, found.removed) == (
        ["dog/2.png"],
        ["cat/1.png"],
        ["own/deep/3.png"],
    )
    assert content(raw) == content(inbox) == before
    assert not (raw / "own").exists()


def test_a_linked_file_is_replaced_and_its_other_name_keeps_its_bytes(
    raw: Path, inbox: Path, tmp_path: Path
) -> None:
    """DVC's cache and data/raw share their files."""
    os.link(raw / "cat/1.png", tmp_path / "cache")
    put(inbox, "cat/1.png", b"other")
    copy_or_mirror(inbox, raw, mirror=True)
    assert (tmp_path / "cache").read_bytes() == b"one"


def test_a_mirror_takes_a_file_in_place_of_a_folder(raw: Path, inbox: Path) -> None:
    put(raw, "own/3.png", b"three")
    put(inbox, "own", b"a file")
    copy_or_mirror(inbox, raw, mirror=True)
    assert content(raw) == content(inbox)


@pytest.mark.parametrize("mirror", [False, True])
def test_nothing_is_written_behind_a_link_out_of_raw(
    raw: Path, inbox: Path, tmp_path: Path, mirror: bool
) -> None:
    kept = put(tmp_path / "elsewhere", "2.png", b"mine")
    (raw / "dog").symlink_to(tmp_path / "elsewhere")
    found = copy_or_mirror(inbox, raw, mirror)
    assert content(tmp_path / "elsewhere") == {"2.png": b"mine"} and kept.stat().st_mtime == PAST
    if mirror:  # the link is none of the folder's files
        assert (found.removed, content(raw)) == (["dog"], content(inbox))
    else:
        assert found.skipped == {"dog/2.png": f"behind a link out of {raw}"}


def test_a_broken_link_under_a_name_of_the_folders_stays(raw: Path, inbox: Path) -> None:
    (raw / "dog").mkdir()
    (raw / "dog/2.png").symlink_to("nowhere")
    assert copy_or_mirror(inbox, raw).differing == ["dog/2.png"]


def test_a_folder_of_which_nothing_can_be_taken_is_never_mirrored(
    raw: Path, tmp_path: Path
) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share/link.png").symlink_to(raw / "cat/1.png")
    with pytest.raises(UserError, match="needs files to mirror, found none"):
        copy_or_mirror(tmp_path / "share", raw, mirror=True)
    assert content(raw) == {"cat/1.png": b"one"}


@pytest.mark.parametrize("mirror", [False, True])
def test_clutter_is_neither_taken_nor_removed(raw: Path, inbox: Path, mirror: bool) -> None:
    for name in (".dvcignore", ".git/config", "dog/.git/HEAD", "dog/Thumbs.db"):
        put(inbox, name, b"*")
    put(raw, "cat/.git/HEAD", b"mine")
    found = copy_or_mirror(inbox, raw, mirror)
    assert (found.added, found.removed, found.skipped) == (["dog/2.png"], [], {})
    assert (raw / "cat/.git/HEAD").read_bytes() == b"mine"
    assert list(result_lines(found, Path("inbox"))) == [
        "inbox: 1 added (dog/2.png); 4 files of systems and editors left out, .dvcignore for one"
    ]


def test_an_empty_folder_is_never_mirrored(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    with pytest.raises(UserError) as caught:
        copy_or_mirror(tmp_path / "share", raw, mirror=True)
    assert (
        str(caught.value) == f"{tmp_path}/share: needs files to mirror, found none; is it mounted?"
    )
    assert content(raw) == {"cat/1.png": b"one"}
    assert not copy_or_mirror(tmp_path / "share", raw).changed


def test_links_pipes_clutter_odd_names_and_unfinished_files_are_not_taken(
    raw: Path, inbox: Path, tmp_path: Path
) -> None:
    put(tmp_path, "secret", b"secret")
    (inbox / "dog/link.png").symlink_to(tmp_path / "secret")
    os.mkfifo(inbox / "dog/pipe.png")
    put(inbox, ".DS_Store", b"clutter")
    put(inbox, "dog/2.png", b"two", at=PAST * 2)  # a camera's clock may be ahead
    put(inbox, os.fsdecode(b"dog/\xff.png"), b"odd name")
    unfinished = put(inbox, "dog/new.png", b"half", at=time.time())
    found = copy_or_mirror(inbox, raw)
    assert found.added == ["dog/2.png"]
    assert set(result_lines(found, Path("inbox"))) == {
        "inbox: 1 added (dog/2.png); 1 file of systems and editors left out, .DS_Store for one",
        "1 left out: links (dog/link.png)",
        "1 left out: no regular files (dog/pipe.png)",
        "1 left out: names that are not valid UTF-8 (dog/\\xff.png)",
        "1 left out: still being written, for the next run (dog/new.png)",
    }
    os.utime(unfinished, (PAST, PAST))
    assert copy_or_mirror(inbox, raw).added == ["dog/new.png"]


def test_a_folder_where_a_file_is_leaves_the_file(raw: Path, inbox: Path) -> None:
    put(raw, "dog", b"a file")
    assert copy_or_mirror(inbox, raw).skipped == {
        "dog/2.png": f"a file and a folder of one name: {raw} has the other"
    }
    assert content(raw) == {"cat/1.png": b"one", "dog": b"a file"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nowhere", "needs to be a folder, found nothing"),
        ("data/raw/cat/1.png", "needs to be a folder, found a file"),
        ("data/raw/cat", "needs to lie apart from"),
        ("data", "needs to lie apart from"),
    ],
)
def test_a_folder_that_cannot_be_brought(raw: Path, tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UserError, match=f"^bring_from {tmp_path / name}: {text}"):
        copy_or_mirror(tmp_path / name, raw)
