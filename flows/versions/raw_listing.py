"""Listings of data/raw as DVC stores them: read, fetch, write, and a three-way merge of them.

DVC has a merge of listings too, but it cannot prefer one side of a conflict, and it gives up where
both sides removed a file, which is what two people who moved it did.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dvc.config import NoRemoteError
from dvc.dvcfile import load_file
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.obj import HashFile
from dvc_data.hashfile.transfer import transfer
from dvc_data.hashfile.tree import Tree, du
from ruamel.yaml import YAML, YAMLError

from flows.versions.dvc_graph import message_of
from flows.versions.raw_dvc import RAW_DVC
from tasks.common.errors import UserError
from tasks.common.texts import counted
from tasks.dataset.clutter import is_clutter
from tasks.dataset.paths import RAW

Listing = dict[str, str]  # a file's name below data/raw -> MD5 of its bytes
MOST_NAMED = 3  # files in one line


@dataclass
class Merged:
    """The result of a three-way merge.

    Attributes:
        files: what data/raw is to hold.
        conflicts: names of files that both sides changed in different ways.
        uncommitted: names of files of the workspace that no commit has; they are kept.
        overwritten: those of `uncommitted` that the merge would replace or remove.
    """

    files: Listing = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    uncommitted: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)


def merge(base: Listing, ours: Listing, theirs: Listing, prefer: str | None = None) -> Merged:
    """Merge three ways, file by file.

    What one side alone changed is taken from that side; equal changes of both are no conflict. Of
    clutter that both changed, ours is taken.

    Args:
        base: the files of the common ancestor.
        ours: those of our side.
        theirs: those of the other side.
        prefer: which side's file to take in a conflict, `ours` or `theirs`; None lists it.
    """
    merged = Merged()
    for name in sorted({*base, *ours, *theirs}):
        was, our, their = base.get(name), ours.get(name), theirs.get(name)
        conflict = our != was and their not in (was, our)
        if conflict and prefer is None and not is_clutter(name):
            merged.conflicts.append(name)
        take_theirs = our == was or (conflict and prefer == "theirs")
        chosen = their if take_theirs else our
        if chosen is not None:  # else removed
            merged.files[name] = chosen
    return merged


def keep_uncommitted(
    merged: Merged, workspace: Listing, sides: list[Listing], committed: list[Listing]
) -> None:
    """Add to `merged` the files of the workspace that no commit has: there is no other copy.

    Args:
        merged: the result so far; changed in place.
        workspace: the files of data/raw as it is.
        sides: the listings of the ancestor and of both sides.
        committed: listings of other commits whose files data/raw may hold.
    """
    for name, md5 in workspace.items():
        if any(md5 == listing.get(name) for listing in (*sides, *committed)):
            continue
        merged.uncommitted.append(name)
        if len({side.get(name) for side in sides}) > 1 and not is_clutter(name):
            merged.overwritten.append(name)
        merged.files[name] = md5


def files_and_folders(files: Listing) -> list[str]:
    """The names that are a file's and, by the names of others, a folder's as well."""
    folders: set[str] = set()
    for parent in {PurePosixPath(name).parent for name in files}:
        folders.update(map(str, (parent, *parent.parents)))
    return sorted(files.keys() & folders)


def read_listing(repo: Repo, raw_dvc: bytes) -> Listing:
    """The files that a data/raw.dvc names.

    Args:
        repo: its cache and remote are where the listing is looked for.
        raw_dvc: the content of data/raw.dvc; empty where a commit has none.

    Raises:
        UserError: where it names no listing, or the listing is nowhere.
    """
    if not raw_dvc:
        return {}
    md5 = _listing_hash(raw_dvc)
    if md5 is None:
        raise UserError(f"{RAW_DVC}: a side of the merge has one that names no listing of files")
    return _files_of(_load_tree(repo, md5))


def read_cached_listing(repo: Repo, raw_dvc: bytes) -> Listing:
    """The same from DVC's cache alone, without a remote; empty where the cache does not have it."""
    md5 = _listing_hash(raw_dvc)
    if md5 is None or not repo.cache.local.exists(md5):
        return {}
    return _files_of(Tree.load(repo.cache.local, HashInfo("md5", md5)))


def _listing_hash(raw_dvc: bytes) -> str | None:
    """The MD5 of the listing that a data/raw.dvc names; None where it names none."""
    try:
        md5: str = YAML(typ="safe").load(raw_dvc)["outs"][0]["md5"]
    except (YAMLError, KeyError, IndexError, TypeError):
        return None
    return md5


def read_workspace(repo: Repo) -> tuple[str, Listing]:
    """The hash of data/raw as it is, and its files."""
    _, _, tree = build(
        repo.cache.local, str(RAW.absolute()), repo.fs, "md5", dry_run=True, ignore=repo.dvcignore
    )
    return tree.oid, _files_of(tree)


def store_workspace(repo: Repo) -> Listing:
    """Store every file of data/raw in DVC's cache, so that none can be lost.

    Returns:
        The files of data/raw.

    Raises:
        UserError: where they cannot be stored.
    """
    if not RAW.is_dir():
        return {}
    staging, _, tree = build(
        repo.cache.local, str(RAW.absolute()), repo.fs, "md5", ignore=repo.dvcignore
    )
    assert tree.hash_info is not None
    failed = transfer(staging, repo.cache.local, {tree.hash_info}, shallow=False).failed
    if failed:
        problem = f"{counted(len(failed), 'file')} cannot be stored in DVC's cache"
        raise UserError(f"{RAW}: {problem}; is there room on the disk?")
    return _files_of(tree)


def fetch(repo: Repo, files: Listing) -> None:
    """Fetch what DVC's cache lacks of these files from its remote.

    Raises:
        UserError: where not all of it is there.
    """
    reason = _pull(repo, files.values())
    missing = [name for name, md5 in files.items() if not repo.cache.local.exists(md5)]
    if missing:
        raise UserError(f"{RAW}: {_missing_message(first_names(missing), reason)}")


def fetch_folder(repo: Repo, md5: str) -> None:
    """Fetch a folder's listing, and those of its files that the remote has.

    Raises:
        UserError: where the listing is nowhere.
    """
    _pull(repo, _files_of(_load_tree(repo, md5)).values())


def write_workspace(repo: Repo, files: Listing) -> None:
    """Make data/raw hold exactly these files, and data/raw.dvc name them.

    Args:
        repo: its cache has to hold every file already.
        files: what data/raw is to hold.
    """
    tree = Tree()
    for name, md5 in files.items():
        tree.add(tuple(name.split("/")), Meta(), HashInfo("md5", md5))
    tree.digest()
    repo.cache.local.add(tree.path, tree.fs, tree.oid)
    stage = load_file(repo, str(RAW_DVC)).stage
    (out,) = stage.outs
    out.hash_info, out.files = tree.hash_info, None
    out.meta = Meta(size=du(repo.cache.local, tree), nfiles=len(tree))
    stage.dump()
    repo.checkout([str(RAW_DVC)], force=True)


def first_names(names: list[str]) -> str:
    """The first of these names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _load_tree(repo: Repo, md5: str) -> Tree:
    """A listing, from DVC's cache or its remote."""
    reason = _pull(repo, [md5])
    if not repo.cache.local.exists(md5):
        raise UserError(f"{RAW_DVC}: {_missing_message(f'the listing {md5}', reason)}")
    return Tree.load(repo.cache.local, HashInfo("md5", md5))


def _files_of(tree: HashFile) -> Listing:
    assert isinstance(tree, Tree)  # as a folder's is
    return {"/".join(key): info.value for key, (_, info) in tree.as_dict().items()}


def _pull(repo: Repo, hashes: Iterable[str]) -> str:
    """Fetch into DVC's cache what it lacks and the remote has.

    Returns:
        What is wrong with the remote; "" where nothing is known to be.
    """
    lacking = [HashInfo("md5", md5) for md5 in hashes if not repo.cache.local.exists(md5)]
    logging.disable(logging.ERROR)  # DVC would log each file that it does not find
    try:
        if lacking:
            repo.cloud.pull(lacking)
    except NoRemoteError:
        return "there is no remote (`dvc remote add -d NAME URL`)"
    except Exception as error:  # each kind of remote has exceptions of its own
        reason = message_of(error) or type(error).__name__
        return f"its remote fails: {reason}"
    finally:
        logging.disable(logging.NOTSET)
    return ""


def _missing_message(what: str, reason: str) -> str:
    """Says that `what` is nowhere. `reason`: see _pull()."""
    if reason:
        where = f"not in DVC's cache, and {reason}"
    else:
        where = "neither in DVC's cache nor in its remote"
    return f"{what} is {where}; `dvc push` it where it was made, then run again"
