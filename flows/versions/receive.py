"""Receive what others have pushed: their commits by git, then the data that these name by DVC."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo, lock_repo

from flows.versions import raw_listing, remote
from flows.versions.dvc_graph import in_repo
from flows.versions.git import git
from flows.versions.raw_dvc import RAW_DVC
from tasks.common.errors import UserError
from tasks.common.temporary import has_files
from tasks.dataset.paths import RAW

# what a run writes, and the next run writes again from what DVC's cache has
WRITTEN_BY_RUNS = ("dvc.lock", str(RAW_DVC), "metrics", "plots")


def pull() -> str:
    """`git pull --ff-only` and `dvc pull`, also where a run that was killed left things half done.

    Images in data/raw that no commit has stay there. Results that no commit has make way for newer
    ones: DVC's cache keeps what they name.

    Returns:
        What was received, in one line.

    Raises:
        UserError: where the branch has no upstream, or commits of its own; where git or DVC refuse;
            where an image was changed both here and there.
    """
    upstream = git("rev-parse", "--abbrev-ref", "HEAD@{upstream}").decode().strip()
    if not upstream:
        raise UserError("git pull: the branch needs an upstream: `git push -u origin HEAD` sets it")
    git("fetch", "--quiet", check=True)
    behind, ahead = _count(f"HEAD..{upstream}"), _count(f"{upstream}..HEAD")
    if behind and ahead:
        problem = f"this branch and {upstream} both have commits that the other lacks"
        raise UserError(f"git pull: {problem}; `git merge`, then `variegate run` joins them")
    if behind:
        in_repo(lambda repo: _receive_images(repo, upstream))
        _put_back(upstream)
        git("merge", "--quiet", "--ff-only", upstream, check=True)
    in_repo(_pull_data)
    return f"{behind:,} new commits of {upstream}"


def _count(commits: str) -> int:
    return int(git("rev-list", "--count", commits, check=True))


def _receive_images(repo: Repo, upstream: str) -> None:
    """Let data/raw have the images of the new commit, and keep those that no commit has.

    Before git follows: where this is interrupted, the next call begins anew.
    """
    old, new = (git("show", f"{commit}:./{RAW_DVC}") for commit in ("HEAD", upstream))
    if old == new or not new:
        return
    with lock_repo(repo):
        base, theirs = (raw_listing.read_listing(repo, each) for each in (old, new))
        here = raw_listing.store_workspace(repo) if has_files(RAW) else base
        merged = raw_listing.merge(base, here, theirs)
        clashes = merged.conflicts or raw_listing.files_and_folders(merged.files)
        if clashes:
            names = raw_listing.first_names(clashes)
            problem = f"differs here, in no commit, from what {upstream} brings"
            raise UserError(f"{RAW}/{names}: {problem}; move it away, then run again")
        raw_listing.fetch(repo, merged.files)
        RAW_DVC.write_bytes(new)
        raw_listing.write_workspace(repo, merged.files)


def _put_back(upstream: str) -> None:
    """Put files that runs write, and git is to replace, back to what the last commit has.

    Git would refuse to go on.
    """
    replaced = _names("diff", "--name-only", "--relative", "-z", "HEAD", upstream)
    changed = _names("diff", "--name-only", "--relative", "-z", "HEAD")
    for name in sorted(replaced & changed):
        git("checkout", "--quiet", "HEAD", "--", name, check=True)
    for name in replaced & _names("ls-files", "--others", "-z"):
        Path(name).unlink()


def _names(*command: str) -> set[str]:
    """The files that a git command lists, of those that runs write."""
    listed = git(*command, "--", *WRITTEN_BY_RUNS, check=True).decode()
    return set(filter(None, listed.split("\0")))


def _pull_data(repo: Repo) -> None:
    """`dvc pull`: data/raw where it is empty; of what stages made, as much as there is."""
    with _quiet():
        if RAW_DVC.is_file() and not has_files(RAW):
            remote.pull(repo, [str(RAW_DVC)])
        repo.pull(["dvc.yaml"], force=True, allow_missing=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """DVC would log each file that no remote has: the run makes those."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
