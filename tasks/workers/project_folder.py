"""The project's folder, which client and workers share: how a worker finds it, and that it is it.

It may be mounted at another path on another host. So the client puts two files of random names, the
tokens, into its folder and into its private cache. A worker that sees them is in the same ones.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tasks.common.machine import cache_folder
from tasks.common.temporary import locked_beside, remove_abandoned

OWN = Path(".variegate")  # in the project's folder, whatever VARIEGATE_CACHE says
TOKEN = "cluster"
# Of a worker, which imports this module before it enters any folder.
STARTED_IN = Path.cwd()
STARTED_WITH = os.environ.get("VARIEGATE_CACHE", "")


class ProjectFolder(NamedTuple):
    """A client's project. `cache`: its VARIEGATE_CACHE or ""; `token`, `cache_token`: names."""

    path: str
    cache: str
    token: str
    cache_token: str


@contextmanager
def marked() -> Iterator[ProjectFolder]:
    """This process's folder, with tokens in it as long as the block lasts.

    A killed client leaves its tokens: the next one recognises and removes them.
    """
    cache = cache_folder()
    OWN.mkdir(exist_ok=True)
    for folder in (OWN, cache):
        remove_abandoned(folder)
    with locked_beside(OWN / TOKEN) as token, locked_beside(cache / TOKEN) as cache_token:
        named = os.environ.get("VARIEGATE_CACHE", "")
        yield ProjectFolder(str(Path.cwd()), named, token.name, cache_token.name)


def find(folder: ProjectFolder) -> Path | None:
    """Where this process sees the client's folder: where it was started, or at the same path."""
    places = (STARTED_IN, Path(folder.path))
    return next((place for place in places if (place / OWN / folder.token).exists()), None)


def enter(folder: ProjectFolder, place: Path) -> None:
    """Be in the client's folder, which this process sees at `place`, and use its cache."""
    os.chdir(place)
    os.environ["VARIEGATE_CACHE"] = folder.cache
    os.environ.pop("VARIEGATE_SOURCES", None)


def enter_own() -> None:
    """Be in the clone that this process was started in, use its cache, and read from the remote."""
    os.chdir(STARTED_IN)
    os.environ["VARIEGATE_CACHE"] = STARTED_WITH
    os.environ["VARIEGATE_SOURCES"] = "remote"


def sees_cache(folder: ProjectFolder) -> bool:
    """Whether the private cache of the folder that was entered is the client's."""
    return Path(folder.cache or OWN, folder.cache_token).exists()
