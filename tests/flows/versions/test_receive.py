"""What others pushed is received, and nothing that is only here is lost."""

from pathlib import Path

import pytest

from flows.versions import receive
from flows.versions.dvc_graph import in_repo
from flows.versions.publish import push
from tasks.common.errors import UserError
from tests.conftest import Project, commit, copy_of

UPSTREAM = "this branch and origin/main both have commits that the other lacks"


@pytest.fixture
def both(checkout: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """Two clones of one dataset, both up to date."""
    folder = tmp_path_factory.mktemp("remotes")
    checkout.run("git", "init", "-q", "--bare", str(folder / "git"))
    checkout.run("git", "remote", "add", "origin", str(folder / "git"))
    checkout.path(".dvc/config").write_text(
        f"[core]\nremote = s\n['remote \"s\"']\nurl = {folder}\n"
    )
    commit(checkout, "A remote")
    checkout.run("git", "push", "-q", "-u", "origin", "HEAD:main")
    checkout.run("git", "branch", "-q", "-m", "main")
    return checkout, copy_of(checkout, tmp_path_factory.mktemp("other"))


def add_and_push(project: Project, name: str, content: bytes) -> None:
    """Add an image that is in no other clone, commit and push it."""
    project.path(f"data/raw/0/{name}").write_bytes(content)
    with project.here():
        in_repo(lambda repo: repo.add("data/raw"))
        commit(project, f"An image: {name}")
        push()


def test_new_images_arrive_and_those_of_no_commit_stay(both: tuple[Project, Project]) -> None:
    one, other = both
    add_and_push(one, "new.png", b"new")
    gone = sorted(one.path("data/raw/1").iterdir())[0]
    gone.unlink()
    one.path("dvc.lock").write_text("schema: '2.0'\n")
    add_and_push(one, "newer.png", b"newer")
    other.path("data/raw/0/own.png").write_bytes(b"own")
    other.path("dvc.lock").write_text("schema: '2.0'\nstages: {}\n")  # left by a run
    with other.here():
        in_repo(lambda repo: repo.add("data/raw"))  # as a run does
        assert receive.pull() == "2 new commits of origin/main"
        raw = {path.name: path.read_bytes() for path in Path("data/raw").rglob("*.png")}
        assert (raw["new.png"], raw["newer.png"], raw["own.png"]) == (b"new", b"newer", b"own")
        assert gone.name not in raw and len(raw) == 18 - 1 + 3
        assert receive.pull() == "0 new commits of origin/main"
        assert Path("data/raw/0/own.png").read_bytes() == b"own"
    assert other.run("git", "status", "--porcelain").stdout == ""


def test_what_nobody_but_the_user_can_decide_changes_nothing(both: tuple[Project, Project]) -> None:
    one, other = both
    add_and_push(one, "new.png", b"new")
    other.path("data/raw/0/new.png").write_bytes(b"other")
    with other.here():
        with pytest.raises(UserError) as caught:
            receive.pull()
        problem = "differs here, in no commit, from what origin/main brings"
        assert str(caught.value) == f"data/raw/0/new.png: {problem}; move it away, then run again"
        assert Path("data/raw/0/new.png").read_bytes() == b"other"
    other.run("git", "commit", "-q", "--allow-empty", "-m", "Its own")
    with other.here(), pytest.raises(UserError, match=UPSTREAM):
        receive.pull()
    other.run("git", "branch", "--unset-upstream")
    with other.here(), pytest.raises(UserError) as caught:
        receive.pull()
    need = "the branch needs an upstream: `git push -u origin HEAD` sets it"
    assert str(caught.value) == f"git pull: {need}"
