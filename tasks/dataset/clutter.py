"""Clutter: files that systems, editors and tools leave beside images; the one list of them.

Ingest, imports and copies leave clutter out and say in one line how much it was. So hidden files
and folders never name a class, and a `Thumbs.db` is no image that was lost.
"""

import re
from collections.abc import Sequence
from typing import Any

NAMES = (  # of files and folders, in any case of letters
    "__MACOSX",
    "Icon\r",  # of a folder, on macOS
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "@eaDir",  # of Synology's disk stations, as the next two
    "#recycle",
    "#snapshot",
    "@Recycle",  # of QNAP's
    "__pycache__",
)
HIDDEN = r"\.(?!\.?(?:/|$))"  # begins with a dot, and is not `.` or `..`
ENDINGS = ("~", "Zone.Identifier")  # backups of editors; where Windows notes a download's origin
_CLUTTER = re.compile(
    rf"(?:^|/)(?:{HIDDEN}|(?:{'|'.join(map(re.escape, NAMES))})(?:/|$))"
    rf"|(?:{'|'.join(map(re.escape, ENDINGS))})$",
    re.IGNORECASE,
)
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
        name: its path, with / between the parts, below the folder that is listed.
    """
    return _CLUTTER.search(name) is not None


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
