"""Two versions side by side, on differences made by hand and on a small git and DVC project."""

import hashlib
import html
import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from dvc.repo import Repo
from fastapi.testclient import TestClient
from PIL import Image

from flows.explorer import versions
from flows.explorer.server import create_app
from flows.versions import revision
from tasks.common import tables
from tasks.dataset.columns import VALIDATED_COLUMNS
from tests.flows.explorer.test_classes_and_operations import text_of

Ask = Callable[..., httpx.Response]
COLOURS = {
    "red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "grey": (9, 9, 9),
    "cyan": (0, 255, 255), "magenta": (255, 0, 255), "yellow": (255, 255, 0),
    "white": (255, 255, 255),
}  # fmt: skip
STAGES = """
stages:
  ingest: {cmd: "true", params: [ingest]}
  validate: {cmd: "true", params: [validate], outs: [data/validated]}
  augment:
    cmd: "true"
    params: [augment]
    outs: [data/augmented]
    metrics: [{metrics/augment.json: {cache: false}}]
"""


class Placed:
    """An image of a version: its colour, label, split and name; `shard`: in a tar of that name."""

    def __init__(self, name: str, colour: str, split: str = "train", shard: str = "") -> None:
        self.name, self.shard, self.split = name, shard, split
        self.label = name.partition("/")[0]
        file = io.BytesIO()
        Image.new("RGB", (4, 4), COLOURS[colour]).save(file, "PNG")
        self.data = file.getvalue()

    def row(self, offset: int | None) -> dict[str, Any]:
        sha256 = hashlib.sha256(self.data).hexdigest()
        return {
            "source_id": sha256[:16],
            "sha256": sha256,
            "pixel_sha256": sha256,
            "file_name": f"{self.shard}::{self.name}" if self.shard else self.name,
            "label": self.label,
            "split": self.split,
            "container": self.shard or None,
            "offset": offset,
            "bytes": len(self.data),
            "status": "ok",
        }


BEFORE = [
    Placed("cat/kept.png", "grey"),
    Placed("cat/gone.png", "red"),
    Placed("cat/wrong.png", "green"),
    Placed("cat/edited.png", "blue"),
    Placed("cat/old.png", "cyan"),
    Placed("cat/in tar.png", "yellow", shard="shard.tar"),
]
AFTER = [
    Placed("cat/kept.png", "grey", split="test"),
    Placed("dog/right.png", "green"),
    Placed("cat/edited.png", "magenta"),
    Placed("cat/new.png", "cyan"),
    Placed("dog/<b>more.png", "white"),
]


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
    done = subprocess.run(
        ["git", *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def write_version(images: list[Placed], seed: int) -> None:
    """What a run leaves of these images, in this folder, as far as a comparison reads it."""
    shutil.rmtree("data/raw", ignore_errors=True)
    rows = []
    for one in images:
        path = Path("data/raw") / (one.shard or one.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        offset = None
        if one.shard:
            with tarfile.open(path, "w") as tar:
                member = tarfile.TarInfo(one.name)
                member.size = len(one.data)
                tar.addfile(member, io.BytesIO(one.data))
                offset = 512  # after its header
        else:
            path.write_bytes(one.data)
        rows.append(one.row(offset))
    for folder in ("data/validated", "data/augmented"):
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir()
    Path("metrics").mkdir(exist_ok=True)
    table = pd.DataFrame(rows, columns=VALIDATED_COLUMNS.names).astype(object)
    tables.write_table(
        versions.VALIDATED_MANIFEST, table.where(table.notna(), None), VALIDATED_COLUMNS
    )
    counts = [{**row, "planned": 1, "written": 1, "rejected": 0} for row in rows]
    pd.DataFrame(counts).to_csv(versions.COUNTS, index=False)
    tables.write_json(versions.AUGMENT_METRICS, {"recipe_hash": f"recipe{seed}"})
    blocks = f"ingest: {{layout: auto}}\nvalidate: {{seed: 1}}\naugment: {{seed: {seed}}}\n"
    Path("params.yaml").write_text(blocks)


def record(message: str) -> None:
    with Repo() as repo:
        repo.add("data/raw")
        repo.commit(force=True)
    git("add", "-A")
    git("commit", "-qm", message)


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two commits: BEFORE, then AFTER."""
    root = tmp_path_factory.mktemp("versions")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        git("init", "-q")
        Repo.init().close()
        Path("dvc.yaml").write_text(STAGES)
        write_version(BEFORE, seed=1)
        record("first")
        write_version(AFTER, seed=2)
        record("second <b>")
    return root


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks the pages of the folder that the test is in."""
    client = TestClient(create_app(), base_url="http://127.0.0.1:4201")
    monkeypatch.setenv("VARIEGATE_CACHE", "cache")
    versions._known.clear()
    versions._compare.cache_clear()
    return lambda path, **values: client.get(path, params=values or None)


@pytest.fixture
def project(two_versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask) -> Ask:
    """A copy of the project, which a test may change."""
    shutil.copytree(two_versions, tmp_path, dirs_exist_ok=True, symlinks=True)
    monkeypatch.chdir(tmp_path)
    return ask


def section(page: httpx.Response, heading: str) -> str:
    """A section of the page, from its heading to its end."""
    return page.text.partition(f"<h2>{heading}")[2].partition("</section>")[0]


def pictures(part: str) -> list[str]:
    return list(map(html.unescape, re.findall(r'<img src="([^"]*)"', part)))


def colour_of(answer: httpx.Response) -> tuple[int, ...]:
    with Image.open(io.BytesIO(answer.content)) as picture:
        return tuple(int(value) for value in np.asarray(picture.convert("RGB"))[80, 80])


def shown(project: Ask, part: str) -> list[str]:
    """The colours of the pictures in a part of a page."""
    answers = [project(address) for address in pictures(part)]
    names = {values: name for name, values in COLOURS.items()}
    return [names[colour_of(answer)] for answer in answers]


def test_every_kind_of_change_is_shown_with_the_pictures_of_its_side(project: Ask) -> None:
    page = project("/versions", before="HEAD~1", after="HEAD")
    assert page.status_code == 200
    said = text_of(page)
    assert (
        "Files: 6 → 5: 1 added, 2 removed, 1 replaced, 1 relabelled, 1 moved between splits" in said
    )
    assert "Recipe: recipe1 → recipe2." in said and "augment.seed 1 2" in said
    assert "cat 6 → 2 6 → 3 12 → 5" in said
    for heading, words, colours in (
        ("added: 1", "dog/<b>more.png dog, train", ["white"]),
        ("removed: 2", "cat/gone.png cat, train", ["red", "yellow"]),
        ("replaced: 1", "cat/edited.png cat, train", ["blue", "magenta"]),
        ("relabelled: 1", "cat/wrong.png → dog/right.png cat, train → dog, train", ["green"]),
        ("moved between splits: 1", "cat/kept.png cat, train → cat, test", ["grey"]),
        ("renamed: 1", "cat/old.png → cat/new.png cat, train", ["cyan"]),
    ):
        assert heading in said and words in said, heading
        assert shown(project, section(page, heading)) == colours, heading
    led = [
        re.findall(r'<a href="(/image[^"]*)"', section(page, each))
        for each in ("added", "removed", "replaced")
    ]
    assert led == [  # what is in the workspace with these bytes has a page
        ["/image?file=dog%2F%3Cb%3Emore.png"],
        [],
        ["/image?file=cat%2Fedited.png"],
    ]
    assert "with another status" not in said
    assert "<b>more" not in page.text and "second <b>" not in page.text


def test_the_workspace_is_shown_from_its_own_files_and_leads_to_its_pages(project: Ask) -> None:
    page = project("/versions")
    assert "Nothing differs." in text_of(page)
    last = html.unescape(
        re.search(r'<a href="(/versions[^"]*)">What the last commit', page.text)[1]
    )
    assert "added: 1" in text_of(project(last))
    write_version([*AFTER, Placed("dog/newest.png", "red")], seed=2)
    page = project("/versions")
    added = section(page, "added: 1")
    assert pictures(added) == ["/picture/original?file=dog%2Fnewest.png"]
    assert shown(project, added) == ["red"]
    assert 'href="/image?file=dog%2Fnewest.png"' in added


def old_path(name: str) -> Path:
    found = versions.old_images(versions.resolve("HEAD~1"), [name])[name].path
    assert found is not None
    return found


def test_a_picture_that_is_nowhere_says_what_brings_it(project: Ask) -> None:
    old_path("cat/gone.png").unlink()
    removed = section(project("/versions", before="HEAD~1"), "removed: 2")
    assert "dvc fetch --all-commits data/raw.dvc" in removed and len(pictures(removed)) == 1
    asked = project("/picture/version", revision="HEAD~1", file="cat/gone.png")
    assert asked.headers["content-type"] == "image/svg+xml" and "dvc fetch" in asked.text
    kept = versions.old_images(versions.resolve("HEAD"), ["cat/kept.png"])["cat/kept.png"].path
    assert kept is not None
    kept.unlink()
    versions._known.clear()  # what the cache lacks, data/raw may have
    here = project("/picture/version", revision="HEAD", file="cat/kept.png")
    assert colour_of(here) == COLOURS["grey"]


def test_bytes_are_compared_with_their_hash_before_they_are_decoded(project: Ask) -> None:
    path = old_path("cat/gone.png")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[::-1])
    asked = project("/picture/version", revision="HEAD~1", file="cat/gone.png")
    assert asked.headers["content-type"] == "image/svg+xml"
    assert "has other bytes" in " ".join(re.sub("<[^>]*>", " ", asked.text).split())


def test_pictures_that_are_not_there_are_not_found(project: Ask) -> None:
    for values in (
        {"revision": "HEAD", "file": "cat/gone.png"},
        {"revision": "HEAD~1", "file": "../params.yaml"},
        {"revision": "HEAD~9", "file": "cat/kept.png"},
    ):
        assert project("/picture/version", **values).status_code == 404, values
    values = {"revision": "HEAD", "file": "cat/kept.png", "size": "huge"}
    assert project("/picture/version", **values).status_code == 400


# --- what a revision may be called ------------------------------------------------------------


@pytest.mark.parametrize("name", ["-x", "--output=/tmp/x", "a\nb", "a\0b", "", "x" * 251])
def test_what_git_could_take_for_an_option_never_reaches_it(
    ask: Ask, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_git(*arguments: str) -> bytes:
        raise AssertionError(arguments)

    monkeypatch.setattr(versions, "git", no_git)
    for path in ("/versions", "/picture/version"):
        values = {"before": name, "revision": name, "file": "a.png"}
        assert ask(path, **values).status_code == 400


@pytest.mark.parametrize("name", ["nothing", "^HEAD", "HEAD:dvc.yaml", "HEAD..HEAD~1", "HEAD~7"])
def test_a_revision_that_is_not_there_is_one_line_above_which_others_can_be_chosen(
    project: Ask, name: str
) -> None:
    page = project("/versions", before=name)
    assert page.status_code == 404 and "<select" in page.text
    line = f"revision {name!r}: not found in git; needs a commit, a branch, a tag or HEAD"
    assert line in text_of(page)


def test_without_git_a_dvc_repository_or_a_run_one_line_says_so(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "needs a git repository of its own, found none: run git init" in text_of(
        ask("/versions")
    )
    git("init", "-q")
    assert "revision 'HEAD': not found in git" in text_of(ask("/versions"))
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert "needs a DVC repository, found none: run dvc init" in text_of(ask("/versions"))
    Repo.init().close()
    git("commit", "-qam", "second")
    found = ask("/versions")
    assert found.status_code == 404 and "needs a dvc.lock that names ingest" in text_of(found)


def test_versions_are_chosen_from_the_commits_that_changed_the_dataset(project: Ask) -> None:
    git("commit", "-q", "--allow-empty", "-m", "nothing of the dataset")
    git("tag", "v1", "HEAD~1")
    page = project("/versions", before="v1").text
    options = [html.unescape(text) for text in re.findall(r"<option[^>]*>([^<]*)</option>", page)]
    assert len(options) == 6  # the workspace and two commits, on both sides
    assert options[1].endswith("(tag: v1) second <b>") and options[2].endswith(" first")
    first, second = (
        re.findall(r'<option value="([0-9a-f]{40})" selected>', page),
        git("rev-parse", "v1"),
    )
    assert first == [second]
    assert "HEAD" in re.findall(r'<option value="([^"]*)" selected>', project("/versions").text)


# --- comparing takes seconds ------------------------------------------------------------------


def test_a_comparison_is_made_once_until_a_side_changes(
    project: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    read = revision.read_versions
    monkeypatch.setattr(
        revision, "read_versions", lambda names: (calls.append(names), read(names))[1]
    )
    for _ in range(2):
        project("/versions", before="HEAD~1", after="HEAD")
        project("/versions")
    assert len(calls) == 2
    write_version(BEFORE, seed=3)
    assert "moved between splits: 1" in text_of(project("/versions"))
    project("/versions", before="HEAD~1", after="HEAD")
    assert len(calls) == 3


def test_one_request_at_a_time_uses_dvc(project: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = [], []
    read = revision.read_versions

    def counted(names: list[str]) -> list[revision.Version]:
        inside.append(names)
        most.append(len(inside))
        found = read(names)
        inside.pop()
        return found

    monkeypatch.setattr(revision, "read_versions", counted)
    asked = [("HEAD~1", "HEAD"), ("HEAD", "HEAD~1"), ("HEAD", "workspace"), ("HEAD", "HEAD")]
    with ThreadPoolExecutor(4) as pool:
        pages = pool.map(lambda sides: project("/versions", before=sides[0], after=sides[1]), asked)
        assert [page.status_code for page in pages] == [200] * 4
    assert most == [1] * 4


def test_many_images_of_a_kind_come_page_by_page(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = [
        (f"{number:04}", f"cat/{number:04}.png", "cat", "train", "ok", "") for number in range(130)
    ]
    sides = [
        revision.Version("v", pd.DataFrame(rows, columns=revision.COLUMNS, dtype=str), {}, "0", {})
        for rows in ([], images)
    ]
    monkeypatch.setattr(revision, "read_versions", lambda names: sides)
    page = ask("/versions", before="workspace")
    assert len(pictures(page.text)) == 12 and "all 130" in page.text
    all_of_them = "/versions?before=workspace&after=workspace&kind=added"
    assert all_of_them in html.unescape(page.text)
    last = ask(f"{all_of_them}&page=3")
    assert len(pictures(last.text)) == 10 and "0129.png" in last.text
    assert f"{all_of_them}&page=2" in html.unescape(last.text) and 'rel="next"' not in last.text
    beyond = ask(f"{all_of_them}&page=4")
    assert beyond.status_code == 404
    assert "page 4: there are 3 of images that are added" in text_of(beyond)
    assert ask("/versions", before="workspace", kind="stolen").status_code == 400
