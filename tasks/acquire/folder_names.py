"""Names of classes as names of folders, on every file system."""

import re
import unicodedata

from tasks.dataset.clutter import is_clutter

UNSAFE = r'[\x00-\x1f\x7f/\\:*?"<>|]'  # characters that some systems refuse


def safe_name(text: str) -> str:
    """`text` as a part of a path; empty where nothing of it can stay."""
    return re.sub(UNSAFE, "_", unicodedata.normalize("NFC", text)).strip(". ")


class FolderNames:
    """Names of folders that were given to classes, no two of them alike.

    Not every disk distinguishes small and capital letters: where names differ in nothing else, the
    later ones get the class's number.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._classes = 0

    def add(self, text: str) -> str:
        """The folder's name of the next class, which is called `text`."""
        number = self._classes
        name = safe_name(text) or str(number)
        name = f"_{name}_" if is_clutter(f"{name}/") or is_clutter(name) else name
        while name.casefold() in self._taken:
            name = f"{name}_{number}"
        self._taken.add(name.casefold())
        self._classes += 1
        return name
