"""Ingest: list every file under data/raw with the label and the split that its folders give it.

    data/raw/<label>/.../<file>            class folders
    data/raw/<split>/<label>/.../<file>    class folders inside split folders

Nothing is opened as an image here and nothing is left out: `validate` judges.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa

from tasks import errors, images, machine, manifest, progress
from tasks.errors import UserError
from tasks.params import Block, read_params

RAW = Path("data/raw")
MANIFEST = Path("data/ingested/manifest.parquet")
COLUMNS = pa.schema(
    {
        "file_name": pa.string(),  # below data/raw, with / between its parts
        "label": pa.string(),  # null for a file outside any class folder
        "split": pa.string(),  # train, validation, test; null without split folders
        "bytes": pa.int64(),
        "sha256": pa.string(),  # null where the file cannot be read
        "problem": pa.string(),  # why it cannot be read, else null
    }
)
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


class IngestParams(Block):
    """`layout`: which folders name what; `auto` looks."""

    layout: Literal["auto", "class_folders", "split_folders"] = "auto"


def find_layout(root: Path) -> str:
    """`split_folders` where the folders of `root` have splits' names and hold folders, else `class_folders`.

    Raises:
        UserError: where some do and others do not: taken for classes, test images would be trained on.
    """
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    splits = [folder.name for folder in folders if folder.name.lower() in SPLITS and _holds_folders(folder)]
    others = [folder.name for folder in folders if folder.name not in splits]
    if splits and others:
        raise UserError(
            f"{root}: needs split folders or class folders, found both: {', '.join(splits)} beside "
            f"{', '.join(others[:3])}{', ...' if len(others) > 3 else ''}; move one kind away or set ingest.layout"
        )
    return "split_folders" if splits else "class_folders"


def _holds_folders(folder: Path) -> bool:
    return any(entry.is_dir() for entry in folder.iterdir())


def label_and_split(file_name: str, layout: str) -> tuple[str | None, str | None]:
    """What the folders of `file_name` say: the label is the first folder below the split's, or below the root."""
    folders = file_name.split("/")[:-1]
    split = None
    if layout == "split_folders" and folders:
        split = SPLITS.get(folders.pop(0).lower())
    return (folders[0] if folders else None), split


def list_files(root: Path) -> Iterator[str]:
    """Every file below `root`, as a relative path. Folders behind links are listed as if files, never entered."""
    for folder, folders, files in os.walk(root, onerror=_refuse):
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in files + linked:
            yield (Path(folder) / name).relative_to(root).as_posix()


def _refuse(error: OSError) -> None:
    """A folder that cannot be listed ends the stage: nobody knows what is missing."""
    raise error


def links_out(path: Path) -> bool:
    """True for a link to a file that is neither below data/raw nor in a DVC cache."""
    if not path.is_symlink():
        return False
    target = path.resolve()
    return not target.is_relative_to(RAW.resolve()) and "/files/md5/" not in target.as_posix()


def read_facts(name: str) -> tuple[int, str | None, str | None]:
    """Size in bytes, SHA-256 and problem of one file."""
    if _printable(name) != name:
        return 0, None, "its name is not valid UTF-8"
    path = RAW / name
    try:
        mode = path.stat().st_mode
        if links_out(path):
            return 0, None, f"is a link out of {RAW}"
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            return 0, None, "is no regular file"
        data = path.read_bytes()
    except OSError as error:
        return 0, None, error.strerror
    return len(data), images.sha256(data), None


def path_key(name: str) -> tuple[bytes, bytes]:
    """What file names are sorted by everywhere: NFC bytes, the same on every system; then their own."""
    printable = _printable(name)
    return unicodedata.normalize("NFC", printable).encode(), printable.encode()


def ingest(params: IngestParams) -> pd.DataFrame:
    """The manifest's rows, by file name."""
    names = sorted(list_files(RAW), key=path_key) if RAW.is_dir() else []
    if not names:
        raise UserError(f"{RAW}: needs images in class folders, found {'no files' if RAW.is_dir() else 'no folder'}")
    layout = find_layout(RAW) if params.layout == "auto" else params.layout
    progress.say(f"layout: {layout}{' (detected)' if params.layout == 'auto' else ''}")
    with ThreadPoolExecutor(machine.worker_count()) as pool:  # reading and hashing leave the interpreter free
        facts = list(progress.track(pool.map(read_facts, names), len(names), "reading", "file"))
    rows = pd.DataFrame(facts, columns=["bytes", "sha256", "problem"])
    rows["file_name"] = [_printable(name) for name in names]
    rows[["label", "split"]] = [label_and_split(name, layout) for name in rows["file_name"]]
    return rows


def _printable(name: str) -> str:
    """`name` as valid UTF-8; bytes that are not become \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def main() -> None:
    """Run the stage."""
    rows = ingest(read_params("ingest", IngestParams))
    manifest.write_table(MANIFEST, rows, COLUMNS)
    progress.counts(files=len(rows), labels=rows["label"].nunique(), unreadable=int(rows["problem"].notna().sum()))


if __name__ == "__main__":
    errors.run(main)
