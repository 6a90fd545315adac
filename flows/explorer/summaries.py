"""Pages of classes and operations: measures, counts, exposure, accuracy, the worst of it."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

import pandas as pd
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from flows.explorer import rendering
from flows.explorer.charts import Bar, Described, histograms_of
from flows.explorer.database import select, select_once
from tasks.commands.drawn_order import ordered_by
from tasks.common import tables
from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.dataset.captions import drawn_values, number, operations_in_words
from tasks.dataset.columns import MEASURES, REASONS, REJECTIONS, SPLITS
from tasks.dataset.paths import (
    AUDIT_FINDINGS,
    AUDIT_REPORT,
    BREAKDOWN,
    EXPOSURE_METRICS,
    page_of_image,
    page_of_images,
    page_of_variant,
)
from tasks.dataset.variant_measures import UNCHANGED, UNTOUCHED, high_is_worst
from tasks.studies.class_policies import policies_of
from tasks.variants.params import AugmentParams

CLASSES_OF_A_PAGE = 200
SHOWN = 7  # pictures in a row: so many fit a usual window
MOST_CONFUSIONS = 12
MOST_FINDINGS = 100  # of an audit, in a table
BROKEN = ("moves", "unlike anything")  # verdicts on labels that are not kept
DRAWS_READ = 512  # variants of which it is read what an operation drew

# The measures in the order of the page, and what their worst variants are called.
WORST = {
    "sharpness": "Blurriest variants",
    "similarity": "Least like their source",
    "border": "Most outside the source",
    "kept": "Least of the source kept",
    "contrast": "Flattest",
    "clipped_low": "Most turned black",
    "clipped_high": "Most turned white",
    "encoding_psnr": "Most changed by encoding",
}

router = APIRouter()

Name = Annotated[str, Query(min_length=1, max_length=1000)]


class Card(NamedTuple):
    """A picture that leads to the page of its image; `lines`: what stands below it."""

    picture: str
    page: str
    alt: str
    lines: list[str]


class Row(NamedTuple):
    """A row of pictures, and the address of all of them in the grid."""

    heading: str
    meaning: str
    cards: list[Card]
    all_of_them: str


class Part(NamedTuple):
    """So many images or variants of a kind, in words, and their address in the grid."""

    name: str
    number: int
    meaning: str
    page: str


def picture_of_variant(variant_id: str) -> str:
    """The thumbnail of a stored variant."""
    return f"/picture/variant?{urlencode({'id': variant_id})}"


def picture_of_original(file_name: str) -> str:
    """The thumbnail of an image of the validated manifest."""
    return f"/picture/original?{urlencode({'file': file_name})}"


# --- classes ----------------------------------------------------------------------------------

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
KIND = r"split_part(regexp_replace(reason, '^gate: (\w+) .*', 'gate \1'), ':', 1)"
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
            rejections=list(_rejection_parts(select_once(CLASS_REJECTIONS, [name]), in_grid)),
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


def _rejection_parts(rows: list[dict[str, Any]], in_grid: dict[str, str]) -> Iterator[Part]:
    """Rejected variants by kind, with what helps; see CLASS_REJECTIONS."""
    for row in rows:
        kind = row["kind"].partition(" ")[0]
        known = REJECTIONS.get(kind)
        meaning = f"{known.meaning}; {known.mend}" if known else ""
        page = page_of_images(**in_grid, status="rejected", reason=kind)
        yield Part(row["kind"].replace("_", " "), row["count"], meaning, page)


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
    return Card(picture_of_original(file_name), page_of_image(file_name), file_name, shown)


# --- measures of variants ---------------------------------------------------------------------

ROWS = 2**32  # more than a ledger has
DECIMALS = 10_000  # values are rounded to so many parts
OF_THE_NEXT = 1e-6  # before the end of a bar: no value lies there, for edges have 6 decimals
# A value and its row are compared as one number: fast, and ties in the order of the file, as in the
# grid.
LOWEST = "min(if({measure} < ?::DOUBLE, {rounded} + row, NULL), {shown}) AS {measure}"
HIGHEST = "max(if({measure} > ?::DOUBLE, {rounded} - row, NULL), {shown}) AS {measure}"
ROUNDED = f"round({{measure}} * {DECIMALS})::BIGINT * {ROWS}"
LEDGER_ROWS = """
SELECT row, variant_id, source_id, operations
FROM (SELECT unnest(?::BIGINT[]) AS number) AS asked JOIN ledger ON ledger.row = asked.number
"""


def with_links(described: Described, in_grid: dict[str, str]) -> Described:
    """The same, each bar with the address of its variants in the grid."""
    chosen = {**in_grid, "status": "written", "measure": described.drawn.measure}
    pages = [page_of_images(**chosen, **_ends_of(bar)) for bar in described.drawn.bars]
    return described._replace(pages=pages)


def _ends_of(bar: Bar) -> dict[str, str]:
    """The same range in the grid, which has both its ends in it; a bar ends before the next."""
    ends = {"from": bar.low, "to": None if bar.high is None else bar.high - OF_THE_NEXT}
    return {name: f"{round(value, 6):.12g}" for name, value in ends.items() if value is not None}


def worst_of(where: str, values: Sequence[Any], in_grid: dict[str, str]) -> Iterator[Row]:
    """Of each measure a row of its worst variants: those worse than an untouched image.

    `where`, `values`: see histograms_of(). `in_grid`: the same as filters of the grid.
    """
    rows = _worst_rows(where, values)
    asked = tuple(sorted(set(chain.from_iterable(rows.values()))))
    known = {row["row"]: row for row in select_once(LEDGER_ROWS, [asked])}
    for measure, heading in WORST.items():
        order = "desc" if high_is_worst(measure) else "asc"
        if its := rows[measure]:
            page = page_of_images(**in_grid, status="written", sort=measure, order=order)
            meaning = f"{'highest' if order == 'desc' else 'lowest'} {measure}, {MEASURES[measure]}"
            cards = [
                _variant_card(known[row], f"{measure} {number(value)}")
                for row, value in its.items()
            ]
            yield Row(heading, meaning, cards, page)


def _worst_rows(where: str, values: Sequence[Any]) -> dict[str, dict[int, float]]:
    """Of each measure the worst variants: their row in the ledger, and the value."""
    columns = []
    for measure in WORST:
        worst = HIGHEST if high_is_worst(measure) else LOWEST
        rounded = ROUNDED.format(measure=measure)
        columns.append(worst.format(measure=measure, rounded=rounded, shown=SHOWN))
    query = (
        f"SELECT {', '.join(columns)} FROM ledger "
        f"WHERE variant_index > 0 AND status = 'written' AND {where}"
    )
    untouched = [UNTOUCHED[measure] for measure in WORST]
    (found,) = select_once(query, [*untouched, *values])
    return {measure: dict(_taken_apart(measure, found[measure] or [])) for measure in WORST}


def _taken_apart(measure: str, keys: list[int]) -> Iterator[tuple[int, float]]:
    """The row and the value of each number that _worst_rows() compares."""
    for key in keys:
        if high_is_worst(measure):
            value = -(-key // ROWS)
            yield value * ROWS - key, value / DECIMALS
        else:
            value = key // ROWS
            yield key - value * ROWS, value / DECIMALS


def _variant_card(row: dict[str, Any], value: str) -> Card:
    """A variant; `value`: what is said of it first."""
    operations = operations_in_words(json.loads(row["operations"]))
    return Card(
        picture_of_variant(row["variant_id"]),
        page_of_variant(row["source_id"], row["variant_id"]),
        f"variant {row['variant_id']}: {', '.join(operations)}",
        list(filter(None, [value, *operations])),
    )


# --- operations -------------------------------------------------------------------------------

# Names are read from the JSON without parsing it, which would take longer than all else; before the
# first one stands something else.
OPERATIONS = """
SELECT list_transform(string_split(operations, '"name":"'), lambda x: x[:strpos(x, '"') - 1])
    AS names, status, count(*) AS count
FROM variants GROUP BY ALL
"""
HAS_OPERATION = "contains(operations, ?)"
OPERATION_COUNTS = f"""
SELECT {HAS_OPERATION} AS part, status, {KIND} AS kind, count(*) AS count
FROM variants GROUP BY ALL ORDER BY count DESC, kind
"""
DRAWN = f"""
SELECT variant_id, source_id, operations, {", ".join(MEASURES)}
FROM variants WHERE status = 'written' AND {HAS_OPERATION} LIMIT ?
"""  # the first ones: rows keep their order


@router.get("/operations")
def operations() -> HTMLResponse:
    """A table of all operations: those that were applied, and those of the policy."""
    variants: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    for row in select_once(OPERATIONS):
        for name in set(row["names"][1:]) or {UNCHANGED}:
            variants[name] += row["count"]
            rejected[name] += row["count"] if row["status"] == "rejected" else 0
    names = {*variants, *(name for name, _ in steps_of_policies())}
    return HTMLResponse(
        rendering.render(
            "operations.html.j2",
            rows=[(name, variants[name], rejected[name]) for name in sorted(names)],
            unchanged=UNCHANGED,
        )
    )


@router.get("/operation")
def operation(name: Name) -> HTMLResponse:
    """The page of an operation."""
    steps = [arguments for step, arguments in steps_of_policies() if step == name]
    has = f'"name":"{name}"'
    counts = select_once(OPERATION_COUNTS, [has]) if re.fullmatch(r"\w+", name) else []
    its = [row for row in counts if row["part"]]
    if not its and not steps:
        raise UserError(f"operation {name!r}: neither in the policy nor applied to any variant")
    in_grid = {"kind": "variant", "operation": name}
    rejected = [row for row in its if row["status"] == "rejected"]
    return HTMLResponse(
        rendering.render(
            "operation.html.j2",
            name=name,
            steps=[{name: arguments} if arguments else name for arguments in steps],
            variants=sum(row["count"] for row in its),
            all_variants=sum(row["count"] for row in counts),
            rejected=sum(row["count"] for row in rejected),
            others=_rejected_share([row for row in counts if not row["part"]]),
            rejections=list(_rejection_parts(rejected, in_grid)),
            histograms_drawn=[
                with_links(each, in_grid)
                for each in histograms_of(HAS_OPERATION, [has], against_all=True)
            ],
            examples=_examples(name, has, steps[0] if steps else {}),
            worst=list(worst_of(HAS_OPERATION, [has], in_grid)),
            audit=_audit_of(name),
            most_findings=MOST_FINDINGS,
            audit_page=f"/{AUDIT_REPORT.name}" if AUDIT_REPORT.is_file() else "",
            rules=list(_label_rules(name)),
            variants_page=page_of_images(**in_grid),
        )
    )


def steps_of_policies() -> list[tuple[str, Any]]:
    """The name and the arguments of each step that params.yaml names, also of those in composites.

    Empty where params.yaml cannot be read: the pages are of what there is, and a run says why.
    """
    params = _params()
    policies = [] if params is None else policies_of(params)
    return list(chain.from_iterable(map(_within, policies)))


def _within(steps: Any) -> Iterator[tuple[str, Any]]:
    for step in steps if isinstance(steps, list) else ():
        named = {step: {}} if isinstance(step, str) else step
        for name, arguments in named.items() if isinstance(named, dict) else ():
            yield str(name), arguments
            if isinstance(arguments, dict):
                yield from _within(arguments.get("transforms"))


def _params() -> AugmentParams | None:
    try:
        return read_params("augment", AugmentParams)
    except UserError:
        return None


def _rejected_share(rows: list[dict[str, Any]]) -> float | None:
    """The share of variants that were rejected; None of none."""
    total = sum(row["count"] for row in rows)
    rejected = sum(row["count"] for row in rows if row["status"] == "rejected")
    return rejected / total if total else None


class Examples(NamedTuple):
    """Stored variants over the range of what an operation drew; `words`: what is shown."""

    words: str
    cards: list[Card]


def _examples(name: str, has: str, arguments: Any) -> Examples | None:
    """Stored variants of an operation, from the lowest of what it drew to the highest."""
    rows = select(DRAWN, [has, DRAWS_READ])
    drawn = [_numbers_drawn(name, row) for row in rows]
    if not drawn:
        return None
    sources = [row["source_id"] for row in rows]
    # values that differ between variants of one source are drawn: others may come from its size
    alone = len(set(sources)) == len(sources)
    draws = pd.DataFrame(drawn, index=[""] * len(rows) if alone else sources)
    by = ordered_by(draws, arguments if isinstance(arguments, dict) else {})
    if by is None:
        cards = [_variant_card(row, "") for row in rows[:SHOWN]]
        return Examples("Nothing in it varies by a number.", cards)
    known = draws[by].reset_index(drop=True).dropna().sort_values(kind="stable")
    places = dict.fromkeys(round(step * (len(known) - 1) / (SHOWN - 1)) for step in range(SHOWN))
    chosen = [(int(known.index[place]), float(known.iloc[place])) for place in places]
    cards = [_variant_card(rows[row], f"{by} {number(value)}") for row, value in chosen]
    lowest, highest = number(known.iloc[0]), number(known.iloc[-1])
    what = f"By {by}, {lowest} to {highest} among the first {len(known):,} stored variants"
    return Examples(f"{what} that had it; what else was applied to them differs.", cards)


def _numbers_drawn(name: str, row: dict[str, Any]) -> dict[str, float]:
    """The numbers that an operation of this name drew, then the measures of the variant."""
    found = _find_operation(name, json.loads(row["operations"])) or {}
    numbers = {
        key: float(value)
        for key, value in drawn_values(found).items()
        if not isinstance(value, str)
    }
    # of encoding_psnr only some variants have one
    measures = {key: row[key] for key in MEASURES if key != "encoding_psnr"}
    return {**numbers, **{key: math.nan if v is None else v for key, v in measures.items()}}


def _find_operation(name: str, applied: list[dict[str, Any]]) -> dict[str, Any] | None:
    for one in applied:
        within = _find_operation(name, one.get("operations", []))
        if one.get("name") == name or within:
            return one if one.get("name") == name else within
    return None


class Audited(NamedTuple):
    """What `variegate audit` found of an operation: how often each verdict, and those findings.

    `broken`: of labels that it does not keep; `others`: all others. The largest shares come first.
    """

    words: str
    broken: list[dict[str, Any]]
    others: list[dict[str, Any]]


def _audit_of(name: str) -> Audited | None:
    """None where there was no audit."""
    if not AUDIT_FINDINGS.is_file():
        return None
    findings = [
        {**each, "magnitude": _magnitude(each)}
        for each in tables.read_json(AUDIT_FINDINGS, "audit")["findings"]
        if name in each["step"].split(" with ")  # two flips that are tried together
    ]
    findings.sort(key=lambda each: -each["share"])
    verdicts = Counter(each["verdict"] for each in findings).most_common()
    broken = [each for each in findings if each["verdict"] in BROKEN]
    others = [each for each in findings if each["verdict"] not in BROKEN]
    return Audited(", ".join(f"{count:,} {verdict}" for verdict, count in verdicts), broken, others)


def _magnitude(finding: dict[str, Any]) -> str:
    """What of a step was tried, as `limit 108 to 180` or `r180`; empty where that is all of it."""
    ends = [number(finding[end]) for end in ("low", "high") if finding[end] is not None]
    return " ".join(filter(None, [finding["argument"], " to ".join(dict.fromkeys(ends))]))


def _label_rules(name: str) -> Iterator[str]:
    """What augment.labels says of an operation, in words."""
    params = _params()
    for place, rule in enumerate(params.labels if params else ()):
        which = f"augment.labels[{place}]: for {', '.join(rule.classes)}"
        if name in rule.forbid:
            yield f"{which} it is forbidden"
        if name in rule.bound:
            bounds = (f"{key} {json.dumps(value)}" for key, value in rule.bound[name].items())
            yield f"{which} it is bounded: {', '.join(bounds)}"
        if name in rule.relabel:
            pairs = (f"{was} becomes {is_}" for was, is_ in rule.relabel[name].items())
            yield f"{which} it changes the label: {', '.join(pairs)}"
