"""Finish a git merge in which both sides changed images, or ran: a three-way merge of data/raw.

Git can merge neither data/raw.dvc, which names a listing of files by its hash, nor the outputs of
stages. The listings are merged file by file. Outputs are taken from our side, because the run that
follows makes them anew.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML, YAMLError

from flows.versions.git import git
from flows.versions.raw_dvc import RAW_DVC, require_versionable
from tasks.common.errors import UserError
from tasks.common.texts import counted
from tasks.dataset.paths import AUGMENTED, RAW

if TYPE_CHECKING:  # importing DVC takes a second, and most runs have nothing to merge
    from dvc.repo import Repo

    from flows.versions.raw_listing import Listing, Merged

SIDES = ("ours", "theirs")
BASE, OURS, THEIRS = 1, 2, 3  # git's numbers of the versions of a path in conflict
LOCK = "dvc.lock"
CONCLUDED_BY = {  # git's name for the other side's commit -> the command that ends the merge
    "MERGE_HEAD": "git commit",
    "CHERRY_PICK_HEAD": "git cherry-pick --continue",
    "REVERT_HEAD": "git revert --continue",
    "REBASE_HEAD": "git rebase --continue",  # last: it still exists after a rebase has ended
}


@dataclass(frozen=True)
class Merge:
    """A merge that git left unfinished.

    Attributes:
        blobs: for each path in conflict, the blob of each version that has it: BASE, OURS, THEIRS.
        other: git's name for the other side's commit, a key of CONCLUDED_BY; "" where unknown.
    """

    blobs: dict[str, dict[int, str]]
    other: str

    @property
    def concluded_by(self) -> str:
        """The command that ends the merge once finish_merge() is done."""
        return f"git add -A && {CONCLUDED_BY.get(self.other, 'git commit')}"


def find_merge() -> Merge | None:
    """The merge that git left unfinished in this folder, or None."""
    blobs: dict[str, dict[int, str]] = {}
    for entry in filter(None, git("ls-files", "-z", "--unmerged").split(b"\0")):
        facts, _, name = entry.partition(b"\t")
        _, blob, version = facts.decode().split()
        blobs.setdefault(os.fsdecode(name), {})[int(version)] = blob
    if not blobs:
        return None
    existing = (name for name in CONCLUDED_BY if git("rev-parse", "--quiet", "--verify", name))
    return Merge(blobs, next(existing, ""))


def require_finished() -> None:
    """Raises UserError where git left a merge unfinished."""
    found = find_merge()
    if found:
        raise UserError(
            f"{', '.join(sorted(found.blobs))}: in conflict; `variegate run` finishes the merge"
        )


def require_side(prefer: str | None) -> None:
    """Raises UserError for a value of --prefer that is neither None nor one of SIDES."""
    if prefer not in (None, *SIDES):
        raise UserError(f"--prefer {prefer}: needs to be {' or '.join(SIDES)}")


def finish_merge(merge: Merge, prefer: str | None) -> list[str]:
    """Merge the images into data/raw, take our version of stage outputs, and stage all with git.

    Args:
        merge: see find_merge().
        prefer: the side whose file to take where both changed it, one of SIDES; None: refuse.

    Returns:
        What was done, in lines.

    Raises:
        UserError: for what the user has to decide, and where files are nowhere; nothing has been
            changed then.
    """
    from flows.versions.dvc_graph import in_repo

    _require_mergeable(merge)
    require_versionable()
    return in_repo(lambda repo: _finish(repo, merge, prefer))


def _finish(repo: "Repo", merge: Merge, prefer: str | None) -> list[str]:
    from dvc.repo import lock_repo

    from flows.versions import raw_listing

    with lock_repo(repo):
        workspace = raw_listing.store_workspace(repo)
        merged = _merge_images(repo, merge, workspace, prefer)
        raw_listing.fetch(repo, merged.files)
        _fetch_variants(repo, merge)
        for name, versions in merge.blobs.items():  # until here nothing was changed
            _write_our_version(name, versions)
        if RAW_DVC.is_file():
            raw_listing.write_workspace(repo, merged.files)
    versioned = [str(RAW_DVC)] if RAW_DVC.is_file() else []
    # staged, nothing is in conflict any more, and the next run does not merge again
    git("add", "--all", "--", *versioned, *merge.blobs, check=True)
    lines = [_summary_line(merged, workspace)]
    remade = sorted(merge.blobs.keys() - {str(RAW_DVC)})
    if remade:
        lines.append(f"{raw_listing.first_names(remade)}: ours, until this run remakes them")
    return lines


def _merge_images(repo: "Repo", merge: Merge, workspace: "Listing", prefer: str | None) -> "Merged":
    """What data/raw is to hold.

    Where git itself could merge data/raw.dvc, that file says it: as after a checkout, data/raw did
    not follow.

    Raises:
        UserError: for conflicts that the user has to decide.
    """
    from flows.versions import raw_listing

    if str(RAW_DVC) in merge.blobs:
        blobs = merge.blobs[str(RAW_DVC)]
        versions = [_read_blob(blobs.get(side)) for side in (BASE, OURS, THEIRS)]
    elif RAW_DVC.is_file():
        head = git("show", f"HEAD:./{RAW_DVC}")
        versions = [head, head, RAW_DVC.read_bytes()]
    else:
        return raw_listing.Merged(workspace)  # data/raw is not versioned
    base, ours, theirs = (raw_listing.read_listing(repo, version) for version in versions)
    merged = raw_listing.merge(base, ours, theirs, prefer)
    if merged.conflicts:
        names = raw_listing.first_names(merged.conflicts)
        decide = "decide with `variegate run --prefer ours`, or theirs"
        raise UserError(f"{RAW}: both sides changed {names} in different ways; {decide}")
    other_listings = _read_other_commits(repo, merge)
    raw_listing.keep_uncommitted(merged, workspace, [base, ours, theirs], other_listings)
    if merged.overwritten:
        names = raw_listing.first_names(merged.overwritten)
        problem = "in no commit, and the merge brings another or none"
        mend = "move away what you want to keep, then run again"
        raise UserError(f"{RAW}/{names}: {problem}; {mend}")
    both = raw_listing.files_and_folders(merged.files)
    if both:
        problem = "a file on one side, a folder on the other; rename one, there"
        raise UserError(f"{RAW}/{raw_listing.first_names(both)}: {problem}")
    return merged


def _read_other_commits(repo: "Repo", merge: Merge) -> list["Listing"]:
    """Listings of the other commits whose files data/raw may hold: these are not uncommitted files.

    A rebase moves HEAD to another commit before it merges, so ORIG_HEAD is asked too. A listing
    that is nowhere is left out: its files then count as uncommitted, and are kept.
    """
    from flows.versions import raw_listing

    commits = [merge.other, "ORIG_HEAD"] if merge.other == "REBASE_HEAD" else [merge.other]
    listings = []
    for commit in commits:
        try:
            listings.append(raw_listing.read_listing(repo, git("show", f"{commit}:./{RAW_DVC}")))
        except UserError:
            continue
    return listings


def _fetch_variants(repo: "Repo", merge: Merge) -> None:
    """Fetch the other side's variants, so that augment can reuse them; it makes those it lacks."""
    from flows.versions import raw_listing

    try:
        lock = YAML(typ="safe").load(git("show", f"{merge.other}:./{LOCK}"))
        outs = lock["stages"]["augment"]["outs"]
        (md5,) = (out["md5"] for out in outs if out["path"] == str(AUGMENTED))
        raw_listing.fetch_folder(repo, md5)
    except (UserError, YAMLError, KeyError, TypeError, ValueError):
        return


def _summary_line(merged: "Merged", before: "Listing") -> str:
    """How the merge changed data/raw, whose files were `before`."""
    counts = {
        "added": len(merged.files.keys() - before.keys()),
        "removed": len(before.keys() - merged.files.keys()),
        "replaced": sum(before.get(name, md5) != md5 for name, md5 in merged.files.items()),
        "of no commit kept": len(merged.uncommitted),
    }
    changes = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return f"{RAW}: {counted(len(merged.files), 'file')}: {changes or 'the same'}"


# --- files in conflict ------------------------------------------------------------------------


def _require_mergeable(merge: Merge) -> None:
    """Raises UserError where a file that no stage makes is in conflict, as params.yaml or code."""
    edited = sorted(merge.blobs.keys() - _stage_outputs() - {LOCK, str(RAW_DVC)})
    if edited:
        raise UserError(f"{', '.join(edited)}: in conflict; edit and `git add`, then run again")
    versions = merge.blobs.get(str(RAW_DVC), {})
    if versions and not {OURS, THEIRS} <= versions.keys():
        raise UserError(
            f"{RAW_DVC}: one side removed it; `git add` it and `dvc checkout`, or `git rm` it"
        )


def _stage_outputs() -> set[str]:
    """The outputs of stages, by our side's dvc.yaml: the workspace's may be in conflict itself."""
    names: set[str] = set()
    for stage in YAML(typ="safe").load(git("show", "HEAD:./dvc.yaml"))["stages"].values():
        for kind in ("outs", "metrics", "plots"):
            for entry in stage.get(kind, ()):  # a path, or {path: options}
                names.update([entry] if isinstance(entry, str) else entry)
    return names


def _write_our_version(name: str, versions: dict[int, str]) -> None:
    """Write our version of a file, or the only one; remove a file that neither side has."""
    blob = versions.get(OURS, versions.get(THEIRS))
    if blob is None:
        Path(name).unlink(missing_ok=True)
    else:
        Path(name).write_bytes(_read_blob(blob))


def _read_blob(name: str | None) -> bytes:
    return git("cat-file", "blob", name) if name else b""
