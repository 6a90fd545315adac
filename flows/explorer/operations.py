"""Pages of operations: their range, what they do to the measures, what an audit found."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from flows.explorer import rendering
from flows.explorer.charts import histograms_of
from flows.explorer.queries.database import select, select_once
from flows.explorer.summary_parts import (
    KIND,
    SHOWN,
    Card,
    Name,
    rejection_parts,
    variant_card,
    with_links,
    worst_of,
)
from tasks.commands.drawn_order import ordered_by
from tasks.common import tables
from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.dataset.captions import drawn_values, number
from tasks.dataset.columns import MEASURES
from tasks.dataset.paths import AUDIT_FINDINGS, AUDIT_REPORT, page_of_images
from tasks.dataset.variant_measures import UNCHANGED
from tasks.studies.class_policies import policies_of
from tasks.variants.params import AugmentParams

MOST_FINDINGS = 100  # of an audit, in a table
BROKEN = ("moves", "unlike anything")  # verdicts on labels that are not kept
DRAWS_READ = 512  # variants of which it is read what an operation drew

router = APIRouter()

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
FROM variants WHERE status = 'written' AND {HAS_OPERATION} ORDER BY variant_id LIMIT ?
"""  # in the order of hashes, which is one of chance: some of each class


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
            rejections=list(rejection_parts(rejected, in_grid)),
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
        cards = [variant_card(row, "") for row in rows[:SHOWN]]
        return Examples("Nothing in it varies by a number.", cards)
    known = draws[by].reset_index(drop=True).dropna().sort_values(kind="stable")
    places = dict.fromkeys(round(step * (len(known) - 1) / (SHOWN - 1)) for step in range(SHOWN))
    chosen = [(int(known.index[place]), float(known.iloc[place])) for place in places]
    cards = [variant_card(rows[row], f"{by} {number(value)}") for row, value in chosen]
    lowest, highest = number(known.iloc[0]), number(known.iloc[-1])
    what = f"By {by}, {lowest} to {highest} among {len(known):,} stored variants that had it"
    return Examples(f"{what}; what else was applied to them differs.", cards)


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
