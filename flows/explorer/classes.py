"""Pages of classes: counts, accuracy, exposure, measures, the worst of all that."""

import math
from collections.abc import Iterator
from operator import itemgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from flows.explorer import rendering
from flows.explorer.charts import histograms_of
from flows.explorer.pictures import address_by_file_name
from flows.explorer.queries.database import select_once
from flows.explorer.summary_parts import (
    KIND,
    SHOWN,
    Card,
    Name,
    Part,
    Row,
    rejection_parts,
    with_links,
    worst_of,
)
from tasks.common import tables
from tasks.common.errors import UserError
from tasks.dataset.columns import REASONS, SPLITS
from tasks.dataset.paths import (
    BREAKDOWN,
    EXPOSURE_METRICS,
    page_of_image,
    page_of_images,
)

CLASSES_OF_A_PAGE = 200
MOST_CONFUSIONS = 12

router = APIRouter()

CLASSES = """
SELECT label,
    count(*) FILTER (WHERE status = 'ok' AND split = 'train') AS train,
    count(*) FILTER (WHERE status = 'ok' AND split = 'validation') AS validation,
    count(*) FILTER (WHERE status = 'ok' AND split = 'test') AS test,
    count(*) FILTER (WHERE status <> 'ok') AS set_aside,
    sum(planned)::BIGINT AS planned, sum(written)::BIGINT AS written,
    sum(rejected)::BIGINT AS rejected,
    min(presentations) AS least, max(presentations) AS most
FROM images WHERE label IS NOT NULL GROUP BY label ORDER BY label
"""
CLASS_COUNTS = """
SELECT split, status, reason, count(*) AS images,
    coalesce(sum(planned), 0)::BIGINT AS planned, coalesce(sum(written), 0)::BIGINT AS written,
    coalesce(sum(rejected), 0)::BIGINT AS rejected,
    coalesce(sum(presentations), 0)::BIGINT AS shown, min(presentations) AS least,
    max(presentations) AS most
FROM images WHERE label = ? GROUP BY ALL ORDER BY ALL
"""
CLASS_REJECTIONS = f"""
SELECT {KIND} AS kind, count(*) AS count
FROM variants WHERE source_label = ? AND status = 'rejected'
GROUP BY kind ORDER BY count DESC, kind
"""
LABELS_SHOWN = """
SELECT source_label, label, count(*) AS count
FROM variants WHERE status = 'written' AND (source_label = ? OR label = ?)
GROUP BY ALL ORDER BY ALL
"""
CONFUSIONS = """
SELECT label, predicted, count(*) AS count
FROM images WHERE NOT correct AND (label = ? OR predicted = ?)
GROUP BY ALL ORDER BY count DESC, label, predicted
"""
CONFIDENTLY_WRONG = """
SELECT file_name, predicted, probability
FROM images WHERE label = ? AND NOT correct
ORDER BY probability DESC, file_name LIMIT ?
"""
EXPOSURE_ORDERED = """
SELECT file_name, presentations
FROM images WHERE label = ? AND presentations IS NOT NULL
ORDER BY presentations {order}, file_name LIMIT ?
"""

Order = Literal[
    "label", "train", "validation", "test", "set_aside", "planned", "written", "rejected", "shown",
    "recall",
]  # fmt: skip


@router.get("/classes")
def classes(
    sort: Order = "label", page: Annotated[int, Query(ge=1, le=1_000_000)] = 1
) -> HTMLResponse:
    """A table of all classes."""
    figures = _accuracies()
    rows = [{**row, "figures": figures.get(row["label"])} for row in select_once(CLASSES)]
    rows.sort(key=lambda row: _place_in(sort, row))  # stable: the same stay by name
    pages = max(1, math.ceil(len(rows) / CLASSES_OF_A_PAGE))
    if page > pages:
        raise UserError(f"page {page:,}: there are {pages:,} of classes")
    first = (page - 1) * CLASSES_OF_A_PAGE
    return HTMLResponse(
        rendering.render(
            "classes.html.j2",
            rows=rows[first : first + CLASSES_OF_A_PAGE],
            count=len(rows),
            sort=sort,
            page=page,
            pages=pages,
        )
    )


def _place_in(order: Order, row: dict[str, Any]) -> float:
    """By what a row of the table is sorted: the most of something, or the worst, comes first."""
    if order == "recall":
        figures = row["figures"]
        return figures["recall"] if figures and figures["images"] else math.inf
    column = "most" if order == "shown" else order
    return 0 if order == "label" else -(row[column] or 0)


@router.get("/class")
def class_(name: Name) -> HTMLResponse:
    """The page of a class."""
    counts = select_once(CLASS_COUNTS, [name])
    if not counts:
        raise UserError(f"class {name!r}: the dataset has none of that name")
    where, values = "source_label = ?", [name]
    labels = _labels_shown(name)
    relabelled = labels["shown"] or labels["sources"]
    in_grid = {"kind": "variant", "source_label" if relabelled else "label": name}
    figures = _accuracies().get(name)
    return HTMLResponse(
        rendering.render(
            "class.html.j2",
            name=name,
            images=list(_image_parts(name, counts)),
            totals=_totals(counts),
            rejections=list(rejection_parts(select_once(CLASS_REJECTIONS, [name]), in_grid)),
            labels=labels,
            shown_as_class=_shown_as(name),
            figures=figures,
            confusions=_confusions(name),
            histograms_drawn=[with_links(each, in_grid) for each in histograms_of(where, values)],
            worst=[
                *filter(None, [_confidently_wrong(name)]),
                *worst_of(where, values, in_grid),
                *_by_exposure(name, counts),
            ],
            variants_page=page_of_images(**in_grid),
            images_page=page_of_images(label=name),
        )
    )


def _accuracies() -> dict[str, dict[str, float]]:
    """What metrics/breakdown.json says of each class; {} before evaluate has run."""
    if not BREAKDOWN.is_file():
        return {}
    found: dict[str, dict[str, float]] = tables.read_json(BREAKDOWN, "evaluate")["per_class"]
    return found


def _image_parts(name: str, counts: list[dict[str, Any]]) -> Iterator[Part]:
    """The images of a class by split; then those that are not used, by why."""
    by_split = {row["split"]: row["images"] for row in counts if row["status"] == "ok"}
    for split in SPLITS:
        page = page_of_images(label=name, split=split)
        yield Part(f"in {split}", by_split.get(split, 0), "", page)
    for row in counts:
        if row["status"] == "duplicate":
            meaning = "copies of another image, which is used once"
            page = page_of_images(label=name, status="duplicate")
            yield Part("duplicate", row["images"], meaning, page)
        elif row["status"] != "ok":
            page = page_of_images(label=name, status=row["status"], reason=row["reason"])
            words = f"{row['status']}: {row['reason']}"
            yield Part(words, row["images"], REASONS.get(row["reason"], ""), page)


def _totals(counts: list[dict[str, Any]]) -> dict[str, Any]:
    """Of all images of a class: variants planned, written and rejected, and presentations."""
    sums = {key: sum(map(itemgetter(key), counts)) for key in ("planned", "written", "rejected")}
    shown = [row for row in counts if row["least"] is not None]
    return {
        **sums,
        "shown": sum(row["shown"] for row in shown),
        "sources": sum(row["images"] for row in shown),
        "least": min((row["least"] for row in shown), default=None),
        "most": max((row["most"] for row in shown), default=None),
    }


def _labels_shown(name: str) -> dict[str, list[tuple[str, int]]]:
    """Where rules relabel: what variants of the class show, and of which classes others come.

    Both are empty where each variant shows the class of its source.
    """
    rows = select_once(LABELS_SHOWN, [name, name])
    if all(row["source_label"] == row["label"] for row in rows):
        return {"shown": [], "sources": []}
    return {
        "shown": [(row["label"], row["count"]) for row in rows if row["source_label"] == name],
        "sources": [(row["source_label"], row["count"]) for row in rows if row["label"] == name],
    }


def _shown_as(name: str) -> int | None:
    """How often training showed an image of this label, whatever its source; None: not known."""
    if not EXPOSURE_METRICS.is_file():
        return None
    found: dict[str, int] = tables.read_json(EXPOSURE_METRICS, "train").get(
        "presentations_of_a_class", {}
    )
    return found.get(name)


def _confusions(name: str) -> dict[str, list[tuple[str, int]]]:
    """As what test images of the class were taken, and those of which others for it."""
    rows = select_once(CONFUSIONS, [name, name])
    taken = [(row["predicted"], row["count"]) for row in rows if row["label"] == name]
    others = [(row["label"], row["count"]) for row in rows if row["predicted"] == name]
    return {"taken_for": taken[:MOST_CONFUSIONS], "instead_of": others[:MOST_CONFUSIONS]}


def _confidently_wrong(name: str) -> Row | None:
    rows = select_once(CONFIDENTLY_WRONG, [name, SHOWN])
    cards = [
        _image_card(row["file_name"], f"taken for {row['predicted']}", f"{row['probability']:.1%}")
        for row in rows
    ]
    wrong = page_of_images(label=name, prediction="wrong", sort="probability", order="desc")
    meaning = "test images that the model got wrong, the most confident first"
    return Row("Wrong with the highest confidence", meaning, cards, wrong) if cards else None


def _by_exposure(name: str, counts: list[dict[str, Any]]) -> Iterator[Row]:
    """The images that training showed least and most often, where that differs."""
    totals = _totals(counts)
    if totals["least"] == totals["most"]:
        return
    for heading, order in (("Shown least", "asc"), ("Shown most", "desc")):
        rows = select_once(EXPOSURE_ORDERED.format(order=order), [name, SHOWN])
        cards = [_image_card(row["file_name"], f"{row['presentations']:,} times") for row in rows]
        page = page_of_images(label=name, split="train", sort="presentations", order=order)
        yield Row(heading, "images, by how often training showed them", cards, page)


def _image_card(file_name: str, *lines: str) -> Card:
    shown = [file_name.rpartition("/")[2], *lines]
    return Card(address_by_file_name(file_name), page_of_image(file_name), file_name, shown)
