"""The page of an image: what it is, what was decided about it, what became of it."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from flows.explorer import on_the_fly, pictures, rendering, words
from flows.explorer.on_the_fly import Index, Made, Shown, SourceId
from flows.explorer.pictures import Name
from flows.explorer.queries import database
from flows.explorer.words import Measure, Part, Sentence
from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.common.tables import read_json
from tasks.dataset import captions
from tasks.dataset.paths import (
    EXPOSURE,
    INGESTED_MANIFEST,
    VALIDATE_METRICS,
    VALIDATED_MANIFEST,
    page_of_image,
    page_of_images,
)
from tasks.pixels.encode import Format
from tasks.variants.params import AugmentParams

RELATED_SHOWN = 24  # of each kind
VARIANTS_SHOWN = 500
OF_A_RELATED_IMAGE = """
SELECT file_name, label, split, status, reason, container, "offset", bytes, sha256, pixel_sha256,
    count(*) OVER () AS number
FROM manifest
"""
# In which ways images belong together: SQL, what it is called, and what that means.
RELATED = {
    "pixel_sha256": (
        f"{OF_A_RELATED_IMAGE} WHERE pixel_sha256 = ? AND file_name <> ? LIMIT {RELATED_SHOWN}",
        "Copies",
        "Their pixels are equal.",
    ),
    "cluster": (
        f"{OF_A_RELATED_IMAGE} WHERE cluster = ? AND file_name <> ? LIMIT {RELATED_SHOWN}",
        "Look-alikes",
        "They look the same, or would if turned: re-encoded, scaled, brighter, mirrored.",
    ),
    "group_id": (
        f"{OF_A_RELATED_IMAGE} WHERE group_id = ? AND file_name <> ? LIMIT {RELATED_SHOWN}",
        "Group",
        "Images of one group: no split may part them.",
    ),
}
CONFLICT = (
    "Conflicts",
    "Their pixels are equal and their classes are not: nobody knows which is right.",
)

router = APIRouter()


class Neighbour(NamedTuple):
    """An image beside this one: its name, class, what became of it, its page and its picture."""

    name: str
    label: str | None
    state: str
    page: str
    picture: str


class Related(NamedTuple):
    """Images that have the same value in a column; `all`: the grid of all of them, or ""."""

    column: str
    title: str
    meaning: str
    images: list[Neighbour]
    number: int
    all: str


class View(NamedTuple):
    """What the page says of one row of the validated manifest."""

    row: Mapping[str, Any]
    picture: str
    decided: list[Sentence]
    became: list[Sentence]
    facts: list[Part]
    related: list[Related]


class Card(NamedTuple):
    """A variant: its name and class, its pictures, what was done to it and how that went."""

    id: str
    number: int
    label: str
    thumbnail: str
    full: str
    operations: list[Part]
    measures: list[Measure]
    draws: str
    size: str
    rejection: list[Sentence]
    replay: str


class OnTheFly(NamedTuple):
    """The part of the page that makes variants: the source, and the one that was asked for.

    `address`: of the part of it that the slider replaces, with `{index}` in it, and `picture` that
    of its picture. `problem`: why it cannot be made, or "".
    """

    source_id: str
    shown: Shown
    number: int | None
    card: Card | None
    notes: list[str]
    problem: str
    address: str
    picture: str


# --- routes -----------------------------------------------------------------------------------


@router.get("/image")
def image(
    file: Name | None = None,
    source: SourceId | None = None,
    index: Index | None = None,
    epoch: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The page of the image that has a name, or a source_id; `index`, `epoch`: of a variant."""
    if file is None:
        return RedirectResponse(_page_of_source(source, index, epoch))
    rows = database.select("SELECT * FROM images WHERE file_name = ?", [file])
    if not rows:
        pictures.state_of(VALIDATED_MANIFEST)  # that it is missing says more
        raise UserError(f"file {file!r}: not in {VALIDATED_MANIFEST}")
    used = next((row for row in rows if row["status"] == "ok"), None)
    source_row = used if used is not None and used["split"] == "train" else None
    format, augmentation = _settings(rows[0])
    variants = _variants(source_row["source_id"]) if source_row else []
    page = rendering.render(
        "image.html.j2",
        file=file,
        source_label=source_row["label"] if source_row else None,
        views=[_view(row, format) for row in rows],
        variants=_cards(variants, format),
        variant_count=source_row["planned"] or len(variants) if source_row else 0,
        commands=words.commands_for(used or rows[0], augmentation),
        made=_on_the_fly(source_row, index, epoch, format) if source_row else None,
        most=on_the_fly.MOST_INDEX,
    )
    return HTMLResponse(page)


@router.get("/image/made")
def made(source: SourceId, index: Index) -> HTMLResponse:
    """What the slider puts below the picture of a variant that is made for it."""
    found = database.select("SELECT * FROM images WHERE source_id = ? AND status = 'ok'", [source])
    if not found or found[0]["split"] != "train":
        raise UserError(f"source {source!r}: no training image of {VALIDATED_MANIFEST}")
    part = _on_the_fly(found[0], index, None, _settings(found[0])[0])
    return HTMLResponse(rendering.render("made.html.j2", made=part))


def _page_of_source(source: str | None, index: int | None, epoch: int | None) -> str:
    if source is None:
        raise UserError("/image: needs file, a name of the manifest, or source, found neither")
    sql = "SELECT file_name FROM manifest WHERE source_id = ? ORDER BY status <> 'ok', row LIMIT 1"
    found = database.select(sql, [source])
    if not found:
        raise UserError(f"source {source!r}: not in {VALIDATED_MANIFEST}")
    asked = {"index": index, "epoch": epoch}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    return f"{page_of_image(found[0]['file_name'])}{'&' if query else ''}{query}"


# --- the image --------------------------------------------------------------------------------


def _view(row: Mapping[str, Any], format: Format) -> View:
    related = [found for name in RELATED if (found := _related(row, name)) is not None]
    counts = {found.column: found.number for found in related}
    others = words.related_in_words(row, counts)
    ingested, why = _ingested(row), list[Sentence]()
    if ingested is not None:
        why = words.split_in_words(row, ingested["split"], _rule_of_splits(), others)
    decided = [*words.status_in_words(row), *why[:1]]
    became = [*words.model_in_words(row), *words.exposure_in_words(_exposure(row)), *why[1:]]
    picture = pictures.address_of_original(row, "full")
    return View(row, picture, decided, became, words.facts_of(row), related)


def _related(row: Mapping[str, Any], column: str) -> Related | None:
    sql, title, meaning = RELATED[column]
    if row[column] is None:
        return None
    found = database.select(sql, [row[column], row["file_name"]])
    if not found:
        return None
    if column == "pixel_sha256" and any(other["label"] != row["label"] for other in found):
        title, meaning = CONFLICT
    images = [
        Neighbour(
            other["file_name"],
            other["label"],
            other["split"] or other["reason"] or other["status"],
            page_of_image(other["file_name"]),
            pictures.address_of_original(other),
        )
        for other in found
    ]
    grid = page_of_images(cluster=row["cluster"]) if column == "cluster" else ""
    return Related(column, title, meaning, images, found[0]["number"], grid)


def _ingested(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The image's `label` and `split` as ingest found them; None where its manifest lacks it."""
    chosen = [("file_name", "==", row["file_name"])]
    try:
        table = pq.read_table(INGESTED_MANIFEST, columns=["label", "split"], filters=chosen)
    except (OSError, pa.ArrowException):
        return None
    return next((one for one in table.to_pylist() if one["label"] == row["label"]), None)


def _rule_of_splits() -> str | None:
    """How splits were decided, in validate's words; None where its metrics do not say it."""
    try:
        metrics = read_json(VALIDATE_METRICS, "validate")
    except UserError:
        return None
    return metrics.get("split") if isinstance(metrics, dict) else None


def _exposure(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The source's line of models/exposure.csv, as texts."""
    if row["presentations"] is None:
        return None
    lines = f"read_csv('{EXPOSURE}', {database.CSV_FORMAT})"
    sql = f"SELECT * FROM {lines} WHERE source_id = ?"
    return next(iter(database.select(sql, [row["source_id"]])), None)


# --- its variants -----------------------------------------------------------------------------


def _settings(row: Mapping[str, Any]) -> tuple[Format, str]:
    """In which format params.yaml has variants of an image, and how training shows them."""
    try:
        encoding = read_params("augment", AugmentParams).encoding
        return encoding.format_for(row["format"] or ""), on_the_fly.shown_by_training(
            0
        ).augmentation
    except (UserError, OSError):
        return "png", ""


def _variants(source_id: str) -> list[dict[str, Any]]:
    sql = (
        f"SELECT * FROM variants WHERE source_id = ? ORDER BY variant_index LIMIT {VARIANTS_SHOWN}"
    )
    return database.select(sql, [source_id])


def _cards(rows: list[dict[str, Any]], format: Format) -> list[Card]:
    worst = words.worst_of(rows)
    found = []
    for row in rows:
        shown = (pictures.address_of_variant(row), pictures.address_of_variant(row, "full"))
        found.append(_card(row, shown, worst, format))
    return found


def _card(
    row: Mapping[str, Any], shown: tuple[str, str], worst: Mapping[str, float], format: Format
) -> Card:
    """The card of a row of the ledger; `shown`: the addresses of its thumbnail and full picture."""
    written = row["status"] == "written"
    return Card(
        id=row["variant_id"],
        number=row["variant_index"],
        label=captions.relabelled_in_words(row),
        thumbnail=shown[0],
        full=shown[1],
        operations=words.operations_of(row) if written else [],
        measures=words.measures_of(row, worst),
        draws=words.draws_in_words(row),
        size=f"{row['width']} x {row['height']}" if written else "",
        rejection=words.rejection_in_words(row),
        replay=words.replay_command(row["variant_id"], format) if written else "",
    )


# --- on the fly -------------------------------------------------------------------------------


def _on_the_fly(
    row: Mapping[str, Any], index: int | None, epoch: int | None, format: Format
) -> OnTheFly:
    """The part of the page that makes a variant: none yet, where neither is asked for."""
    source_id, card, notes, problem = row["source_id"], None, list[str](), ""
    shown = Shown("offline", 0, 0)
    try:
        shown = on_the_fly.shown_by_training(row["planned"] or 0)
        if epoch is not None and index is None:
            index = shown.index_of(epoch)
        if index is not None:
            variant = on_the_fly.make(source_id, index)
            card, notes = _card_of_made(variant, format), variant.notes
    except (UserError, OSError) as error:
        problem = str(error)
    return OnTheFly(
        source_id,
        shown,
        index,
        card,
        notes,
        problem,
        f"/image/made?{urlencode({'source': source_id})}&index={{index}}",
        f"/picture/made?{urlencode({'source': source_id, 'size': 'full'})}&index={{index}}",
    )


def _card_of_made(variant: Made, format: Format) -> Card:
    query = {"source": variant.row["source_id"], "index": variant.row["variant_index"]}
    thumbnail, full = (
        f"/picture/made?{urlencode({**query, 'size': size})}" for size in ("thumbnail", "full")
    )
    return _card(variant.row, (thumbnail, full), {}, format)
