"""The page of two versions of the dataset, side by side, with pictures.

Versions are read through DVC, whose repositories are not made for several threads: one request at a
time uses it. What was compared is kept for as long as neither side changes.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Collection
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

import pyarrow as pa
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import AfterValidator

from flows.explorer import pictures, rendering
from flows.explorer.queries.database import State, select, state_of_files
from flows.versions.git import git
from tasks.common.errors import UserError
from tasks.dataset.paths import AUGMENT_METRICS, COUNTS, VALIDATED_MANIFEST, page_of_image

if TYPE_CHECKING:  # DVC takes most of a second to import: no other page needs it
    from flows.versions.diff import Entries
    from flows.versions.old_images import OldImage

WORKSPACE = "workspace"
FILES_OF_WORKSPACE = (Path("dvc.lock"), VALIDATED_MANIFEST, COUNTS, AUGMENT_METRICS)
COMMITS_LISTED = 50
COMPARISONS_KEPT = 4
IMAGES_KEPT = 10_000  # of which it is known where they lie
SHOWN_OF_A_KIND = 12
SHOWN_OF_A_PAGE = 60
MOST_CLASSES = 200
FETCH = "`dvc fetch --all-commits data/raw.dvc`"
NOT_HERE = f"not on this machine: {FETCH} brings it"
OTHER_BYTES = f"has other bytes now; {FETCH} brings those of the revision"
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
SEPARATOR = "\x1f"

Kind = Literal["added", "removed", "replaced", "relabelled", "moved", "renamed", "status_changed"]
KINDS: dict[Kind, str] = {  # in the order of the page, with what each means
    "added": "only the version after has their bytes",
    "removed": "only the version before has their bytes",
    "replaced": "a file of the same name has other bytes",
    "relabelled": "the same bytes have another label",
    "moved": "the same bytes are in another split",
    "renamed": "the same bytes have another name",
    "status_changed": "the same bytes have another status",
}
HEADINGS = {"moved": "moved between splits", "status_changed": "with another status"}

router = APIRouter()


def _no_option(name: str) -> str:
    """Refuses what git would take for an option, and what no name of a revision can be."""
    if name.startswith("-") or not name.isprintable():
        raise ValueError(f"needs a commit, a branch, a tag, HEAD or {WORKSPACE}")
    return name


Revision = Annotated[str, Query(min_length=1, max_length=250), AfterValidator(_no_option)]


class Commit(NamedTuple):
    """A commit that may have changed the dataset; `names`: of branches and tags that are there."""

    hash: str
    short: str
    date: str
    subject: str
    names: str

    @property
    def text(self) -> str:
        names = f" ({self.names})" if self.names else ""
        return f"{self.date} {self.short}{names} {self.subject}"


class Shown(NamedTuple):
    """The picture of an image of a version; "" where it, or a page of it, is not here."""

    picture: str
    page: str
    alt: str


class Change(NamedTuple):
    """An image that differs: its pictures, of both sides where bytes differ, and in words how."""

    shown: list[Shown]
    lines: list[str]


class Here(NamedTuple):
    """Images of a commit, by name: where their bytes lie, and which the workspace has as well."""

    images: dict[str, "OldImage"]
    in_workspace: set[str]


class Section(NamedTuple):
    """The images of a kind of change, of which there are `number`; `changes`: those shown."""

    kind: Kind
    heading: str
    meaning: str
    number: int
    changes: list[Change]
    all_of_them: str


class Sides(NamedTuple):
    """Two versions: the hash of a commit each, or WORKSPACE."""

    before: str
    after: str

    def page(self, **more: Any) -> str:
        """The page of these versions."""
        return f"/versions?{urlencode({**self._asdict(), **more})}"


@router.get("/versions")
def versions(
    before: Revision = "HEAD",
    after: Revision = WORKSPACE,
    kind: Kind | None = None,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> HTMLResponse:
    """What differs between two versions; with `kind`, all images that differ so, page by page."""
    values: dict[str, Any] = {"commits": recent_commits(), "names": (before, after)}
    try:
        sides = Sides(resolve(before), resolve(after))
        values |= _compared(sides, kind, page)
    except UserError as error:
        problem = rendering.render(
            "versions.html.j2", **values, workspace=WORKSPACE, sides=None, problem=str(error)
        )
        return HTMLResponse(problem, 404)
    return HTMLResponse(
        rendering.render("versions.html.j2", **values, workspace=WORKSPACE, problem="")
    )


def _compared(sides: Sides, kind: Kind | None, page: int) -> dict[str, Any]:
    """What the template shows of two versions; see versions().

    Raises:
        UserError: where one cannot be read, and for a page that is not there.
    """
    found = compare(sides)
    from flows.versions import diff

    entries: dict[Kind, Entries] = {each: found[each] for each in KINDS}
    changes = diff.class_changes(found["classes"])
    pages = 1 if kind is None else max(1, -(-len(entries[kind]) // SHOWN_OF_A_PAGE))
    if page > pages:
        raise UserError(f"page {page:,}: there are {pages:,} of images that are {kind}")
    first, most = 0, SHOWN_OF_A_KIND
    if kind is not None:
        first, most = (page - 1) * SHOWN_OF_A_PAGE, SHOWN_OF_A_PAGE
    chosen = slice(first, first + most)
    shown = {each: entries[each].pairs(chosen) for each in ([kind] if kind else KINDS)}
    return {
        "sides": sides,
        "kind": kind,
        "page": page,
        "pages": pages,
        "files": found["files"],
        "count_line": count_line({each: len(its) for each, its in entries.items()}),
        "recipe": diff.recipe_in_words(found),
        "accuracy": diff.accuracy_in_words(found),
        "params": {
            key: list(map(diff.in_words, values.values()))
            for key, values in found["params"].items()
        },
        "counted": list(map(diff.count_title, diff.COUNTED)),
        "classes": changes[:MOST_CLASSES],
        "more_classes": max(0, len(changes) - MOST_CLASSES),
        "sections": sections(sides, shown, {each: len(its) for each, its in entries.items()}),
    }


# --- revisions --------------------------------------------------------------------------------


def recent_commits() -> list[Commit]:
    """The last commits that changed the dataset, newest first; empty without git."""
    form = "%x1f".join(["%H", "%h", "%cs", "%s", "%D"])
    try:
        listed = git("log", f"-{COMMITS_LISTED}", f"--format={form}", "--", *_VERSIONED)
    except UserError:  # git is not installed
        return []
    lines = listed.decode(errors="replace").splitlines()
    return [Commit(*line.split(SEPARATOR)) for line in lines if line.count(SEPARATOR) == 4]


_VERSIONED = ("dvc.lock", "data/raw.dvc")


def resolve(name: str) -> str:
    """The hash of the commit that a name means; WORKSPACE is itself.

    Raises:
        UserError: where git has no such commit, or there is no git.
    """
    if name == WORKSPACE:
        return name
    commit = git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}").decode().strip()
    if COMMIT.fullmatch(commit):
        return commit
    if not git("rev-parse", "--git-dir"):
        raise UserError(
            f"{Path.cwd()}: needs a git repository of its own, found none: run git init"
        )
    need = "needs a commit, a branch, a tag or HEAD"
    raise UserError(f"revision {name!r}: not found in git; {need}")


# --- what differs -----------------------------------------------------------------------------

_dvc = threading.RLock()


def compare(sides: Sides) -> dict[str, Any]:
    """The differences, see flows/versions/diff.py; of each kind those of entries_by_kind().

    Raises:
        UserError: where one of the versions cannot be read.
    """
    with _dvc:
        # those of the workspace change whenever a run leaves another dataset
        return _compare(sides, state_of_files(FILES_OF_WORKSPACE) if WORKSPACE in sides else None)


@lru_cache(maxsize=COMPARISONS_KEPT)
def _compare(sides: Sides, state: State | None) -> dict[str, Any]:
    """The same; `state`: of the workspace's files, where it is one of the sides."""
    from flows.versions.diff import compare
    from flows.versions.revision import read_versions

    found = compare(*read_versions(list(sides)))
    pa.default_memory_pool().release_unused()  # two whole manifests were read
    return found | entries_by_kind(found)


def entries_by_kind(found: dict[str, Any]) -> dict[Kind, "Entries"]:
    """The images of each kind of change; those added and removed without those replaced."""
    from flows.versions.diff import Entries

    removed, added = found["removed"].rows, found["added"].rows
    old = removed["file_name"].isin(added["file_name"])
    new = added["file_name"].isin(removed["file_name"])
    was = removed[old].set_index("file_name", drop=False).loc[added["file_name"][new]]
    return {
        **{kind: found[kind] for kind in KINDS if kind in found},
        "added": Entries(None, added[~new]),
        "removed": Entries(removed[~old], None),
        "replaced": Entries(was, added[new]),
    }


def count_line(counts: dict[Kind, int]) -> str:
    """How many images changed, as `3 added, 2 moved between splits`."""
    changed = [f"{counts[kind]:,} {HEADINGS.get(kind, kind)}" for kind in KINDS if counts[kind]]
    return ", ".join(changed) or "the same images"


def sections(
    sides: Sides, shown: dict[Kind, list[dict[str, Any]]], counts: dict[Kind, int]
) -> list[Section]:
    """A section for each kind of change that there is.

    Args:
        sides: the versions.
        shown: of each kind the entries to show.
        counts: of each kind, how many there are.
    """
    here = {side: _images_of(sides, side, shown) for side in sides._fields}

    def section(kind: Kind, entries: list[dict[str, Any]]) -> Section:
        changes = [_change(kind, entry, sides, here) for entry in entries]
        heading, page = HEADINGS.get(kind, kind), sides.page(kind=kind)
        return Section(kind, heading, KINDS[kind], counts[kind], changes, page)

    return [section(kind, entries) for kind, entries in shown.items() if entries]


def _images_of(sides: Sides, side: str, shown: dict[Kind, list[dict[str, Any]]]) -> Here:
    """Where the images of a commit lie; of the workspace's nothing has to be known."""
    commit = getattr(sides, side)
    images = [entry[side] for entry in chain.from_iterable(shown.values()) if entry[side]]
    names = [image["file_name"] for image in images]
    if commit == WORKSPACE:
        return Here({}, set())
    found = old_images(commit, names)
    return Here(found, _in_workspace(found))


IN_WORKSPACE = """
SELECT file_name, sha256 FROM manifest WHERE file_name IN (SELECT unnest(?::VARCHAR[]))
"""


def _in_workspace(images: dict[str, "OldImage"]) -> set[str]:
    """The names under which the workspace has the same bytes; they have a page."""
    try:
        rows = select(IN_WORKSPACE, [list(images)])
    except UserError:  # its files cannot be read: its own pages say so
        return set()
    return {row["file_name"] for row in rows if row["sha256"] == images[row["file_name"]].sha256}


def _change(kind: Kind, entry: dict[str, Any], sides: Sides, here: dict[str, Here]) -> Change:
    pictures_of = {
        side: _shown(getattr(sides, side), entry[side], here[side], side)
        for side in sides._fields
        if entry[side]
    }
    shown = list(pictures_of.values())
    if len(shown) == 2 and kind != "replaced":
        # the same bytes: one picture, of a side that is here
        shown = [max(reversed(shown), key=lambda one: (bool(one.picture), bool(one.page)))]
    return Change(shown, _lines(kind, entry))


def _shown(commit: str, image: dict[str, Any], here: Here, side: str) -> Shown:
    name = image["file_name"]
    alt = f"{name}, {side}"
    if commit == WORKSPACE:
        return Shown(pictures.address_by_file_name(name), page_of_image(name), alt)
    page = page_of_image(name) if name in here.in_workspace else ""
    old = here.images.get(name)
    if old is None or old.path is None:
        return Shown("", "", alt)
    query = {"revision": commit, "file": name}
    return Shown(f"/picture/version?{urlencode(query)}", page, alt)


def _lines(kind: Kind, entry: dict[str, Any]) -> list[str]:
    """An image in words: its name, then what differs."""
    before, after = entry["before"], entry["after"]
    if before is None or after is None:
        image = before or after
        return [image["file_name"], _place_of(image)]
    names = list(dict.fromkeys([before["file_name"], after["file_name"]]))
    places = list(dict.fromkeys([_place_of(before), _place_of(after)]))
    return [" → ".join(names), " → ".join(places)]


def _place_of(image: dict[str, Any]) -> str:
    """Label and split of an image; why it is set aside, where it is."""
    status = " ".join(filter(None, [image["status"], image["reason"]]))
    return f"{image['label'] or 'no label'}, {image['split'] or status}"


# --- pictures of images that the workspace may not have ---------------------------------------

_known: "OrderedDict[tuple[str, str], OldImage]" = OrderedDict()  # by commit and name


def old_images(commit: str, names: Collection[str]) -> dict[str, "OldImage"]:
    """Where images of a commit lie, by their names; without names that it does not have.

    Raises:
        UserError: where the commit cannot be read.
    """
    with _dvc:
        known = {name: _known.get((commit, name)) for name in names}
        found = {
            name: old for name, old in known.items() if old and old.path and old.path.is_file()
        }
        wanted = [name for name in names if name not in found]
        if wanted:
            from flows.versions.old_images import find_images

            new = find_images(commit, wanted)
            # what is not on this machine is looked for again: it may be fetched meanwhile
            _known.update({(commit, name): old for name, old in new.items() if old.path})
            found |= new
        while len(_known) > IMAGES_KEPT:
            _known.popitem(last=False)
        return found


@router.get("/picture/version")
def picture(
    request: Request,
    revision: Revision,
    file: pictures.Name,
    size: pictures.Size = "thumbnail",
) -> Response:
    """The picture of an image as a revision had it."""
    commit = resolve(revision)
    old = old_images(commit, [file]).get(file)
    if old is None:
        raise UserError(f"file {file!r}: not in the dataset of {revision}")
    if old.path is None:
        return pictures.placeholder(NOT_HERE)
    shown = pictures.Picture(
        path=str(old.path),
        offset=old.offset,
        length=old.length,
        sha256=old.sha256,
        preprocessing=old.preprocessing,
        changed=OTHER_BYTES,
        refusal=None if old.was_decoded else "not decoded: it could not be used",
    )
    return pictures.answer(request, shown, size)
