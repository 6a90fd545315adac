"""Stale checkout: git moved to another commit, and data/raw did not follow.

To DVC such a data/raw is an edit: a run would take the images of the commit before for those that
are wanted now, and those that others added would be gone from the dataset without a word.
"""

from dvc.repo import Repo

from flows.versions import raw_listing
from flows.versions.dvc_graph import Step, in_repo
from flows.versions.git import git
from flows.versions.raw_dvc import RAW_DVC, raw_hash
from tasks.acquire import sample
from tasks.common.errors import UserError
from tasks.dataset.paths import RAW

MOVES = 20  # of HEAD, looked back at


def require_not_stale(steps: list[Step]) -> None:
    """Raises UserError where git brought another data/raw.dvc, and data/raw has little or nothing of it."""
    if all(step.clean for step in steps if step.address == str(RAW_DVC)):
        return
    edited = git("diff", "--name-only", "HEAD", "--", str(RAW_DVC))
    if edited or raw_hash() in sample.DVC_HASH.values():
        return  # the user said what belongs there, or nobody did
    if in_repo(_is_stale):
        mend = f"`dvc pull` brings them, `dvc add {RAW}` goes on without"
        raise UserError(
            f"{RAW}: needs the images of this commit, found those of the one before; {mend}"
        )


def _is_stale(repo: Repo) -> bool:
    md5, there = raw_listing.read_workspace(repo)
    if md5 == raw_hash():
        return False
    wanted = _read(repo, RAW_DVC.read_bytes())
    if wanted is None:
        return True  # what was here once is in DVC's cache
    for commit in _earlier_heads():
        earlier = _read(repo, git("show", f"{commit}:./{RAW_DVC}"))
        if earlier is None:
            continue
        brought = [name for name in {*wanted, *earlier} if wanted.get(name) != earlier.get(name)]
        behind = sum(there.get(name) == earlier.get(name) for name in brought)
        if behind > len(brought) / 2:  # some may have been put there by hand, others deleted
            return True
    return False


def _read(repo: Repo, raw_dvc: bytes) -> raw_listing.Listing | None:
    """The files that a data/raw.dvc names; None where the listing is not to be had."""
    try:
        return raw_listing.read_listing(repo, raw_dvc)
    except UserError:
        return None


def _earlier_heads() -> list[str]:
    """Where HEAD was since the last commit made here, which knew data/raw as it is."""
    found = []
    for line in git("reflog", f"-{MOVES}", "--format=%H %gs").decode(errors="replace").splitlines():
        commit, _, how = line.partition(" ")
        found.append(commit)
        if how.startswith("commit"):
            break
    return found[1:] if found else []
