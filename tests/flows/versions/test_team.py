"""People who share a dataset: through a remote over SSH, and by merging what both have added."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from flows.versions import merge
from flows.versions.dvc_graph import read_steps
from flows.versions.raw_listing import files_and_folders
from flows.versions.raw_listing import merge as merge_listings
from flows.versions.stale_checkout import require_not_stale
from tasks.common.errors import UserError
from tests.conftest import Project, commit, fill
from tests.flows.test_pipeline import all_stages, stages_line
from tests.ssh_server import Server

Environment = dict[str, str]
PUSH = "`dvc push` it where it was made, then run again"

# --- a remote over SSH -------------------------------------------------------------------------


def clone(project: Project, url: Path, place: Path) -> Project:
    project.run("git", "clone", "-q", str(url), str(place))
    other = Project(place)
    other.environment["PYTHONPATH"] = str(place)
    for name, value in (("user.email", "others@example.com"), ("user.name", "others")):
        other.run("git", "config", name, value)
    return other


@pytest.mark.slow
def test_what_one_pushes_over_ssh_another_pulls_and_computes_nothing(
    finished: Project,
    sshd: Server,
    prefect_server: Environment,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    finished.run("git", "init", "-q", "--bare", str(shared / "git"))
    finished.run("git", "remote", "add", "origin", str(shared / "git"))
    sshd.add_to(finished, shared / "images")
    finished.run("dvc", "push", "-q")
    commit(finished, "first")
    finished.run("git", "push", "-q", "-u", "origin", "HEAD")
    assert "keyfile" not in finished.run("git", "show", "HEAD:.dvc/config").stdout

    other = clone(finished, shared / "git", shared / "clone")
    sshd.log_in(other)
    other.run("dvc", "pull", "-q")
    assert "Data and pipelines are up to date." in other.run("dvc", "repro").stdout
    assert stages_line(other.variegate("run", **prefect_server).stdout) == all_stages("cached")

    finished.write_digits(per_class=10, classes=1, skip=6)
    finished.run("dvc", "repro", "-q", "augment")
    commit(finished, "ten more")
    finished.run("dvc", "push", "-q")
    finished.run("git", "push", "-q")
    other.run("git", "pull", "-q")
    other.run("dvc", "pull", "-q")
    found = json.loads(other.variegate("diff", "HEAD~1", "HEAD", "--json").stdout)
    assert (found["counts"]["added"], found["counts"]["removed"], found["files"]["after"]) == (
        10,
        0,
        28,
    )
    counts = found["classes"]["0"]
    assert counts["before"]["sources"] == 4 and counts["after"]["sources"] > 4
    assert counts["after"]["written"] == 4 * counts["after"]["sources"]
    said = other.variegate("run", "--until", "augment", **prefect_server).stdout
    assert stages_line(said) == "data/raw cached, ingest cached, validate cached, augment cached"
    assert other.data_hashes() == finished.data_hashes()
    assert other.run("git", "status", "--porcelain").stdout == ""


BEHIND = (
    "error: data/raw: needs the images of this commit, found those of the one before; "
    "`dvc pull` brings them, `dvc add data/raw` goes on without\n"
)


@pytest.mark.slow
def test_a_run_does_not_go_back_to_the_images_of_the_commit_before(
    checkout: Project,
    prefect_server: Environment,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """As after `git pull` without `dvc pull`, whatever was added here since."""
    checkout.run("git", "checkout", "-q", "-b", "more")
    for number in range(3):
        write(f"0/more {number}.png", f"m{number}")(checkout)
    checkout.run("dvc", "add", "-q", "data/raw")
    commit(checkout, "more")
    checkout.run("git", "checkout", "-q", "-")
    checkout.run("dvc", "checkout", "-q", "data/raw.dvc")
    checkout.run("git", "merge", "-q", "more")
    write("0/own.png", "o")(checkout)
    said = checkout.path("data/raw.dvc").read_bytes()
    done = checkout.variegate("validate", check=False)
    assert (done.returncode, done.stderr) == (2, BEHIND)
    done = checkout.variegate("run", "--until", "ingest", check=False, **prefect_server)
    assert (done.returncode, done.stderr.splitlines()[-1] + "\n") == (2, BEHIND)
    assert checkout.variegate("diff", check=False).stderr == BEHIND
    inbox = tmp_path_factory.mktemp("inbox")  # its files others have brought already
    for number in range(3):
        (inbox / f"more {number}.png").write_text(f"m{number}")
        os.utime(inbox / f"more {number}.png", (0, 0))
    bring = ("run", "--until", "ingest", "--bring-from", str(inbox))
    done = checkout.variegate(*bring, check=False, **prefect_server)
    assert (done.returncode, done.stderr.splitlines()[-1] + "\n") == (2, BEHIND)
    write("0/more 1.png", "m1")(checkout)  # one of them by hand
    done = checkout.variegate("validate", check=False)
    assert (done.returncode, done.stderr) == (2, BEHIND)
    remove("0/more 1.png")(checkout)
    assert checkout.path("data/raw.dvc").read_bytes() == said
    monkeypatch.chdir(checkout.root)
    checkout.run("dvc", "add", "-q", "data/raw")
    require_not_stale(read_steps("ingest"))
    commit(checkout, "without more")
    remove("0/own.png")(
        checkout
    )  # as two commits before, but git did not move: an edit as any other
    require_not_stale(read_steps("ingest"))


# --- merging -----------------------------------------------------------------------------------


def test_a_run_finishes_a_merge_and_makes_what_neither_side_had(
    finished: Project, prefect_server: Environment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    commit(finished, "first")
    finished.run("git", "branch", "theirs")
    finished.write_digits(per_class=1, classes=3, skip=8)
    finished.run("dvc", "repro", "-q", "augment")
    commit(finished, "ours")
    made = sources(finished)
    finished.run("git", "checkout", "-q", "theirs")
    finished.run("dvc", "checkout", "-q")
    finished.write_digits(per_class=8)
    finished.run("dvc", "repro", "-q", "augment")
    commit(finished, "theirs")
    made |= sources(finished)
    finished.run("git", "checkout", "-q", "-")
    finished.run("dvc", "checkout", "-q")
    lock = finished.path("dvc.lock").read_bytes()
    assert finished.run("git", "merge", "theirs", check=False).returncode == 1
    assert finished.path("dvc.lock").read_bytes() == lock  # git mixed nothing
    shutil.rmtree(
        finished.path(".variegate")
    )  # as where the other side's variants came with `dvc pull`
    finished.write_digits(per_class=1, classes=1, skip=20)

    done = finished.variegate("run", "--until", "augment", **prefect_server)
    merged, remade, *_ = done.stdout.splitlines()
    assert merged == "merged           data/raw: 28 files: 6 added, 1 of no commit kept"
    kept = (
        "dvc.lock, metrics/augment.json, metrics/validate.json: ours, until this run remakes them"
    )
    assert remade == f"merged           {kept}"
    assert (
        done.stdout.splitlines()[-1] == "merge            `git add -A && git commit` concludes it"
    )
    now = sources(finished)
    assert f"made {4 * len(now - made)}, reused {4 * len(now & made)}" in done.stderr and now & made
    assert finished.run("git", "ls-files", "--unmerged").stdout == ""
    commit(finished, "merged")
    assert len(finished.run("git", "log", "-1", "--format=%P").stdout.split()) == 2
    said = finished.variegate("run", "--until", "augment", **prefect_server).stdout
    assert stages_line(said) == "data/raw cached, ingest cached, validate cached, augment cached"

    cold = fill(tmp_path_factory.mktemp("cold"))
    shutil.copytree(finished.path("data/raw"), cold.path("data/raw"))
    for stage in ("ingest", "validate", "augment"):
        cold.stage(stage)
    assert cold.data_hashes() == finished.data_hashes()


def sources(project: Project) -> set[str]:
    """The training images in the ledger."""
    return set(pd.read_parquet(project.path("data/augmented/manifest.parquet"))["source_id"])


Edit = Callable[[Project], object]


def diverge(project: Project, ours: Edit, theirs: Edit) -> None:
    """A merge in conflict, where each side committed an edit of data/raw."""
    project.run("git", "branch", "theirs")
    for edit, after in (
        (ours, ["git", "checkout", "-q", "theirs"]),
        (theirs, ["git", "checkout", "-q", "-"]),
    ):
        edit(project)
        project.run("dvc", "add", "-q", "data/raw")
        commit(project, "an edit")
        project.run(*after)
        project.run("dvc", "checkout", "-q", "data/raw.dvc")
    assert project.run("git", "merge", "theirs", check=False).returncode == 1


def write(name: str, content: str) -> Edit:
    """Replace a file of data/raw, or write a new one."""

    def edit(project: Project) -> None:
        path = project.path(f"data/raw/{name}")
        path.unlink(missing_ok=True)  # never in place: DVC's cache has the same file
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)

    return edit


def remove(name: str) -> Edit:
    return lambda project: project.path(f"data/raw/{name}").unlink()


def move(name: str, to: str) -> Edit:
    return lambda project: project.path(f"data/raw/{name}").rename(project.path(f"data/raw/{to}"))


def all_of(*edits: Edit) -> Edit:
    return lambda project: [edit(project) for edit in edits]


def names(project: Project) -> set[str]:
    return {
        str(path.relative_to(project.path("data/raw")))
        for path in project.path("data/raw").rglob("*.*")
    }


def finish(prefer: str | None = None) -> list[str]:
    """Finish the merge that stands here, without the run that follows."""
    found = merge.find_merge()
    assert found is not None
    return merge.finish_merge(found, prefer)


def fails() -> str:
    """What finish() says that the user has to mend."""
    with pytest.raises(UserError) as found:
        finish()
    return str(found.value)


def test_who_removes_moves_and_adds_is_heard_on_both_sides(
    checkout: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(checkout)
    ours = all_of(remove("0/0000.png"), move("1/0001.png", "2/0001.png"), write("0/ours.png", "o"))
    theirs = all_of(
        remove("0/0000.png"),
        remove("0/0010.png"),
        write("new/theirs.png", "t"),
        write("1/0011.png", "t"),
    )
    diverge(checkout, ours, theirs)
    monkeypatch.chdir(checkout.root)
    assert finish() == ["data/raw: 18 files: 1 added, 1 removed, 1 replaced"]
    assert names(checkout) - before == {"2/0001.png", "0/ours.png", "new/theirs.png"}
    assert before - names(checkout) == {"0/0000.png", "0/0010.png", "1/0001.png"}
    assert checkout.path("data/raw/1/0011.png").read_text() == "t"
    assert merge.find_merge() is None
    told = checkout.path("data/raw.dvc").read_bytes()
    checkout.run("dvc", "add", "-q", "data/raw")
    assert checkout.path("data/raw.dvc").read_bytes() == told


def test_a_file_that_both_changed_is_the_users_to_decide(
    checkout: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = [
        all_of(write("labels.csv", each), write("0/0010.png", each), write("both.png", "1"))
        for each in "ot"
    ]
    diverge(
        checkout, all_of(edits[0], remove("0/0000.png")), all_of(edits[1], write("0/0000.png", "t"))
    )
    state = (
        checkout.run("git", "status", "--porcelain").stdout,
        checkout.path("data/raw.dvc").read_bytes(),
    )
    done = checkout.variegate("run", check=False)
    both = "both sides changed 0/0000.png, 0/0010.png, labels.csv in different ways"
    expected = f"error: data/raw: {both}; decide with `variegate run --prefer ours`, or theirs\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)
    assert state == (
        checkout.run("git", "status", "--porcelain").stdout,
        checkout.path("data/raw.dvc").read_bytes(),
    )
    done = checkout.variegate("plan", check=False)
    expected = "error: data/raw.dvc: in conflict; `variegate run` finishes the merge\n"
    assert (done.returncode, done.stderr) == (2, expected)
    done = checkout.variegate("run", "--prefer", "mine", check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: --prefer mine: needs to be ours or theirs\n",
    )
    monkeypatch.chdir(checkout.root)
    assert finish("theirs") == ["data/raw: 20 files: 1 added, 2 replaced"]
    assert {
        checkout.path(f"data/raw/{name}").read_text()
        for name in ("labels.csv", "0/0010.png", "0/0000.png")
    } == {"t"}


def test_files_of_no_commit_are_never_lost(
    checkout: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge(
        checkout, write("0/ours.png", "o"), all_of(write("0/theirs.png", "t"), remove("1/0001.png"))
    )
    for edit in (
        write("own.png", "own"),
        write("0/0010.png", "own"),
        write("0/theirs.png", "own"),
        remove("2/0002.png"),
    ):
        edit(checkout)
    write("1/0001.png", "own")(checkout)
    monkeypatch.chdir(checkout.root)
    mend = (
        "in no commit, and the merge brings another or none; move away what you want to "
        "keep, then run again"
    )
    assert fails() == f"data/raw/0/theirs.png, 1/0001.png: {mend}"
    assert checkout.path("data/raw/0/theirs.png").read_text() == "own"
    for name in ("0/theirs.png", "1/0001.png"):
        checkout.path(f"data/raw/{name}").unlink()
    assert finish() == ["data/raw: 20 files: 2 added, 2 of no commit kept"]
    assert {
        checkout.path(name).read_text() for name in ("data/raw/own.png", "data/raw/0/0010.png")
    } == {"own"}
    assert (
        checkout.path("data/raw/0/theirs.png").read_text() == "t"
        and checkout.path("data/raw/2/0002.png").exists()
    )


def test_what_git_could_merge_itself_reaches_data_raw_too(
    checkout: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here only the other side changed the images, and something else is in conflict."""
    metrics = checkout.path("metrics/augment.json")
    diverge(
        checkout,
        lambda project: metrics.write_text("1"),
        all_of(write("0/theirs.png", "t"), lambda project: metrics.write_text("2")),
    )
    monkeypatch.chdir(checkout.root)
    assert finish() == [
        "data/raw: 19 files: 1 added",
        "metrics/augment.json: ours, until this run remakes them",
    ]
    assert metrics.read_text() == "1"
    assert checkout.path("data/raw/0/theirs.png").read_text() == "t"


def test_what_stages_do_not_make_is_the_users_to_merge(checkout: Project) -> None:
    diverge(
        checkout,
        all_of(
            write("0/ours.png", "o"),
            lambda project: project.set_params(augment__variants_per_image=2),
        ),
        all_of(
            write("0/theirs.png", "t"),
            lambda project: project.set_params(augment__variants_per_image=3),
        ),
    )
    done = checkout.variegate("run", check=False)
    expected = "error: params.yaml: in conflict; edit and `git add`, then run again\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_a_rebase_is_followed_commit_by_commit(
    checkout: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unlike in a merge, data/raw holds what later commits bring; "ours" is the other branch."""
    checkout.run("git", "branch", "mine")
    all_of(remove("0/0000.png"), write("0/upstream.png", "u"))(checkout)
    checkout.run("dvc", "add", "-q", "data/raw")
    commit(checkout, "upstream")
    checkout.run("git", "checkout", "-q", "mine")
    checkout.run("dvc", "checkout", "-q", "data/raw.dvc")
    for content in "12":
        all_of(write("1/mine.png", content), write(f"2/{content}.png", content))(checkout)
        checkout.run("dvc", "add", "-q", "data/raw")
        commit(checkout, content)
    monkeypatch.chdir(checkout.root)
    checkout.run("git", "rebase", "-", check=False)
    found = merge.find_merge()
    assert found is not None and found.concluded_by == "git add -A && git rebase --continue"
    assert finish() == ["data/raw: 20 files: 1 added, 2 removed, 1 replaced"]
    checkout.run("git", "-c", "core.editor=true", "rebase", "--continue", check=False)
    assert finish() == ["data/raw: 21 files: 1 added, 1 replaced"]
    checkout.run("git", "-c", "core.editor=true", "rebase", "--continue")
    assert checkout.path("data/raw/1/mine.png").read_text() == "2" and "0/0000.png" not in names(
        checkout
    )
    assert merge.find_merge() is None


def test_images_that_are_nowhere_are_told_and_fetched_once_they_are_pushed(
    checkout: Project, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = tmp_path_factory.mktemp("store")
    checkout.run("dvc", "remote", "add", "-q", "-d", "store", str(store))
    checkout.run("dvc", "push", "-q", "data/raw.dvc")
    commit(checkout, "a remote")
    other = clone(checkout, checkout.root, tmp_path_factory.mktemp("clone"))
    other.run("dvc", "pull", "-q", "data/raw.dvc")
    for project, name in ((other, "ours"), (checkout, "theirs")):
        write(f"0/{name}.png", name)(project)
        project.run("dvc", "add", "-q", "data/raw")
        commit(project, name)
    other.run("git", "pull", "-q", "--no-rebase", check=False)

    monkeypatch.chdir(other.root)
    listing = checkout.path("data/raw.dvc").read_text().split()[3]
    where = f"data/raw.dvc: the listing {listing} is"
    assert fails() == f"{where} neither in DVC's cache nor in its remote; {PUSH}"
    other.run("dvc", "remote", "remove", "store")
    assert (
        fails() == f"{where} not in DVC's cache, and there is no remote (`dvc remote add -d NAME "
        f"URL`); {PUSH}"
    )
    other.run("git", "checkout", "-q", ".dvc/config")
    checkout.run("dvc", "push", "-q", "data/raw.dvc")
    md5 = hashlib.md5(b"theirs").hexdigest()
    held_back = store / "files/md5" / md5[:2] / md5[2:]
    held_back.rename(store / "away")
    assert fails() == f"data/raw: 0/theirs.png is neither in DVC's cache nor in its remote; {PUSH}"
    assert "0/theirs.png" not in names(other)
    (store / "away").rename(held_back)
    assert finish() == ["data/raw: 20 files: 1 added"]
    assert other.path("data/raw/0/theirs.png").read_text() == "theirs"


CASES = [  # base, ours, theirs; merged, and in conflict
    ("a", "a", "a", "a", False),
    ("a", "b", "a", "b", False),
    ("a", "a", "b", "b", False),
    ("a", "b", "b", "b", False),
    ("a", None, "a", None, False),
    ("a", "a", None, None, False),
    ("a", None, None, None, False),
    (None, "a", None, "a", False),
    (None, None, "a", "a", False),
    (None, "a", "a", "a", False),
    (None, "a", "b", "a", True),
    ("a", "b", "c", "b", True),
    ("a", "b", None, "b", True),
    ("a", None, "b", None, True),
]


@pytest.mark.parametrize(("base", "ours", "theirs", "expected", "conflict"), CASES)
def test_listings_are_merged_three_ways(
    base: str | None, ours: str | None, theirs: str | None, expected: str | None, conflict: bool
) -> None:
    sides = [{} if content is None else {"x": content} for content in (base, ours, theirs)]
    assert merge_listings(*sides).conflicts == (["x"] if conflict else [])
    assert merge_listings(*sides, prefer="ours").files.get("x") == expected
    assert merge_listings(*sides, prefer="theirs").files.get("x") == (
        theirs if conflict else expected
    )


def test_clutter_that_both_changed_is_no_conflict() -> None:
    merged = merge_listings({}, {"cat/.DS_Store": "1"}, {"cat/.DS_Store": "2"})
    assert (merged.files, merged.conflicts) == ({"cat/.DS_Store": "1"}, [])


def test_a_name_that_is_a_file_and_a_folder_is_found() -> None:
    assert files_and_folders({"a": "1", "a/b/c": "2", "a/b": "3", "d": "4", "ab/c": "5"}) == [
        "a",
        "a/b",
    ]
