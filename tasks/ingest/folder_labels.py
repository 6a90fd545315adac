"""Labels and splits from folders.

    data/raw/<label>/.../<file>            class folders
    data/raw/<split>/<label>/.../<file>    class folders inside split folders

Both may lie in one folder that holds everything (`data/raw/my-dataset/...`), as archives unpack,
and so may the class folders of each split (`train/train/<label>/...`).
"""

import mimetypes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.dataset.split_names import (
    SPLIT_WORDS,
    is_unlabelled,
    says_nothing,
    split_named,
    split_of_folder,
)

LayoutName = Literal["auto", "class_folders", "split_folders", "tables"]  # ingest.layout
LabelFrom = Literal["first", "last", "path"]
SplitOf = Callable[[str], str | None]  # the split that a folder's name means
FOLDERS_SHOWN = 3


class SplitFolder(NamedTuple):
    """A folder of one split; None where nothing says which.

    `classes`: the folder that holds its class folders, below the layout's base; None where the
    images lie in no class folder.
    """

    split: str | None
    classes: str | None


@dataclass(frozen=True)
class Layout:
    """What names the classes.

    `kind`: `class_folders`, `split_folders` or `tables`. `base`: the folder of data/raw that holds
    the class or split folders; "" is data/raw itself. `splits`: the split folders, by name.
    `notes`: what looks like a mistake.
    """

    kind: str
    base: str = ""
    splits: dict[str, SplitFolder] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The layout in words, with what split folders mean that are not called as splits."""
        renamed = [
            f"{name} as {folder.split}"
            for name, folder in self.splits.items()
            if folder.split and name.lower() not in SPLIT_WORDS
        ]
        words = self.kind.replace("_", " ") + (f" in {self.base}" if self.base else "")
        return words + (f", {_shown(renamed)}" if renamed else "")

    def path(self, name: str) -> str:
        """The folder `name` below the base, as people find it below data/raw."""
        return f"{self.base}/{name}".lstrip("/")


class _Folder:
    """A folder: its folders that may hold images, and whether it holds files with images' names."""

    def __init__(self) -> None:
        self.folders: dict[str, _Folder] = {}
        self.has_images = False

    @property
    def is_wrapper(self) -> bool:
        """Whether all it holds is one folder, which holds more of them."""
        return self.only_folder is not None and bool(self.folders[self.only_folder].folders)

    @property
    def only_folder(self) -> str | None:
        """The name of the one folder that is all it holds."""
        return next(iter(self.folders)) if len(self.folders) == 1 and not self.has_images else None


def find_layout(
    names: Iterable[str], wanted: LayoutName = "auto", label_from: LabelFrom = "first"
) -> Layout:
    """`split_folders` where all folders are called as splits and hold folders, or those asked for.

    Args:
        names: of files, with / between their parts.
        wanted: `auto` takes for a split only what is certainly called so (`train_images`), and
            `split_folders` every folder with a split's word in its name.
        label_from: see label_and_split().

    Raises:
        UserError: where some folders are splits and others may be classes. Taken for classes, the
            images of a folder called `test` would be trained on.
    """
    tree = _folder_tree(names)
    if wanted == "class_folders":
        return Layout("class_folders", _base_folder(tree, lambda name: None)[1])
    split_of = split_named if wanted == "split_folders" else split_of_folder
    folder, base = _base_folder(tree, split_of)
    splits = _split_folders(folder, split_of)
    if wanted == "auto" and not splits:
        return Layout("class_folders", base, notes=tuple(_notes_on_classes(folder, label_from)))
    others = sorted(folder.folders.keys() - splits.keys())
    if wanted == "split_folders" and not splits:
        found = _shown(others) or "no folders"
        need = "needs folders called as splits that hold class folders"
        raise UserError(f"{RAW / base}: ingest.layout is split_folders: {need}, found {found}")
    if wanted == "auto" and others:
        raise UserError(
            f"{RAW / base}: needs split folders or class folders, found both: "
            f"{_shown(list(splits))} beside {_shown(others)}; move one kind away, or set "
            "`ingest.layout: split_folders` or `ingest.layout: class_folders`"
        )
    layout = Layout("split_folders", base, splits)
    return replace(layout, notes=tuple(_notes_on_splits(layout, folder)))


def _shown(names: list[str]) -> str:
    return ", ".join(names[:FOLDERS_SHOWN]) + (", ..." if len(names) > FOLDERS_SHOWN else "")


# --- the folders ----------------------------------------------------------------------------------


def _folder_tree(names: Iterable[str]) -> _Folder:
    """The folders of all files that may be images: a folder of texts alone decides nothing."""
    root = _Folder()
    for name in names:
        *folders, file = name.split("/")
        mime_type = _mime_type(file.rpartition(".")[2] if "." in file else "")
        if mime_type is not None and not mime_type.startswith("image/"):
            continue
        parent = root
        for folder in folders:
            parent = parent.folders.setdefault(folder, _Folder())
        parent.has_images = parent.has_images or mime_type is not None
    return root


@lru_cache(1024)
def _mime_type(extension: str) -> str | None:
    return mimetypes.guess_type(f"x.{extension}")[0]


def _base_folder(root: _Folder, split_of: SplitOf) -> tuple[_Folder, str]:
    """The folder whose folders are classes or splits, and its path.

    Below a folder that only holds one other, that one counts: archives often unpack so.
    """
    tree, base = root, ""
    while len(tree.folders) == 1:
        ((name, folder),) = tree.folders.items()
        splits_inside = [inner for inner in folder.folders if split_of(inner)]
        if not folder.folders or folder.has_images or (split_of(name) and len(splits_inside) < 2):
            break
        tree, base = folder, f"{base}/{name}".lstrip("/")
    return tree, base


def _split_folders(tree: _Folder, split_of: SplitOf) -> dict[str, SplitFolder]:
    """The split folders and those of images without labels, by name; none where none has classes.

    Folders of images alone that are called `train` and `test` may be classes.
    """
    named = {name: split for name in sorted(tree.folders) if (split := split_of(name))}
    if not any(tree.folders[name].folders for name in named):
        return {}
    for name in sorted(tree.folders.keys() - named.keys()):
        if _class_path(tree, name) is None and (is_unlabelled(name) or split_named(name)):
            named[name] = split_named(name) or ""
    paths = _without_common_wrappers(tree, {name: _class_path(tree, name) for name in named})
    return {name: SplitFolder(split or None, paths[name]) for name, split in named.items()}


def _class_path(tree: _Folder, name: str) -> str | None:
    """The folder in or below the split folder `name` that holds its class folders.

    None where there are none. Below `train`, folders called `train` or `images` are no classes.
    """
    path, folder = name, tree.folders[name]
    while (inner := folder.only_folder) and (says_nothing(inner) or inner == name):
        path, folder = f"{path}/{inner}", folder.folders[inner]
    return path if folder.folders else None


def _without_common_wrappers(tree: _Folder, paths: dict[str, str | None]) -> dict[str, str | None]:
    """The paths of _class_path(), deeper where each split holds one folder around its classes."""
    while True:
        folders = {path: _folder_at(tree, path) for path in paths.values() if path}
        if not folders or not all(folder.is_wrapper for folder in folders.values()):
            return paths
        paths = {
            name: path and f"{path}/{folders[path].only_folder}" for name, path in paths.items()
        }


def _folder_at(tree: _Folder, path: str) -> _Folder:
    for name in path.split("/"):
        tree = tree.folders[name]
    return tree


# --- what looks like a mistake --------------------------------------------------------------------


def _notes_on_splits(layout: Layout, base: _Folder) -> Iterator[str]:
    """Split folders without class folders, and one that nothing is beside."""
    with_classes = {folder.split for folder in layout.splits.values() if folder.classes}
    is_alone = len(layout.splits) == 1 and not base.has_images  # such may lie in tars of a split
    if is_alone and with_classes.isdisjoint({"train", None}):
        (name,) = layout.splits
        found = f"{layout.path(name)} is the only split folder, and none of train"
        yield f"{found}: `ingest.layout: class_folders` takes it for a folder around all classes"
    for name, (split, classes) in layout.splits.items():
        if classes is None:
            is_lacking = split in ("validation", "test") and split not in with_classes
            instead = f", and {split} images are taken from train" if is_lacking else ""
            folder = layout.path(name)
            found = f"{folder} holds no class folders: its images are quarantined{instead}"
            yield f"{found}; to use them, move them into {folder}/<class>/"


def _notes_on_classes(tree: _Folder, label_from: LabelFrom) -> Iterator[str]:
    """Class folders that may be splits, or may only hold the class folders."""
    holders = {
        name: set(folder.folders)
        for name, folder in sorted(tree.folders.items())
        if folder.folders and not folder.has_images
    }
    if splits := _likely_splits(holders, len(tree.folders)):
        found = f"{_shown(splits)} are taken for classes, but there are words of splits in their"
        yield f"{found} names: {_either('them splits', 'ingest.layout: split_folders')}"
        return
    inside = next(iter(holders.values()), set())
    is_alike = all(folders == inside for folders in holders.values())
    if min(len(inside), len(holders)) < 2 or len(holders) < len(tree.folders) or not is_alike:
        return
    names, inner = _shown(list(holders)), _shown(sorted(inside))
    if label_from == "first" and all(map(split_of_folder, inside)):
        mend = "move them outside, as <split>/<class>/; `ingest.layout: class_folders` is silent"
        yield f"the classes {names} all hold {inner}, but no splits inside classes are read: {mend}"
    elif label_from == "first":
        found = f"the classes {names} all hold the same folders, {inner}"
        yield f"{found}: {_either('them the classes', 'ingest.label_from: last')}"


def _likely_splits(holders: dict[str, set[str]], classes: int) -> list[str]:
    """The class folders with words of splits in their names, where these are likely to be splits.

    That is where all class folders are called so, or where several splits hold a folder of one
    name, which is the class, and no other class folder does.

    Args:
        holders: the class folders that hold folders, and the names of these.
        classes: how many class folders there are.
    """
    named = [name for name in holders if split_named(name)]
    if len(named) == classes > 1:
        return named
    shared = set.intersection(*(holders[name] for name in named)) if named else set()
    elsewhere = [name for name in holders if name not in named and shared & holders[name]]
    return named if shared and not elsewhere and len(set(map(split_named, named))) > 1 else []


def _either(meant: str, line: str) -> str:
    """The line of params.yaml for what else may be meant, and the one for what was taken."""
    return f"`{line}` makes {meant}, `ingest.layout: class_folders` keeps it so"


# --- one file -------------------------------------------------------------------------------------


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
        return None, next(filter(None, map(split_of_folder, name.split("/")[:-1])), None)
    below, split = _below(name, layout.base), None
    if below and layout.kind == "split_folders":
        first = below.partition("/")[0]
        split, classes = layout.splits.get(first, SplitFolder(None, first))
        below = classes and _below(below, classes)
    folders = below.split("/")[:-1] if below else []
    if not folders:
        return None, split
    return {"first": folders[0], "last": folders[-1], "path": "/".join(folders)}[label_from], split


def why_unlabelled(name: str, layout: Layout) -> str | None:
    """What to do about a file that label_and_split() finds no label for; None where unknown."""
    first = (_below(name, layout.base) or "").partition("/")[0]
    if first in layout.splits and layout.splits[first].classes is None:
        folder = layout.path(first)
        return f"{folder} holds no class folders; to use it, move it into {folder}/<class>/"
    return "lies in no class folder" if layout.kind != "tables" and "/" not in name else None


def _below(name: str, folder: str) -> str | None:
    """The path `name` as seen from a folder above it; None where that is not above it."""
    if not folder:
        return name
    return name[len(folder) + 1 :] if name.startswith(f"{folder}/") else None
