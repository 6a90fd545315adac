"""Counts: new images planned, written, rejected; per image (counts.csv), per class, in all."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.common import tables
from tasks.common.errors import UserError
from tasks.common.texts import counted, noun
from tasks.common.yaml_names import quoted
from tasks.dataset.columns import REJECTIONS, Rejection
from tasks.dataset.paths import AUGMENT_METRICS, COUNTS, LEDGER
from tasks.dataset.selections import usable
from tasks.dataset.variant_measures import is_written
from tasks.variants.gates import gates_from
from tasks.variants.params import AugmentParams

CLASSES_NAMED = 5  # in warnings


def count_rows(validated: pd.DataFrame, planned: pd.Series, written: pd.Series) -> pd.DataFrame:
    """The lines of counts.csv: each usable image with its new images planned, written and rejected.

    `planned` and `written` are on the index of `validated`, and hold training images alone.
    """
    lines = usable(validated)[["source_id", "file_name", "label", "split"]].copy()
    lines["planned"] = planned.reindex(lines.index, fill_value=0)
    lines["written"] = written.reindex(lines.index, fill_value=0)
    lines["rejected"] = lines["planned"] - lines["written"]
    return lines


def read_counts(file: Path | IO[bytes] = COUNTS) -> pd.DataFrame:
    """The lines of counts.csv, all as text: a class may be called `01` or `NA`."""
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def summary(counts: pd.DataFrame, recipe_hash: str, rejections: pd.DataFrame) -> dict[str, Any]:
    """The content of metrics/augment.json: totals of the training split.

    `rejections`: see sum_rejections().
    """
    classes = pd.DataFrame(counts_by_class(counts).values())
    return {
        "recipe_hash": recipe_hash,
        **{str(name): int(total) for name, total in classes.sum().items()},
        "rejections": by_kind(rejections),
    }


def counts_by_class(counts: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Totals of each class, from the lines of counts.csv.

    Returns:
        By class: sources (of the training split), planned, written, rejected and training_images.
        A class without training images has zeros.
    """
    numbers = counts[["planned", "written", "rejected"]].astype(int)
    numbers.insert(0, "sources", (counts["split"] == "train").astype(int))
    table = numbers.groupby(counts["label"]).sum()
    table["training_images"] = table["sources"] + table["written"]
    names = [str(name) for name in table.columns]
    totals = table.itertuples(name=None)  # a tuple of the label and Python's own integers
    return {str(label): dict(zip(names, row, strict=True)) for label, *row in totals}


# --- by what images show ----------------------------------------------------------------------

Labels = dict[str, dict[str, Any]]  # of each class, see count_labels()


def count_labels(counts: pd.DataFrame, expected: dict[str, float], ledger: Path) -> Labels:
    """Counts by what images show, where rules relabel variants.

    Args:
        counts: see count_rows().
        expected: see tasks/capacity/labels.py.
        ledger: with the variants.

    Returns:
        By class, each that is in `counts`: how many variants are `expected` and `written` that show
        it, and `training_images`, with the originals.
    """
    rows = pq.read_table(ledger, columns=["label", "variant_index", "status"])
    written = rows.filter(is_written(rows))["label"].to_pandas().value_counts()
    found: Labels = {}
    for label, numbers in counts_by_class(counts).items():
        number = int(written.get(label, 0))
        found[label] = {
            "expected": round(expected.get(label, 0.0), 2),
            "written": number,
            "training_images": numbers["sources"] + number,
        }
    return found


def read_labels() -> Labels:
    """What count_labels() gave in the last run; {} where no rule relabels."""
    found: Labels = tables.read_json(AUGMENT_METRICS, "augment").get("by_label", {})
    return found


# --- rejections -------------------------------------------------------------------------------


def count_rejections(rows: pa.Table) -> pa.Table:
    """How many variants were rejected, by label of their source, kind and failure.

    Args:
        rows: of the ledger, with source_label, source_id and reason.

    Returns:
        label, kind (see REJECTIONS; of a gate with its measure, as `gate border`), failure (the
        reason of a kind `failed`, else empty), count, and the first source_id.
    """
    rejected = rows.filter(rows["reason"].is_valid())
    reason = rejected["reason"]
    kind = pc.replace_substring_regex(reason, r"^gate: (\w+) .*", r"gate \1")
    kind = pc.list_element(pc.split_pattern(kind, ":", max_splits=1), 0)
    failure = pc.if_else(pc.equal(kind, "failed"), reason, "")
    label, source_id = rejected["source_label"], rejected["source_id"]
    columns = [label, kind, failure, pa.repeat(1, len(rejected)), source_id]
    return _sum_counts(pa.table(columns, ["label", "kind", "failure", "count", "source_id"]))


def sum_rejections(parts: Iterable[pa.Table]) -> pd.DataFrame:
    """The sum of what count_rejections() gave for parts of a ledger, by label, kind and failure."""
    none = pa.schema(
        {
            **dict.fromkeys(("label", "kind", "failure"), pa.string()),
            "count": pa.int64(),
            "source_id": pa.string(),
        }
    ).empty_table()
    summed = _sum_counts(pa.concat_tables([none, *parts])).to_pandas()
    return summed.sort_values(["label", "kind", "failure"], ignore_index=True)


def read_rejections(path: Path = LEDGER) -> pd.DataFrame:
    """The rejections of a ledger: see sum_rejections()."""
    with pq.ParquetFile(path) as ledger:
        batches = ledger.iter_batches(columns=["source_label", "source_id", "reason"])
        return sum_rejections(count_rejections(pa.Table.from_batches([rows])) for rows in batches)


def _sum_counts(table: pa.Table) -> pa.Table:
    keys = ["label", "kind", "failure"]
    summed = table.group_by(keys).aggregate([("count", "sum"), ("source_id", "min")])
    return summed.rename_columns([*keys, "count", "source_id"])


def by_kind(rejections: pd.DataFrame) -> dict[str, int]:
    """How many variants were rejected by kind, the most frequent first."""
    counts = rejections.groupby("kind")["count"].sum().sort_values(ascending=False, kind="stable")
    return {str(kind): int(count) for kind, count in counts.items()}


def kinds_by_class(rejections: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Of each class that lost variants: by_kind()."""
    return {str(label): by_kind(rows) for label, rows in rejections.groupby("label")}


def in_words(kinds: dict[str, int]) -> str:
    """What by_kind() gives, as `12 not_distinct, 3 failed`."""
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())


def explain(kind: str) -> Rejection:
    """What a kind of rejection means and what helps; a kind without words is its own name."""
    return REJECTIONS.get(kind.split()[0], Rejection(kind.replace("_", " "), "see the ledger"))


def rejection_lines(kinds: dict[str, int]) -> list[str]:
    """A sentence for each kind of rejection: how many, what it means, what helps."""
    return [
        f"{count:,} {kind}: {explain(kind).meaning}; {explain(kind).mend}"
        for kind, count in kinds.items()
    ]


def require_some(counts: pd.DataFrame, rejections: pd.DataFrame) -> None:
    """Raises UserError where variants were planned, and none was written.

    Args:
        counts: see count_rows().
        rejections: see sum_rejections().
    """
    planned, written = int(counts["planned"].sum()), int(counts["written"].sum())
    if written or not planned:
        return
    kinds = by_kind(rejections)
    found = ", ".join(
        f"{count:,} {kind} ({explain(kind).meaning})" for kind, count in kinds.items()
    )
    need = f"none of the {planned:,} variants planned was written: {found}"
    parts = [need, *failures(counts, rejections), explain(next(iter(kinds))).mend]
    raise UserError(f"params.yaml augment: {'; '.join(parts)}")


def shortfalls(counts: pd.DataFrame, rejections: pd.DataFrame) -> list[str]:
    """Warnings of what was lost: the commonest failure, and classes that lost much.

    A class lost much where it has none, or less than half, of the variants that were planned; the
    latter only where the dataset as a whole has more than half.
    """
    classes = counts_by_class(counts)
    most_are_there = 2 * int(counts["written"].sum()) >= int(counts["planned"].sum())
    lost = [
        label
        for label, numbers in classes.items()
        if numbers["planned"] > 2 * numbers["written"]
        and (most_are_there or not numbers["written"])
    ]
    lost.sort(key=lambda label: (classes[label]["written"] > 0, -classes[label]["rejected"]))
    kinds = kinds_by_class(rejections)
    texts = [class_shortfall(label, classes[label], kinds[label]) for label in lost[:CLASSES_NAMED]]
    if len(lost) > CLASSES_NAMED:
        texts.append(f"{len(lost) - CLASSES_NAMED:,} more classes lost as much: see {COUNTS}")
    return [*failures(counts, rejections), *texts]


def class_shortfall(label: str, numbers: dict[str, int], kinds: dict[str, int]) -> str:
    """What one class lost.

    Args:
        label: its name.
        numbers: see counts_by_class().
        kinds: see by_kind().
    """
    written = f"{numbers['written']:,}" if numbers["written"] else "none"
    have = f"class {label!r}: {written} of {numbers['planned']:,} planned variants written"
    commonest = next(iter(kinds))
    mend = explain(commonest).mend
    if commonest == "not_distinct":
        each = numbers["written"] // numbers["sources"]
        own = f"per_class: {{{quoted(label)}: {{variants_per_image: {each}}}}}"
        mend = f"`augment.{own}` asks for what there is"
    return f"{have} ({in_words(kinds)}); {mend}"


def gate_warnings(params: AugmentParams, ledger: Path) -> list[str]:
    """A warning for each gate that warns, with the number of the variants that do not pass it."""
    texts = []
    for gate in gates_from(params.gates, "warn"):
        values = pq.read_table(ledger, columns=[gate.measure])[gate.measure].drop_null().to_numpy()
        for key, bound, sign, beyond in (
            ("max", gate.most, ">", values > gate.most),
            ("min", gate.least, "<", values < gate.least),
        ):
            count = int(beyond.sum())
            if count:
                texts.append(
                    f"{count:,} of {counted(len(values), 'variant')} "
                    f"({count / len(values):.1%}) {noun(count, 'has', 'have')} "
                    f"{gate.measure} {sign} {bound:g}; `{gate.measure}: {{{key}: {bound:g}}}` in "
                    "augment.gates would draw them again"
                )
    return texts


def unmeasured(params: AugmentParams, ledger: Path) -> list[str]:
    """A warning for each gate with the number of written variants whose measure is not known."""
    texts = []
    for name in params.gates:
        rows = pq.read_table(ledger, columns=["variant_index", "status", name])
        values = rows[name].filter(is_written(rows))
        if values.null_count:
            share = values.null_count / len(values)
            texts.append(
                f"{values.null_count:,} of {counted(len(values), 'variant')} ({share:.1%}) passed "
                f"augment.gates.{name} unmeasured; docs/measures.md says when {name} is not known"
            )
    return texts


def failures(counts: pd.DataFrame, rejections: pd.DataFrame) -> list[str]:
    """The commonest failure with the name of a file, as a list of one text; empty without any."""
    failed = rejections[rejections["kind"] == "failed"]
    if failed.empty:
        return []
    commonest = failed.groupby("failure")["count"].sum().idxmax()
    source_id = failed.loc[failed["failure"] == commonest, "source_id"].min()
    name = counts.loc[counts["source_id"] == source_id, "file_name"].iloc[0]
    total = int(failed["count"].sum())
    message = str(commonest).removeprefix("failed: ")
    return [f"{counted(total, 'variant')} failed, mostly with {message} ({name} for one)"]
