"""Labels and splits from folders.

    data/raw/<label>/.../<file>            class folders
    data/raw/<split>/<label>/.../<file>    class folders inside split folders

Both may lie in one folder that holds everything (`data/raw/my-dataset/...`), as archives unpack.
"""

import mimetypes
from collections.abc import Iterable
from typing import Literal, NamedTuple

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.dataset.split_names import SPLIT_WORDS

LabelFrom = Literal["first", "last", "path"]
FOLDERS_SHOWN = 3


class Layout(NamedTuple):
    """What names the classes.

    `kind`: `class_folders`, `split_folders` or `tables`. `base`: the folder of data/raw that holds
    the class or split folders; "" is data/raw itself.
    """

    kind: str
    base: str = ""

    @property
    def words(self) -> str:
        return self.kind.replace("_", " ") + (f" in {self.base}" if self.base else "")


class _Folder:
    """A folder: its folders that are not hidden, and whether it holds files with images' names."""

    def __init__(self) -> None:
        self.folders: dict[str, _Folder] = {}
        self.has_images = False


def find_layout(names: Iterable[str]) -> Layout:
    """`split_folders` where the folders have splits' names and hold folders, else `class_folders`.

    Args:
        names: of files, with / between their parts.

    Raises:
        UserError: where that holds for some folders only. Taken for classes, the images of a folder
            called `test` would be trained on.
    """
    tree, base = _base_folder(_folder_tree(names))
    splits = sorted(name for name, folder in tree.folders.items() if _is_split(name, folder))
    others = sorted(name for name in tree.folders if name not in splits)
    if splits and others:
        shown = ", ".join(others[:FOLDERS_SHOWN]) + (", ..." if len(others) > FOLDERS_SHOWN else "")
        raise UserError(
            f"{RAW / base}: needs split folders or class folders, found both: "
            f"{', '.join(splits)} beside {shown}; move one kind away or set ingest.layout"
        )
    return Layout("split_folders" if splits else "class_folders", base)


def _base_folder(root: _Folder) -> tuple[_Folder, str]:
    """The folder whose folders are classes or splits, and its path.

    Below a folder that only holds one other, that one counts: archives often unpack so.
    """
    tree, base = root, ""
    while len(tree.folders) == 1:
        ((name, folder),) = tree.folders.items()
        if name.lower() in SPLIT_WORDS or not folder.folders or folder.has_images:
            break
        tree, base = folder, f"{base}/{name}".lstrip("/")
    return tree, base


def _is_split(name: str, folder: _Folder) -> bool:
    return name.lower() in SPLIT_WORDS and bool(folder.folders)


def _folder_tree(names: Iterable[str]) -> _Folder:
    root = _Folder()
    for name in names:
        *folders, file = name.split("/")
        if any(folder.startswith(".") for folder in folders):
            continue
        parent = root
        for folder in folders:
            parent = parent.folders.setdefault(folder, _Folder())
        mime_type = mimetypes.guess_type(file)[0] or ""
        parent.has_images = parent.has_images or mime_type.startswith("image/")
    return root


def label_and_split(
    name: str, layout: Layout, label_from: LabelFrom = "first"
) -> tuple[str | None, str | None]:
    """The label and the split that the folders of a file name; None for what they do not name.

    Args:
        name: the file's path, with / between its parts.
        layout: see find_layout().
        label_from: which folder below the layout's base and the split names the class: the `first`,
            the `last`, or all of them as a `path` with / between them.
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
