"""Find the file that a table names where the name differs: in case, ending, slashes or folder."""

import mimetypes
import posixpath
import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, NamedTuple

MatchNames = Literal["exact", "ignore_case", "stem", "basename", "loose"]
KNOWN_TYPES = mimetypes.MimeTypes()  # Python's own, without those of the machine
TABLES = (".jsonl", ".parquet", ".lst")  # that it does not know
ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


class Difference(NamedTuple):
    """In what names may differ from those of files, and how that is called."""

    words: str
    case: bool = False
    ending: bool = False
    folder: bool = False


DIFFERENCES: dict[MatchNames, Difference] = {  # from the least to the most
    "ignore_case": Difference("their case", case=True),
    "stem": Difference("their ending", ending=True),
    "basename": Difference("their folder", folder=True),
    "loose": Difference("their folder, ending or case", case=True, ending=True, folder=True),
}


class Near(NamedTuple):
    """The files that a name may mean: `difference` is the least one under which there are any."""

    difference: MatchNames
    files: list[str]


def as_key(name: str) -> str:
    """A file's name as a key: in NFC.

    Unicode has two forms of many letters, which look the same and which file systems mix up.
    """
    return unicodedata.normalize("NFC", name)


class NameMatcher:
    """The images and files of data/raw, found by the names that tables give them.

    Names count from their table's folder. Where no file has a name as it is written, what `match`
    allows may differ, and a name is taken where it then fits one file only.
    """

    def __init__(self, present: Iterable[str], match: MatchNames = "exact") -> None:
        self.present = set(map(as_key, present))
        self.match = match
        self._indexes: dict[tuple[MatchNames, int], dict[str, list[str]]] = {}
        self._folders: dict[MatchNames, set[str]] = {}

    def key_of(self, table: str, written: str) -> str:
        """The name that stands in the table `table`, as a path below data/raw."""
        folder = posixpath.dirname(table)
        key = as_key(posixpath.normpath(posixpath.join(folder, written)))
        if "\\" in key and key not in self.present:
            key = as_key(posixpath.normpath(posixpath.join(folder, written.replace("\\", "/"))))
        return key

    def find(self, table: str, written: str) -> str | None:
        """The key of the file that the table means; None where there is none, or several."""
        key = self.key_of(table, written)
        if key in self.present:
            return key
        if self.match == "exact":
            return None
        near = self.near(table, written)
        taken = near and len(near.files) == 1 and self.match in (near.difference, "loose")
        return near.files[0] if near and taken else None

    def may_name(self, text: str) -> bool:
        """Whether a file has this base name, whatever its ending and case. It is fast."""
        base = _last_parts(text.casefold().replace("\\", "/"), 1)
        index = self._index("loose", 1)
        return base in index or ENDING.sub("", base) in index

    def near(self, table: str, written: str) -> Near | None:
        """The files that a name without a file may mean; None where there are none."""
        key = self.key_of(table, written)
        # a name may count from a folder elsewhere: what leads there is left out
        path = re.sub(r"^(?:\.{0,2}/)+", "", as_key(posixpath.normpath(written.replace("\\", "/"))))
        asked_for = [name for name in DIFFERENCES if name == self.match != "loose"]
        for name in (*asked_for, *DIFFERENCES):
            if DIFFERENCES[name].folder and "/" in path and self._has_folder(key, name):
                continue  # cat/7.jpg is missing, where there is a folder cat: it is not dog/7.jpg
            files = self._files_like(path if DIFFERENCES[name].folder else key, name)
            if files:
                return Near(name, files)
        return None

    def _has_folder(self, key: str, match: MatchNames) -> bool:
        """Whether the folder of the name `key` holds files."""
        fold = str.casefold if DIFFERENCES[match].case else str
        if match not in self._folders:
            self._folders[match] = {fold(posixpath.dirname(file)) for file in self.present}
        return fold(posixpath.dirname(key)) in self._folders[match]

    def _files_like(self, path: str, match: MatchNames) -> list[str]:
        difference = DIFFERENCES[match]
        path = path.casefold() if difference.case else path
        # `1.5` may be the name of 1.5.jpg without its ending
        paths = [path, ENDING.sub("", path)] if difference.ending else [path]
        by_folder = self._in_some_folder if difference.folder else self._in_its_folder
        return next((files for path in paths if (files := by_folder(path, match))), [])

    def _in_its_folder(self, path: str, match: MatchNames) -> list[str]:
        return self._index(match, 0).get(path, [])

    def _in_some_folder(self, path: str, match: MatchNames) -> list[str]:
        """The files of this base name; of several those whose folders end alike, if there are any.

        `cat/1.jpg` is `photos/cat/1.jpg`, and `/home/me/photos/cat/1.jpg` is too.
        """
        files = self._index(match, 1).get(_last_parts(path, 1), [])
        if len(files) < 2 or "/" not in path:
            return files
        difference = DIFFERENCES[match]
        # two parts are enough to leave few of a thousand folders with a file of this name
        likely = self._index(match, 2).get(_last_parts(path, 2), [])
        alike = [file for file in likely if _end_alike(_comparable(file, difference), path)]
        return alike or files

    @cached_property
    def images(self) -> list[str]:
        """The files that may be images, in order."""
        return sorted(filter(_may_be_image, self.present))

    def _index(self, match: MatchNames, parts: int) -> dict[str, list[str]]:
        """The files by the last `parts` of their paths (0: by all of it), as `match` has it."""
        if (match, parts) not in self._indexes:
            index: dict[str, list[str]] = {}
            for file in self.images:
                path = _comparable(file, DIFFERENCES[match])
                index.setdefault(_last_parts(path, parts), []).append(file)
            self._indexes[match, parts] = index
        return self._indexes[match, parts]


def is_image_name(name: str) -> bool:
    """Whether a name has the ending of an image."""
    return _kind_of(name) == "image"


def _comparable(file: str, difference: Difference) -> str:
    """A file's path without that in which names may differ; a container counts as a folder."""
    path = file.casefold() if difference.case else file
    path = ENDING.sub("", path) if difference.ending else path
    return path.replace("::", "/") if difference.folder else path


def _last_parts(path: str, count: int) -> str:
    return "/".join(path.split("/")[-count:])


def _end_alike(one: str, other: str) -> bool:
    """Whether one path is the end of the other."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")


def _may_be_image(name: str) -> bool:
    """False for what describes images: 1.txt and 1.xml may lie beside 1.jpg."""
    return _kind_of(name) in ("image", "") and not name.lower().endswith(TABLES)


def _kind_of(name: str) -> str:
    """What a name's ending says that a file is: `image`, `text`, ...; "" where it is unknown."""
    ending = posixpath.splitext(name)[1].lower()
    rare, common = KNOWN_TYPES.types_map
    return (common.get(ending) or rare.get(ending) or "").partition("/")[0]
