"""Labels and splits from folders.

    data/raw/<label>/.../<file>            class folders
    data/raw/<split>/<label>/.../<file>    class folders inside split folders

Both may lie in one folder that holds all (`data/raw/my-dataset/...`), as archives unpack.
"""

import mimetypes
from collections.abc import Iterable
from typing import Literal, NamedTuple

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.dataset.split_names import SPLIT_WORDS

LabelFrom = Literal["first", "last", "path"]


class Layout(NamedTuple):
    """`kind`: class_folders or split_folders, which lie below `base` ("" is the root); or tables."""

    kind: str
    base: str = ""

    @property
    def words(self) -> str:
        return self.kind.replace("_", " ") + (f" in {self.base}" if self.base else "")


def find_layout(names: Iterable[str]) -> Layout:
    """`split_folders` where the folders have splits' names and hold folders, else `class_folders`.

    Args:
        names: of files, with / between their parts.

    Raises:
        UserError: where some folders do and others do not: taken for classes, test images would be trained on.
    """
    tree, base = _tree(names), ""
    while len(tree.inner) == 1:  # a folder that holds all: its folders are what counts
        ((name, folder),) = tree.inner.items()
        if name.lower() in SPLIT_WORDS or not folder.inner or folder.has_images:
            break
        tree, base = folder, f"{base}/{name}".lstrip("/")
    splits = sorted(
        name for name, folder in tree.inner.items() if name.lower() in SPLIT_WORDS and folder.inner
    )
    others = sorted(name for name in tree.inner if name not in splits)
    if splits and others:
        raise UserError(
            f"{RAW / base}: needs split folders or class folders, found both: {', '.join(splits)} beside "
            f"{', '.join(others[:3])}{', ...' if len(others) > 3 else ''}; move one kind away or set ingest.layout"
        )
    return Layout("split_folders" if splits else "class_folders", base)


class _Folder:
    """A folder: the folders in it that are not hidden, and whether images lie in it by their names."""

    def __init__(self) -> None:
        self.inner: dict[str, _Folder] = {}
        self.has_images = False


def _tree(names: Iterable[str]) -> _Folder:
    root = _Folder()
    for name in names:
        *folders, file = name.split("/")
        if any(folder.startswith(".") for folder in folders):
            continue
        here = root
        for folder in folders:
            here = here.inner.setdefault(folder, _Folder())
        here.has_images = here.has_images or (mimetypes.guess_type(file)[0] or "").startswith(
            "image/"
        )
    return root


def label_and_split(
    name: str, layout: Layout, label_from: LabelFrom = "first"
) -> tuple[str | None, str | None]:
    """What the folders of a file say, those below the layout's base and the split's: null where they say nothing.

    `label_from`: the `first` folder names the class, the `last`, or all, as a `path` with / between them.
    """
    if layout.kind == "tables":  # folders name no classes, but they may name splits
        return None, SPLIT_WORDS.get(name.partition("/")[0].lower()) if "/" in name else None
    if layout.base:
        if not name.startswith(f"{layout.base}/"):
            return None, None
        name = name[len(layout.base) + 1 :]
    folders = name.split("/")[:-1]
    split = None
    if layout.kind == "split_folders" and folders:
        split = SPLIT_WORDS.get(folders.pop(0).lower())
    if not folders or any(folder.startswith(".") for folder in folders):
        return None, split
    return {"first": folders[0], "last": folders[-1], "path": "/".join(folders)}[label_from], split
