"""data/raw is listed as DVC versions it, and clutter apart from the rest."""

import os
from pathlib import Path

import pytest
from dvc.repo import Repo
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flows.preconditions import require_pulled
from flows.versions.raw_dvc import require_versionable
from tasks.common.errors import UserError
from tasks.dataset import clutter
from tasks.dataset.clutter import is_clutter, is_document
from tasks.dataset.raw_files import RawListing, list_raw
from tasks.ingest import __main__ as ingest
from tasks.ingest import read_files
from tasks.ingest.params import IngestParams


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path / "cache"))


def write(*names: str, folder: str = "data/raw", text: str = "x") -> None:
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def listed_by_dvc() -> list[str]:
    """The files of data/raw that `dvc add` would version."""
    root = os.path.realpath(".")
    repo = Repo(root, uninitialized=True)
    walk = repo.dvcignore.walk(repo.fs, f"{root}/data/raw")
    return sorted(
        os.path.relpath(f"{folder}/{name}", "data/raw")
        for folder, _, names in walk
        for name in names
    )


def listed() -> list[str]:
    listing = list_raw()
    return sorted([*listing.files, *listing.clutter])


def test_what_dvc_always_leaves_out_is_not_listed() -> None:
    write("pets/cat/1.jpg", "pets/.git/lfs/objects/0c/0c6d", ".hg/x", "sub/.git", ".svn/x")
    write("pets/.gitattributes", "a.dvc", ".hgignore", ".hgx", "pets/git/1.jpg")
    assert listed() == listed_by_dvc()
    assert listed() == [
        *(".hgignore", ".hgx", ".svn/x", "a.dvc", "pets/.gitattributes", "pets/cat/1.jpg"),
        "pets/git/1.jpg",
    ]


NAMES = st.sampled_from(["a", "b", "b.jpg", "c.txt", ".git", "raw"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PATTERNS = st.sampled_from(
    [
        *("a", "b/", "*.jpg", "!b.jpg", "/a", "data/raw/a/*", "raw/b", "**/b", "a/**", "!a/b.jpg"),
        *("# b", "", "!*.txt", "/data/raw/b/", "**/raw/**/a", "c.*", "!c.txt", "*/c.txt", "!b/"),
        *("!/data/", "!.git", "\\#a", "a ", "?.jpg", "[ab]", "!a/", "raw/**/", "!**/", "**/"),
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["b/a"], [], ["b/", "!**/"])
@example(["b/a"], ["b/", "!**/"], [])
@given(
    st.lists(PATHS, min_size=1, max_size=8),
    st.lists(PATTERNS, max_size=5),
    st.lists(PATTERNS, max_size=3),
)
def test_dvcignore_files_are_followed_as_dvc_does(
    tmp_path_factory: pytest.TempPathFactory,
    paths: list[str],
    of_project: list[str],
    of_data: list[str],
) -> None:
    os.chdir(tmp_path_factory.mktemp("project"))
    Path("data/raw").mkdir(parents=True)
    for path in paths:
        file = Path("data/raw", path)
        if not file.exists() and not any(parent.is_file() for parent in file.parents):
            write(path)
    write(".dvcignore", folder=".", text="\n".join(of_project))
    write(".dvcignore", folder="data", text="\n".join(of_data))
    try:
        found = listed()
    except UserError as error:
        assert str(error) == ".dvcignore: leaves out data/raw, so DVC would version no image"
        found = []
    assert found == listed_by_dvc()


def test_a_folder_that_dvc_takes_for_another_project_is_refused() -> None:
    write("cat/1.jpg", "pets/.dvc/config", "pets/dog/2.jpg")
    assert listed_by_dvc() == ["cat/1.jpg"]
    with pytest.raises(UserError) as error:
        list_raw()
    assert str(error.value) == (
        "data/raw/pets/.dvc: DVC takes data/raw/pets for another project and versions nothing of "
        "it: move it away"
    )


def test_a_dvcignore_that_dvc_refuses_is_told_where_its_lines_belong() -> None:
    write("cat/1.jpg", "cat/.dvcignore")
    with pytest.raises(UserError) as error:
        require_versionable()
    assert str(error.value) == (
        "data/raw/cat/.dvcignore: DVC takes none below a folder that it tracks: move its lines to "
        "the project's own .dvcignore"
    )


@pytest.mark.parametrize(
    "name",
    [
        *(".DS_Store", "cat/.DS_Store", "._1.jpg", "__MACOSX/cat/1.jpg", "Thumbs.db", "THUMBS.DB"),
        *("desktop.ini", "cat/Desktop.ini", "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "cat/Icon\r"),
        *(".ipynb_checkpoints/1.jpg", ".thumbnails/large/1.png", ".git/HEAD", ".gitkeep", "...x"),
        *("$RECYCLE.BIN/1.jpg", "lost+found/1.jpg", "cat/1.jpg~", "cat/1.jpg:Zone.Identifier"),
    ],
)
def test_clutter(name: str) -> None:
    assert is_clutter(name)


@pytest.mark.parametrize(
    "name",
    [
        *("1.jpg", "./1.jpg", "../1.jpg", "cat/xThumbs.db", "Thumbs.db.jpg", "cat~/1.jpg"),
        *("a.b/1.jpg", "MACOSX/1.jpg", "desktop/1.jpg", "README", "eaDir/1.jpg", "lost/found/1"),
    ],
)
def test_no_clutter(name: str) -> None:
    assert not is_clutter(name)


def test_texts_that_come_with_images() -> None:
    texts = ["README", "cat/readme.md", "LICENSE", "Licence.TXT", "notes.txt", "1.xml", "a.json"]
    assert all(map(is_document, texts))
    assert not any(map(is_document, ["1.jpg", "readable/1.jpg", "txt", "md/1", "noreadme"]))


def test_clutter_is_listed_apart_and_makes_no_folder_full() -> None:
    write("cat/1.jpg", "cat/.DS_Store", "dog/Thumbs.db", "@eaDir/cat/1.jpg", "README.md")
    for folder in ("empty", "pets/.cache", ".hidden/empty", "cat/.git/refs/tags"):
        Path("data/raw", folder).mkdir(parents=True)
    found = list_raw()
    assert found._replace(files=sorted(found.files), clutter=sorted(found.clutter)) == RawListing(
        ["README.md", "cat/1.jpg"],
        ["@eaDir/cat/1.jpg", "cat/.DS_Store", "dog/Thumbs.db"],
        ["dog", "empty", "pets"],
    )
    assert clutter.words(clutter.count(found.clutter)) == (
        "3 files of systems and editors left out, @eaDir/cat/1.jpg for one"
    )


def test_clutter_that_changes_while_images_are_read_stops_nothing() -> None:
    write("cat/1.jpg")
    before = read_files.file_states(list_raw().files)
    write("cat/.DS_Store", ".git/index")
    read_files.require_unchanged(before)
    write("cat/2.jpg")
    with pytest.raises(UserError) as error:
        read_files.require_unchanged(before)
    assert str(error.value) == "data/raw/cat/2.jpg: changed while it was read; run again"


def test_hidden_folders_alone_are_one_line() -> None:
    write(".cats/1.jpg", ".dogs/2.jpg")
    with pytest.raises(UserError) as error:
        ingest.ingest(IngestParams())
    assert str(error.value) == (
        "data/raw: needs images in class folders, found none (2 files of systems and editors left "
        "out, .cats/1.jpg for one): rename what begins with a dot"
    )


@pytest.mark.parametrize("file", ["data", "data/raw"])
def test_a_file_in_the_place_of_a_folder_is_refused(file: str) -> None:
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text("no folder")
    for door in (require_versionable, require_pulled, lambda: ingest.ingest(IngestParams())):
        with pytest.raises(UserError) as error:
            door()
        assert str(error.value) == f"{file}: needs to be a folder, found a file; move it away"


@pytest.mark.parametrize("linked", ["data", "data/raw"])
def test_a_linked_folder_is_refused_before_dvc_is_asked(tmp_path: Path, linked: str) -> None:
    (tmp_path / "disk/raw").mkdir(parents=True)
    Path(linked).parent.mkdir(exist_ok=True)
    Path(linked).symlink_to(tmp_path / "disk")
    lines = []
    for door in (
        require_versionable,
        require_pulled,
        lambda: ingest.ingest(IngestParams()),
    ):
        with pytest.raises(UserError) as error:
            door()
        lines.append(str(error.value))
    assert lines == 3 * [
        f"{linked}: needs to be a folder, found a link to {tmp_path / 'disk'}, behind which DVC "
        "versions nothing; move it here, or move the whole project to that disk"
    ]
