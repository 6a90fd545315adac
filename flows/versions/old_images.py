"""Images of a revision, which the workspace may not have any more: where their bytes lie.

They are looked for in DVC's cache, then in data/raw; nothing is fetched.
"""

import io
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from dvc.repo import Repo

from flows.versions.dvc_graph import in_repo
from flows.versions.git import git
from flows.versions.raw_dvc import RAW_DVC
from flows.versions.raw_listing import Listing, read_cached_listing
from flows.versions.revision import Read, read_files
from tasks.common.errors import UserError
from tasks.dataset.manifests import read_preprocessing
from tasks.dataset.paths import RAW, VALIDATED_MANIFEST
from tasks.pixels.preprocess import Preprocessing

COLUMNS = [
    "file_name", "container", "offset", "bytes", "sha256", "pixel_sha256", "reason",
]  # fmt: skip


class OldImage(NamedTuple):
    """An image of a revision.

    Attributes:
        path: of its file or container; None where it is nowhere. In data/raw it may have other
            bytes by now.
        offset: in the container, in bytes; None for a file of its own.
        length: in bytes.
        sha256: of its bytes; "" where they could not be read.
        was_decoded: whether validate could decode it.
        preprocessing: of the images of that revision.
    """

    path: Path | None
    offset: int | None
    length: int
    sha256: str
    was_decoded: bool
    preprocessing: Preprocessing


def find_images(commit: str, file_names: Collection[str]) -> dict[str, OldImage]:
    """The images of these names that the validated manifest of a revision has.

    Raises:
        UserError: where the revision has no manifest, or it is in neither DVC's cache nor remote.
    """
    return in_repo(
        lambda repo: read_files(repo, commit, lambda read: _find(repo, commit, file_names, read))
    )


def _find(repo: Repo, commit: str, file_names: Collection[str], read: Read) -> dict[str, OldImage]:
    manifest = read(str(VALIDATED_MANIFEST))
    try:
        chosen = [("file_name", "in", list(file_names))]
        rows = pq.read_table(io.BytesIO(manifest), columns=COLUMNS, filters=chosen)
        preprocessing = read_preprocessing(io.BytesIO(manifest))
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{commit}: its dataset cannot be read: {reason}") from None
    files = read_cached_listing(repo, git("show", f"{commit}:./{RAW_DVC}"))
    return {
        row["file_name"]: OldImage(
            path=_path_of(repo, files, row["container"] or row["file_name"]),
            offset=row["offset"],
            length=row["bytes"] or 0,
            sha256=row["sha256"] or "",
            was_decoded=row["pixel_sha256"] is not None and row["reason"] != "too_large",
            preprocessing=preprocessing,
        )
        for row in rows.to_pylist()
    }


def _path_of(repo: Repo, files: Listing, name: str) -> Path | None:
    """Where a file of data/raw lies. `files`: of that revision; empty where they are not known."""
    md5 = files.get(name)
    places = [] if md5 is None else [Path(repo.cache.local.oid_to_path(md5))]
    path = next(filter(Path.is_file, [*places, RAW / name]), None)
    own = path is not None and path.is_relative_to(Path.cwd())  # a cache may be anywhere
    return path.relative_to(Path.cwd()) if path and own else path
