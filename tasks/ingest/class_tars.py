"""Find the tars that are named after the class that they hold: `n01440764.tar`, `train/cat.tar`."""

import posixpath
import re
from collections import defaultdict

from tasks.dataset.split_names import split_named, split_of_folder
from tasks.ingest.containers import Contents

ENDING = ".tar"


def find_class_tars(containers: dict[str, Contents]) -> dict[str, str]:
    """The tars whose names are classes: several in one folder, in which nothing names a class.

    The folder is the one above all containers, or a split's. Shards that are numbered
    (`part1.tar`, `part2.tar`) are no classes, but those of each class may be (`cat-0.tar`,
    `cat-1.tar`, `dog-0.tar`).

    Args:
        containers: of data/raw, by name.

    Returns:
        By a tar's name the class folder that it stands for: `train/cat` for `train/cat-0.tar`.
    """
    if not containers:
        return {}
    top = posixpath.commonpath([posixpath.dirname(name) for name in containers])
    by_folder = defaultdict(set)
    for name, contents in containers.items():
        folder = posixpath.dirname(name)
        below = posixpath.relpath(folder or ".", top or ".")
        if (below == "." or split_of_folder(below)) and _has_no_classes(name, contents):
            by_folder[folder].add(name)
    found = set().union(*by_folder.values())
    stems = {posixpath.basename(name)[: -len(ENDING)] for name in found}
    several = any(len(names) > 1 for names in by_folder.values())
    if not several or _are_numbered_parts(stems):
        return {}
    paths = {name: name[: -len(ENDING)] for name in found}
    without = {name: re.sub(r"[-_.]\d+$", "", path) for name, path in paths.items()}
    are_parts = all(without[name] != paths[name] for name in found)
    classes = {posixpath.basename(path) for path in without.values()}
    return without if are_parts and 1 < len(classes) < len(stems) else paths


def _has_no_classes(name: str, contents: Contents) -> bool:
    """Whether it is a tar of files alone: no folders, no labels, and none of a shard's sidecars."""
    return (
        name.lower().endswith(ENDING)
        and split_named(name) is None
        and bool(contents.images)
        and contents.members == len(contents.images)
        and not any("/" in image.name or image.label for image in contents.images)
    )


def _are_numbered_parts(stems: set[str]) -> bool:
    """Whether names differ in a number alone, counted from 0 or 1: those of a set cut into parts.

    Digits alone may be classes (`0` to `9`), but not with zeros before them (`00000`).
    """
    matches = [re.fullmatch(r"(.*?)(\d+)", stem) for stem in stems]
    numbered = [(match[1], match[2]) for match in matches if match]
    numbers = sorted(int(digits) for _, digits in numbered)
    return (
        len(numbered) == len(stems)
        and len({prefix for prefix, _ in numbered}) == 1
        and numbers in (list(range(len(stems))), list(range(1, len(stems) + 1)))
        and any(prefix or len(digits) > len(str(int(digits))) for prefix, digits in numbered)
    )
