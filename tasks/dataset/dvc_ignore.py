"""Walk data/raw as DVC does: without .git, .hg, .dvc and what .dvcignore files name.

No stage imports DVC. Tests hold this against DVC's own walk.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pathspec import PathSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW

ALWAYS = (".hg/", ".git/", ".git", ".dvc/")
IGNORE_FILE = ".dvcignore"
# At the root, to DVC, which holds patterns against the start of a path; below it puts the folder
# before them.
MATCH_NOTHING = ("**/", "!**/")


class _Rules(NamedTuple):
    """The patterns of one .dvcignore, for folders and for files.

    `folder`: which holds it, `data/` for one; "" is the project's root. To DVC, patterns that end
    in / mean folders alone, even where they begin with !.
    """

    folder: str
    for_folders: PathSpec
    for_files: PathSpec


class Folder(NamedTuple):
    """A folder with the names of what it holds. `path`: from the project's root."""

    path: str
    folders: list[str]
    files: list[str]


def walk_versioned() -> Iterator[Folder]:
    """The folders of data/raw from the top down, with those of their files that DVC versions.

    Links to folders are among `folders`, and are not followed.

    Raises:
        UserError: where DVC would silently version nothing of a folder.
        OSError: where a folder cannot be listed: images would be missing without a word.
    """
    rules = {str(RAW): _rules_above()}
    if _ignored(f"{RAW}/", rules[str(RAW)]) or _ignored(f"{RAW.parent}/", rules[str(RAW)]):
        raise UserError(f"{IGNORE_FILE}: leaves out {RAW}, so DVC would version no image")
    for path, folders, files in os.walk(RAW, onerror=refuse):
        if path != str(RAW):
            rules[path] = rules[os.path.dirname(path)]  # noqa: PTH120
        if IGNORE_FILE in files and not _ignored(f"{path}/{IGNORE_FILE}", rules[path]):
            rules[path] = [*rules[path], _read(path)]
        if ".dvc" in files or ".dvc" in folders:
            problem = f"DVC takes {path} for another project and versions nothing of it"
            raise UserError(f"{path}/.dvc: {problem}: move it away")
        folders[:] = [name for name in folders if not _ignored(f"{path}/{name}/", rules[path])]
        files = [name for name in files if not _ignored(f"{path}/{name}", rules[path])]
        yield Folder(path, folders, files)


def refuse(error: OSError) -> None:
    """Let no folder be left out that cannot be listed: images would be missing without a word."""
    raise error


def _rules_above() -> list[_Rules]:
    """The rules of the folders that data/raw lies in."""
    above = _read(str(RAW.parent)) if (RAW.parent / IGNORE_FILE).is_file() else None
    return [_read(""), *([above] if above else [])]


def _read(folder: str) -> _Rules:
    """The rules of the .dvcignore in a folder; at the root also those that DVC always has."""
    file = Path(folder, IGNORE_FILE)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = [*([] if folder else ALWAYS), *map(str.strip, text.splitlines())]
    lines = [line for line in lines if folder or line not in MATCH_NOTHING]
    of_files = [line for line in lines if not line.endswith("/")]
    for_folders, for_files = (
        PathSpec.from_lines(GitIgnoreSpecPattern, some) for some in (lines, of_files)
    )
    return _Rules(f"{folder}/" if folder else "", for_folders, for_files)


def _ignored(path: str, rules: list[_Rules]) -> bool:
    """Whether DVC leaves out `path`, which ends in / for a folder: the last pattern decides."""
    for folder, for_folders, for_files in reversed(rules):
        spec = for_folders if path.endswith("/") else for_files
        found = spec.check_file(path[len(folder) :]).include
        if found is not None:
            return found
    return False
