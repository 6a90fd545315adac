"""Clutter: files that systems, editors and tools leave beside images; the one list of them.

Ingest, imports and copies leave clutter out and say in one line how much it was. So hidden files
and folders never name a class, and a `Thumbs.db` is no image that was lost.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

NAMES = frozenset(  # of files and folders, in lower case
    (
        "__macosx",
        "icon\r",  # of a folder, on macOS
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "@eadir",  # of Synology's disk stations, as the next two
        "#recycle",
        "#snapshot",
        "@recycle",  # of QNAP's
        "__pycache__",
    )
)
ENDINGS = ("~", "Zone.Identifier")  # backups of editors; where Windows notes a download's origin
# What comes with a dataset and describes it. Such files are listed, but nobody misses an image.
_DOCUMENT = re.compile(
    r"(?:^|/)(?:(?:readme|licen[cs]e|copying|notice|citation|changelog|authors)[^/]*"
    r"|[^/]*\.(?:txt|md|rst|html?|pdf|docx?|xlsx?|csv|tsv|jsonl?|xml|ya?ml|toml|ini|cfg|log|bib"
    r"|names|py|ipynb|sh|md5|sha1|sha256))$",
    re.IGNORECASE,
)


def is_clutter(name: str) -> bool:
    """Whether a file is clutter, or lies in a folder that is.

    Args:
        name: its path, with / between the parts, below the folder that is listed. That of a folder
            ends in /.
    """
    folder, _, file = name.rpartition("/")
    return file.endswith(ENDINGS) or _is_clutter_name(file) or _is_clutter_folder(folder)


@lru_cache(4096)
def _is_clutter_folder(path: str) -> bool:
    return any(map(_is_clutter_name, path.split("/")))


def _is_clutter_name(name: str) -> bool:
    is_hidden = name.startswith(".") and name not in (".", "..")
    return is_hidden or name.lower() in NAMES


def is_document(name: str) -> bool:
    """Whether a file's name is that of a text: a README, a licence, notes, annotations."""
    return _DOCUMENT.search(name) is not None


def count(names: Sequence[str]) -> dict[str, Any]:
    """How many files of clutter there are, and the first by name: `files`, `first`."""
    first = min(names, default=None)
    if first is not None:  # bytes of a name that are no text become \\xNN
        first = first.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return {"files": len(names), "first": first}


def words(found: dict[str, Any]) -> str:
    """One line of what count() found."""
    files = f"{found['files']:,} file{'s' if found['files'] > 1 else ''}"
    return f"{files} of systems and editors left out, {found['first']} for one"
