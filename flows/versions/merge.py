"""Finish a git merge in which both sides brought images, or ran: a three-way merge of data/raw.

Git can merge neither data/raw.dvc, which names a listing of files by its hash, nor what stages
leave. The listings are merged file by file; what stages leave is taken from our side, for the run
that follows remakes it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML, YAMLError

from flows.versions.git import git
from flows.versions.raw_dvc import RAW_DVC, require_versionable
from tasks.common.errors import UserError
from tasks.dataset.paths import AUGMENTED, RAW

if TYPE_CHECKING:  # where nothing is to be merged, DVC is not imported: that takes a second
    from dvc.repo import Repo

    from flows.versions.raw_listing import Listing, Merged

SIDES = ("ours", "theirs")
BASE, OURS, THEIRS = 1, 2, 3  # as git numbers the sides of a conflict
LOCK = "dvc.lock"
CONCLUDED_BY = {  # what git calls the other side's commit -> what ends the merge
    "MERGE_HEAD": "git commit",
    "CHERRY_PICK_HEAD": "git cherry-pick --continue",
    "REVERT_HEAD": "git revert --continue",
    "REBASE_HEAD": "git rebase --continue",  # last: it is left behind by a rebase that has ended
}


@dataclass(frozen=True)
class Merge:
    """What git left unmerged: for each path the blobs of the sides that have it; and the name of the other commit."""

    blobs: dict[str, dict[int, str]]
    other: str

    @property
    def concluded_by(self) -> str:
        return f"git add -A && {CONCLUDED_BY.get(self.other, 'git commit')}"


def find() -> Merge | None:
    """The merge that git left unfinished in this folder, or None."""
    blobs: dict[str, dict[int, str]] = {}
    for entry in filter(None, git("ls-files", "-z", "--unmerged").split(b"\0")):
        facts, _, name = entry.partition(b"\t")
        _, blob, side = facts.decode().split()
        blobs.setdefault(os.fsdecode(name), {})[int(side)] = blob
    if not blobs:
        return None
    return Merge(
        blobs,
        next((name for name in CONCLUDED_BY if git("rev-parse", "--quiet", "--verify", name)), ""),
    )


def require_finished() -> None:
    """Raises UserError where git left a merge unfinished."""
    found = find()
    if found:
        raise UserError(
            f"{', '.join(sorted(found.blobs))}: in conflict; `variegate run` finishes the merge"
        )


def require_side(prefer: str | None) -> None:
    """Raises UserError for what is no side of a merge."""
    if prefer not in (None, *SIDES):
        raise UserError(f"--prefer {prefer}: needs to be {' or '.join(SIDES)}")


def finish(merge: Merge, prefer: str | None) -> list[str]:
    """Merge the images and bring them into data/raw, take our side of what stages leave, and tell git.

    Args:
        prefer: the side whose file to take where both changed it.

    Returns:
        What was done, in lines.

    Raises:
        UserError: for what the user has to decide, or DVC cannot find; then nothing was changed.
    """
    from flows.versions.dvc_graph import in_repo

    _require_mergeable(merge)
    require_versionable()
    return in_repo(lambda repo: _finish(repo, merge, prefer))


def _finish(repo: "Repo", merge: Merge, prefer: str | None) -> list[str]:
    from dvc.repo import lock_repo

    from flows.versions import raw_listing

    with lock_repo(repo):
        there = raw_listing.store_workspace(repo)
        merged = _merge_images(repo, merge, there, prefer)
        raw_listing.fetch(repo, merged.files)
        _fetch_variants(repo, merge)
        for name, sides in merge.blobs.items():  # until here nothing was changed
            _take_ours(name, sides)
        if RAW_DVC.is_file():
            raw_listing.write_workspace(repo, merged.files)
    versioned = [str(RAW_DVC)] if RAW_DVC.is_file() else []
    git(
        "add", "--all", "--", *versioned, *merge.blobs, check=True
    )  # so that the next run does not begin again
    remade = sorted(merge.blobs.keys() - {str(RAW_DVC)})
    return [
        _told(merged, there),
        *(
            [f"{raw_listing.first_names(remade)}: ours, until this run remakes them"]
            if remade
            else []
        ),
    ]


def _merge_images(repo: "Repo", merge: Merge, there: "Listing", prefer: str | None) -> "Merged":
    """What data/raw is to hold.

    Where git could merge data/raw.dvc, it is what that says: a merge leaves data/raw behind, as a checkout does.
    """
    from flows.versions import raw_listing

    if str(RAW_DVC) in merge.blobs:
        versions = [_blob(merge.blobs[str(RAW_DVC)].get(side)) for side in (BASE, OURS, THEIRS)]
    elif RAW_DVC.is_file():
        head = git("show", f"HEAD:./{RAW_DVC}")
        versions = [head, head, RAW_DVC.read_bytes()]
    else:
        return raw_listing.Merged(there)  # not versioned
    base, ours, theirs = (raw_listing.read_listing(repo, version) for version in versions)
    merged = raw_listing.merge(base, ours, theirs, prefer)
    if merged.conflicts:
        decide = "decide with `variegate run --prefer ours`, or theirs"
        raise UserError(
            f"{RAW}: both sides changed {raw_listing.first_names(merged.conflicts)} in different ways; {decide}"
        )
    raw_listing.keep_own(merged, there, [base, ours, theirs], _committed(repo, merge))
    if merged.in_the_way:
        mend = "in no commit, and the merge brings another or none; move away what you want to keep, then run again"
        raise UserError(f"{RAW}/{raw_listing.first_names(merged.in_the_way)}: {mend}")
    both = raw_listing.files_and_folders(merged.files)
    if both:
        raise UserError(
            f"{RAW}/{raw_listing.first_names(both)}: a file on one side, a folder on the other; rename one, there"
        )
    return merged


def _committed(repo: "Repo", merge: Merge) -> list["Listing"]:
    """What else data/raw may hold without being the user's own: a rebase, unlike a merge, begins at another commit."""
    from flows.versions import raw_listing

    found = []
    for commit in (merge.other, *(["ORIG_HEAD"] if merge.other == "REBASE_HEAD" else [])):
        try:
            found.append(raw_listing.read_listing(repo, git("show", f"{commit}:./{RAW_DVC}")))
        except UserError:
            continue  # not to be had: then its files count as the user's own, and are kept
    return found


def _fetch_variants(repo: "Repo", merge: Merge) -> None:
    """Bring the other side's variants, for augment to reuse. It makes those that are not to be had."""
    from flows.versions import raw_listing

    try:
        outs = YAML(typ="safe").load(git("show", f"{merge.other}:./{LOCK}"))["stages"]["augment"][
            "outs"
        ]
        (md5,) = (out["md5"] for out in outs if out["path"] == str(AUGMENTED))
        raw_listing.fetch_folder(repo, md5)
    except (UserError, YAMLError, KeyError, TypeError, ValueError):
        return


def _told(merged: "Merged", there: "Listing") -> str:
    """What that means for data/raw."""
    counts = {
        "added": len(merged.files.keys() - there.keys()),
        "removed": len(there.keys() - merged.files.keys()),
        "replaced": sum(there.get(name, md5) != md5 for name, md5 in merged.files.items()),
        "of no commit kept": len(merged.own),
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return f"{RAW}: {len(merged.files):,} files: {told or 'the same'}"


# --- what git left ------------------------------------------------------------------------------------------------


def _require_mergeable(merge: Merge) -> None:
    """Raises UserError where parameters, code or anything else that no stage makes is unmerged."""
    users = sorted(merge.blobs.keys() - _outputs() - {LOCK, str(RAW_DVC)})
    if users:
        raise UserError(f"{', '.join(users)}: in conflict; edit and `git add`, then run again")
    sides = merge.blobs.get(str(RAW_DVC), {})
    if sides and not {OURS, THEIRS} <= sides.keys():
        raise UserError(
            f"{RAW_DVC}: one side removed it; `git add` it and `dvc checkout`, or `git rm` it"
        )


def _outputs() -> set[str]:
    """What stages make, by our side's dvc.yaml: the workspace's may be in conflict itself."""
    stages = YAML(typ="safe").load(git("show", "HEAD:./dvc.yaml"))["stages"].values()
    listed = [
        entry
        for stage in stages
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, ())
    ]
    return {name for entry in listed for name in ([entry] if isinstance(entry, str) else entry)}


def _take_ours(name: str, sides: dict[int, str]) -> None:
    """Put our version, or the only one, into the workspace."""
    blob = sides.get(OURS, sides.get(THEIRS))
    if blob is None:
        Path(name).unlink(missing_ok=True)
    else:
        Path(name).write_bytes(_blob(blob))


def _blob(name: str | None) -> bytes:
    return git("cat-file", "blob", name) if name else b""
