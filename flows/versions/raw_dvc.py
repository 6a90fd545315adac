"""The file data/raw.dvc: the hash it records for data/raw, and whether DVC can track data/raw."""

from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from tasks.common.errors import UserError
from tasks.dataset import raw_files
from tasks.dataset.dvc_ignore import IGNORE_FILE
from tasks.dataset.paths import RAW

RAW_DVC = Path("data/raw.dvc")


def raw_hash() -> str | None:
    """The MD5 of the listing of data/raw that data/raw.dvc records; None without it.

    Raises:
        UserError: where the file is none of DVC's: cut short, or with marks of a merge.
    """
    if not RAW_DVC.is_file():
        return None
    try:
        recorded = YAML(typ="safe").load(RAW_DVC.read_text(encoding="utf-8"))
        md5: str | None = recorded["outs"][0].get("md5")
    except (YAMLError, ValueError, TypeError, LookupError, AttributeError):
        mend = f"take it from git, or remove it and run `dvc add {RAW}`"
        raise UserError(f"{RAW_DVC}: needs to be a file of DVC's, found none: {mend}") from None
    return md5


def require_versionable() -> None:
    """Check that DVC can track every file of data/raw.

    This has to be asked before DVC runs: it would move the target of a link into its cache and
    make it read-only, and it would wait for a named pipe for ever.

    Raises:
        UserError: where data/raw is a link, and for the first file that DVC cannot track.
    """
    raw_files.require_own_folder()
    listing = raw_files.list_raw()
    for name in (*listing.files, *listing.clutter):
        if name.rpartition("/")[2] == IGNORE_FILE:
            mend = f"move its lines to the project's own {IGNORE_FILE}"
            raise UserError(f"{RAW / name}: DVC takes none below a folder that it tracks: {mend}")
        problem = raw_files.problem_of(name)
        if problem and raw_files.links_out(RAW / name):
            target = (RAW / name).resolve()
            raise UserError(
                f"{RAW / name}: needs to be a file, found a link to {target}; copy it instead"
            )
        if problem:
            shown = raw_files.printable_name(name)
            raise UserError(f"{RAW}/{shown}: {problem}; DVC cannot take it: move it away")
