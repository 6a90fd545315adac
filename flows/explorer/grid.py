"""The grid of images and variants: a page of rows, counts beside the filters, CSV."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np
import pyarrow.csv as pa_csv
from fastapi import APIRouter, Request
from fastapi import Query as Parameters
from fastapi.responses import HTMLResponse, StreamingResponse

from flows.explorer import rendering
from flows.explorer.pictures import address_by_file_name, address_by_variant_id
from flows.explorer.queries import database
from flows.explorer.queries.fields import MEASURED, Field, Kind, numbers, sortable
from flows.explorer.queries.query import (
    ANY,
    IMAGES_A_PAGE,
    OPERATION,
    STATUSES,
    Query,
    reason_sql,
    rows_numbered,
)
from tasks.common.errors import UserError
from tasks.dataset.columns import REASONS, REJECTIONS, SPLITS
from tasks.dataset.paths import LEDGER, VALIDATED_MANIFEST, page_of_image, page_of_variant
from tasks.dataset.variant_measures import UNCHANGED

ROWS_AT_ONCE = 16_384  # of a CSV file: sorted ones may lie anywhere in the manifest
LABELS_OFFERED = 1000  # in the form; of more classes one is written
VALUES_SHOWN = 100  # of a filter, those with the most rows
FIRST_ROWS = 16_384  # of the ledger, in which nearly every operation is found
SHARES = ("probability", "probability_of_label")  # said in percent, as elsewhere
USUAL = ("ok", "written")  # what is not said of a picture
MANIFESTS = {"original": (VALIDATED_MANIFEST, "validate"), "variant": (LEDGER, "augment")}
# What a picture says, by the parameters that filter by it.
SAID: dict[str, tuple[str, ...]] = {
    "prediction": ("predicted", "probability"),
    "confidence_from": ("probability",),
    "exposure_from": ("presentations",),
    "cluster": ("cluster",),
}

router = APIRouter()
Asked = Annotated[Query, Parameters()]


class Cell(NamedTuple):
    """A picture of the grid: where it lies, where it leads, its name, and the lines below it.

    `short_name`: without the folder, which is often the class.
    """

    picture: str
    page: str
    name: str
    short_name: str
    lines: list[str]


class Count(NamedTuple):
    """How many rows a value has, and the address that chooses it, or no longer does."""

    text: str
    rows: int
    address: str
    chosen: bool


class Facet(NamedTuple):
    """The counts of a filter's values among the rows that all other filters choose."""

    title: str
    counts: list[Count]
    left_out: int


class Range(NamedTuple):
    """What the values of a field lie between, and the addresses that sort by it."""

    field: Field
    least: Any
    most: Any
    upwards: str
    downwards: str


# --- a page -----------------------------------------------------------------------------------


@router.get("/images")
def images(query: Asked) -> HTMLResponse:
    """A page of pictures."""
    return HTMLResponse(database.of_one_state(lambda: render_page(query)))


def render_page(query: Query) -> str:
    """A page of the grid.

    Raises:
        UserError: where it lies beyond the last one.
    """
    chosen = database.row_numbers(*query.numbers())
    pages = max(1, -(-len(chosen) // IMAGES_A_PAGE))
    if query.page > pages:
        raise UserError(f"page {query.page:,}: the last page is {pages:,}")
    first = (query.page - 1) * IMAGES_A_PAGE
    return rendering.render(
        "grid.html.j2",
        query=query,
        cells=read_cells(query, chosen[first : first + IMAGES_A_PAGE]),
        first=first + 1,
        total=len(chosen),
        pages=pages,
        missing=missing_file(query.kind),
        filters=[(each.words, without(query, each.parameters)) for each in query.conditions()],
        order=order_in_words(query),
        **choices(query),
    )


def missing_file(kind: Kind) -> str:
    """What to do where the manifest is not there yet; else empty."""
    path, made_by = MANIFESTS[kind]
    return "" if path.is_file() else f"{path}: not there yet; `variegate run` makes it ({made_by})"


def without(query: Query, parameters: Iterable[str]) -> str:
    """The address without some parameters."""
    return query.address(**dict.fromkeys(parameters))


def order_in_words(query: Query) -> str:
    """By what pictures are sorted, as `sharpness, lowest first`; empty for the manifest's order."""
    if query.sort is None:
        return ""
    field = query.fields[query.sort]
    if field.is_number:
        return f"{field.title}, {'highest' if query.order == 'desc' else 'lowest'} first"
    return f"{field.title}, {'from Z to A' if query.order == 'desc' else 'from A to Z'}"


def read_cells(query: Query, chosen: np.ndarray) -> list[Cell]:
    """The pictures of some rows, by their numbers."""
    if not len(chosen):
        return []
    said = said_fields(query)
    names = ["file_name", "label", "status", "reason"]
    names += ["source_id", "variant_id"] if query.kind == "variant" else []
    columns = [query.fields[name] for name in names]
    columns += [field for field in said if field.name not in names]
    rows = database.select(*rows_numbered(query.kind, columns, chosen.tolist()))
    return [_cell(query.kind, row, said) for row in rows]


def said_fields(query: Query) -> list[Field]:
    """What a picture says beside its name and class: what it is filtered and sorted by.

    A prediction comes first: a confidence right below the class would be taken for that in it.
    """
    names: list[str | None] = []
    for condition in query.conditions():
        names += SAID.get(condition.parameters[0], ())
    names += [query.sort, query.measure]
    known = ("file_name", "label", "status", "reason", "variant_id")
    return [query.fields[name] for name in dict.fromkeys(names) if name and name not in known]


def _cell(kind: Kind, row: dict[str, Any], said: list[Field]) -> Cell:
    lines = [
        f"{field.title} {text}" for field in said if (text := in_words(field, row[field.name]))
    ]
    if row["status"] not in USUAL:
        lines.insert(0, ": ".join(filter(None, (row["status"], row["reason"]))))
    label, name = row["label"] or "no class", row["file_name"]
    if kind == "original":
        picture = address_by_file_name(name)
        return Cell(picture, page_of_image(name), name, short_name(name), [label, *lines])
    variant, source = row["variant_id"], name or row["source_id"]
    page = f"{page_of_image(name)}#{variant}" if name else page_of_variant(source, variant)
    index = variant.rpartition("-")[2]
    words = [f"{label}, {index}", *lines]
    picture = address_by_variant_id(variant)
    return Cell(picture, page, f"{source} {index}", short_name(source), words)


def short_name(name: str) -> str:
    """A file's name without its folder and its container."""
    return name.rpartition("::")[2].rpartition("/")[2]


def in_words(field: Field, value: Any) -> str:
    """A value of a row for people; "" where there is none."""
    if field.name in SHARES and value is not None:
        return f"{value:.1%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float):
        return rendering.number(value)
    return str(value)


def choices(query: Query) -> dict[str, Any]:
    """What the form offers, by filter."""
    reasons = REASONS if query.kind == "original" else REJECTIONS
    return {
        "splits": SPLITS,
        "labels": label_names(),
        "statuses": STATUSES[query.kind],
        "reasons": list(reasons),
        "operations": operation_names() if query.kind == "variant" else [],
        "measures": numbers(query.kind),
        "sorts": sortable(query.kind),
    }


def label_names() -> list[str]:
    """All classes in the validated manifest; none where there are too many to choose from."""
    sql = "SELECT DISTINCT label FROM manifest WHERE label IS NOT NULL ORDER BY label LIMIT ?"
    found = database.select_once(sql, [LABELS_OFFERED + 1])
    return [row["label"] for row in found] if len(found) <= LABELS_OFFERED else []


def operation_names() -> list[str]:
    """The operations of the first variants in the ledger."""
    sql = f"SELECT DISTINCT {_NAMES} AS names FROM ledger WHERE row < ? AND variant_index > 0"
    found = database.select_once(sql, [FIRST_ROWS])
    return sorted(set().union(*(row["names"][1:] for row in found)))


# --- counts -----------------------------------------------------------------------------------

# The names in a text of `operations`, after a first element of what comes before them.
_NAMES = (
    f"list_transform(string_split(operations, '{OPERATION}'), lambda x: x[:strpos(x, '\"') - 1])"
)


@router.get("/images/counts")
def counts(request: Request, query: Asked) -> HTMLResponse:
    """Counts beside the filters: a part of a page, or a page where a link leads to it."""
    page = rendering.render(
        "counts.html.j2",
        query=query,
        whole=request.headers.get("sec-fetch-dest", "document") == "document",
        facets=read_facets(query),
        ranges=read_ranges(query),
    )
    return HTMLResponse(page, headers={"Vary": "Sec-Fetch-Dest"})


def read_facets(query: Query) -> list[Facet]:
    """The counts of all filters that have few values."""
    names = ["label", "status", "reason"]
    if query.kind == "original":
        found = [_facet(query, name) for name in ("split", *names)]
        return [*found, _predictions(query), _look_alikes(query)]
    return [*(_facet(query, name) for name in names), _operations(query)]


def _facet(query: Query, name: str) -> Facet:
    field = query.fields[name]
    value = reason_sql(field) if name == "reason" else field.sql
    return _as_facet(query, field.title, name, _count(query, name, value))


def _predictions(query: Query) -> Facet:
    field = query.fields["correct"]
    value = f"CASE WHEN {field.sql} THEN 'right' WHEN NOT {field.sql} THEN 'wrong' END"
    return _as_facet(query, "prediction", "prediction", _count(query, "prediction", value, field))


def _look_alikes(query: Query) -> Facet:
    value = f"CASE WHEN {query.fields['cluster'].sql} IS NOT NULL THEN '{ANY}' END"
    return _as_facet(query, "near-duplicates", "cluster", _count(query, "cluster", value))


def _operations(query: Query) -> Facet:
    """The variants of each operation; one that has several counts for each."""
    rows = _count(query, "operation", _NAMES)
    summed: Counter[str] = Counter()
    for row in rows:
        for name in set(row["value"][1:]) or {UNCHANGED}:
            summed[name] += row["rows"]
    counted = [{"value": name, "rows": number} for name, number in summed.most_common()]
    return _as_facet(query, "operation", "operation", counted)


def _count(
    query: Query, parameter: str, value: str, field: Field | None = None
) -> list[dict[str, Any]]:
    """How many rows have each value, among those that the filters but for one choose."""
    others = [each for each in query.conditions() if parameter not in each.parameters]
    chosen = query.chosen(others, [field] if field else [])
    sql = f"SELECT {value} AS value, count(*) AS rows {chosen.sql} GROUP BY 1 ORDER BY 2 DESC, 1"
    return database.select_once(sql, chosen.parameters)


def _as_facet(query: Query, title: str, parameter: str, rows: list[dict[str, Any]]) -> Facet:
    chosen = getattr(query, parameter)
    counted = [
        Count(
            row["value"],
            row["rows"],
            query.address(**{parameter: None if row["value"] == chosen else row["value"]}),
            row["value"] == chosen,
        )
        for row in rows
        if row["value"] is not None
    ]
    return Facet(title, counted[:VALUES_SHOWN], len(counted[VALUES_SHOWN:]))


def read_ranges(query: Query) -> list[Range]:
    """What the chosen rows' measures lie between, of those that are known."""
    fields = [query.fields[name] for name in MEASURED[query.kind]]
    listed = ", ".join(
        f"min({field.sql}) AS least_{field.name}, max({field.sql}) AS most_{field.name}"
        for field in fields
    )
    chosen = query.chosen(query.conditions(), fields)
    (row,) = database.select_once(f"SELECT {listed} {chosen.sql}", chosen.parameters)
    return [
        Range(
            field,
            row[f"least_{field.name}"],
            row[f"most_{field.name}"],
            query.address(sort=field.name, order="asc"),
            query.address(sort=field.name, order="desc"),
        )
        for field in fields
        if row[f"least_{field.name}"] is not None
    ]


# --- CSV --------------------------------------------------------------------------------------


@router.get("/images.csv")
def csv(query: Asked) -> StreamingResponse:
    """All chosen rows with all their columns, in their order, whatever page is asked for."""
    state = database.state_of_files()
    chosen = database.row_numbers(*query.numbers())
    headers = {"Content-Disposition": f'attachment; filename="{query.kind}s.csv"'}
    parts = write_csv(query, chosen, state)
    return StreamingResponse(parts, media_type="text/csv", headers=headers)


def write_csv(query: Query, chosen: np.ndarray, state: database.State) -> Iterator[bytes]:
    """The lines of some rows, by their numbers in files of this state, in parts.

    Raises:
        UserError: where the files are replaced meanwhile: the answer breaks off, and is no file.
    """
    columns = list(query.fields.values())
    yield (",".join(field.name for field in columns) + "\n").encode()
    for start in range(0, len(chosen), ROWS_AT_ONCE):
        some = chosen[start : start + ROWS_AT_ONCE].tolist()
        part = io.BytesIO()
        table = database.select_arrow(*rows_numbered(query.kind, columns, some))
        pa_csv.write_csv(table, part, pa_csv.WriteOptions(include_header=False))
        if database.state_of_files() != state:
            raise UserError(database.REPLACED)
        yield part.getvalue()
