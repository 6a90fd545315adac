"""Listings of data/raw as DVC stores them: read, fetch, write, and merge three ways.

DVC has a merge of its own for listings, but it takes no side of a conflict, and where both sides
removed a file, as two who moved it do, it gives up.
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

from flows.versions.raw_dvc import RAW_DVC
from tasks.common.errors import UserError
from tasks.dataset.paths import RAW

Listing = dict[str, str]  # a file's name -> MD5 of its bytes
NAMED = 3  # files, in one line


@dataclass
class Merged:
    """What both sides come to, and the files that they changed in different ways.

    `own`: files of the workspace that no commit has; `in_the_way`: those of them where the sides differ.
    """

    files: Listing = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    in_the_way: list[str] = field(default_factory=list)


def merge(base: Listing, ours: Listing, theirs: Listing, prefer: str | None = None) -> Merged:
    """What one side alone changed is taken from it, and what both changed alike is no conflict.

    Args:
        prefer: the side whose file to take where both changed it, `ours` or `theirs`.
    """
    merged = Merged()
    for name in sorted({*base, *ours, *theirs}):
        was, our, their = (side.get(name) for side in (base, ours, theirs))
        conflict = our != was and their not in (was, our)
        if conflict and prefer is None:
            merged.conflicts.append(name)
        chosen = their if our == was or (conflict and prefer == "theirs") else our
        if chosen is not None:
            merged.files[name] = chosen
    return merged


def keep_own(
    merged: Merged, there: Listing, sides: list[Listing], committed: list[Listing]
) -> None:
    """Add the files of the workspace, `there`, that no commit has: nobody else could bring them back."""
    for name, content in there.items():
        if any(content == listing.get(name) for listing in (*sides, *committed)):
            continue
        merged.own.append(name)
        if len({side.get(name) for side in sides}) > 1:
            merged.in_the_way.append(name)
        merged.files[name] = content


def files_and_folders(files: Listing) -> list[str]:
    """The names that are a file's and, by the names of others, a folder's as well."""
    folders = {PurePosixPath(name).parent for name in files}
    return sorted(
        files.keys() & {str(parent) for folder in folders for parent in (folder, *folder.parents)}
    )


def read_listing(repo: Repo, raw_dvc: bytes) -> Listing:
    """The files that a data/raw.dvc names; none without one.

    Raises:
        UserError: where that cannot be told.
    """
    if not raw_dvc:
        return {}
    try:
        md5 = YAML(typ="safe").load(raw_dvc)["outs"][0]["md5"]
    except (YAMLError, KeyError, IndexError, TypeError):
        raise UserError(
            f"{RAW_DVC}: a side of the merge has one that names no listing of files"
        ) from None
    return _files_of(_tree(repo, md5))


def read_workspace(repo: Repo) -> tuple[str, Listing]:
    """The hash of data/raw as it is, and its files."""
    _, _, tree = build(
        repo.cache.local, str(RAW.absolute()), repo.fs, "md5", dry_run=True, ignore=repo.dvcignore
    )
    return tree.oid, _files_of(tree)


def store_workspace(repo: Repo) -> Listing:
    """The files of data/raw as they are. DVC's cache has all of them afterwards: nothing is lost, whatever comes."""
    if not RAW.is_dir():
        return {}
    staging, _, tree = build(
        repo.cache.local, str(RAW.absolute()), repo.fs, "md5", ignore=repo.dvcignore
    )
    assert tree.hash_info is not None
    failed = transfer(staging, repo.cache.local, {tree.hash_info}, shallow=False).failed
    if failed:
        raise UserError(
            f"{RAW}: {len(failed):,} files cannot be stored in DVC's cache; is there room on the disk?"
        )
    return _files_of(tree)


def fetch(repo: Repo, files: Listing) -> None:
    """Bring what DVC's cache lacks from its remote.

    Raises:
        UserError: where not all of it is there.
    """
    reason = _pull(repo, files.values())
    lacking = [name for name, md5 in files.items() if not repo.cache.local.exists(md5)]
    if lacking:
        raise UserError(f"{RAW}: {_nowhere(first_names(lacking), reason)}")


def fetch_folder(repo: Repo, md5: str) -> None:
    """Bring a folder's listing, and what can be had of its files.

    Raises:
        UserError: where the listing is not to be had.
    """
    _pull(repo, _files_of(_tree(repo, md5)).values())


def write_workspace(repo: Repo, files: Listing) -> None:
    """Make data/raw hold these files and no others, and data/raw.dvc name them. DVC's cache has to have them all."""
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
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _tree(repo: Repo, md5: str) -> Tree:
    """A listing, from DVC's cache or its remote."""
    reason = _pull(repo, [md5])
    if not repo.cache.local.exists(md5):
        raise UserError(f"{RAW_DVC}: {_nowhere(f'the listing {md5}', reason)}")
    return Tree.load(repo.cache.local, HashInfo("md5", md5))


def _files_of(tree: HashFile) -> Listing:
    assert isinstance(tree, Tree)  # as a folder's is
    return {"/".join(key): info.value for key, (_, info) in tree.as_dict().items()}


def _pull(repo: Repo, hashes: Iterable[str]) -> str:
    """Bring into DVC's cache what it lacks; what is wrong with the remote, where that is known."""
    lacking = [HashInfo("md5", md5) for md5 in hashes if not repo.cache.local.exists(md5)]
    logging.disable(logging.ERROR)  # DVC names each file that it did not find
    try:
        if lacking:
            repo.cloud.pull(lacking)
    except NoRemoteError:
        return "there is no remote (`dvc remote add -d NAME URL`)"
    except Exception as error:  # each kind of remote has its own
        return f"its remote fails: {' '.join(str(error).split()) or type(error).__name__}"
    finally:
        logging.disable(logging.NOTSET)
    return ""


def _nowhere(what: str, reason: str) -> str:
    where = (
        f"not in DVC's cache, and {reason}"
        if reason
        else "neither in DVC's cache nor in its remote"
    )
    return f"{what} is {where}; `dvc push` it where it was made, then run again"
