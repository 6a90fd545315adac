"""Stale checkout: git moved to another commit, and data/raw still holds files of the one before.

To DVC such a data/raw is an edit. A run would put the old images in place of those of the new
commit, and images that others added would silently leave the dataset.
"""

from dvc.repo import Repo

from flows.versions import raw_listing
from flows.versions.dvc_graph import Step, in_repo
from flows.versions.git import git
from flows.versions.raw_dvc import RAW_DVC, raw_hash
from tasks.acquire import sample
from tasks.common.errors import UserError
from tasks.dataset.clutter import is_clutter
from tasks.dataset.paths import RAW

MOST_HEADS = 20  # entries of HEAD's reflog that are examined


def require_not_stale(steps: list[Step]) -> None:
    """Check that data/raw followed git to the present commit.

    Args:
        steps: the stages of the run; where data/raw.dvc is among them and clean, nothing is asked.

    Raises:
        UserError: where git brought another data/raw.dvc, and most of what that changed is still
            as it was before in data/raw.
    """
    if all(step.clean for step in steps if step.address == str(RAW_DVC)):
        return
    edited = git("diff", "--name-only", "HEAD", "--", str(RAW_DVC))
    if edited or raw_hash() in sample.DVC_HASH.values():
        return  # `dvc add` since the commit, or a sample, which may be replaced by other images
    if in_repo(_is_stale):
        mend = f"`dvc pull` brings them, `dvc add {RAW}` goes on without"
        raise UserError(
            f"{RAW}: needs the images of this commit, found those of the one before; {mend}"
        )


def _is_stale(repo: Repo) -> bool:
    """Whether data/raw resembles an earlier commit more than the present data/raw.dvc."""
    md5, present = raw_listing.read_workspace(repo)
    if md5 == raw_hash():
        return False
    wanted = _read_listing(repo, RAW_DVC.read_bytes())
    if wanted is None:
        return True  # a listing that was ever checked out here would be in DVC's cache
    for commit in _earlier_heads():
        earlier = _read_listing(repo, git("show", f"{commit}:./{RAW_DVC}"))
        if earlier is None:
            continue
        names = [name for name in {*wanted, *earlier} if not is_clutter(name)]
        changed = [name for name in names if wanted.get(name) != earlier.get(name)]
        not_followed = sum(present.get(name) == earlier.get(name) for name in changed)
        # more than half: the user may have copied some files by hand, and deleted others
        if not_followed > len(changed) / 2:
            return True
    return False


def _read_listing(repo: Repo, raw_dvc: bytes) -> raw_listing.Listing | None:
    """The files that a data/raw.dvc names; None where DVC finds their listing nowhere."""
    try:
        return raw_listing.read_listing(repo, raw_dvc)
    except UserError:
        return None


def _earlier_heads() -> list[str]:
    """The commits that HEAD was at since the last commit made here, newest first.

    A commit made here recorded data/raw as it was, so what came before it does not matter.
    """
    heads = []
    reflog = git("reflog", f"-{MOST_HEADS}", "--format=%H %gs").decode(errors="replace")
    for line in reflog.splitlines():
        commit, _, action = line.partition(" ")
        heads.append(commit)
        if action.startswith("commit"):
            break
    return heads[1:]
