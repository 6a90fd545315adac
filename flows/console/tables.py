"""Text and tables for a terminal: what run, validate, plan, diff and doctor print.

Commands build lists of parts, lines and tables, and print them with show().
"""

import json
import sys
import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.augment.counts import (
    Labels,
    counts_by_class,
    in_words,
    kinds_by_class,
    read_counts,
    read_rejections,
    rejection_lines,
)
from tasks.common.machine import worker_count
from tasks.common.texts import counted, noun
from tasks.common.yaml_names import in_one_line
from tasks.dataset import clutter
from tasks.dataset.columns import SPLITS
from tasks.dataset.paths import VALIDATE_REPORT, page_of_images
from tasks.dataset.selections import names_in_words
from tasks.evaluate.intervals import in_percent

Part = str | Table
COLUMNS_OF_TEXT = 100  # sentences are wrapped there
POLICIES_SHOWN = 10
Counts = dict[str, dict[str, int]]  # of each class, by name
BY_LABEL = "training images expected to show the class, once augment.labels has relabelled variants"
COLUMNS_OF_FILE = 100_000  # no table is as wide: in a file nothing is folded


def show(parts: Iterable[Part]) -> None:
    """Print lines and tables on standard output.

    Tables fit a terminal's width: names are folded there, numbers are not. In a file or a pipe
    they are as wide as they need to be, and have no colour codes.
    """
    in_terminal = sys.stdout.isatty()
    console = Console(
        force_terminal=in_terminal,
        color_system="auto" if in_terminal else None,
        width=None if in_terminal else COLUMNS_OF_FILE,
        legacy_windows=False,
    )
    for part in parts:
        if isinstance(part, str):
            print(part)
            continue
        with console.capture() as captured:
            console.print(part)
        for line in captured.get().removesuffix("\n").split("\n"):
            print(line.rstrip())


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], indent: int = 0, names: int = 1
) -> Table:
    """A table of names, left-aligned, in the first columns, and numbers, right-aligned, in others.

    Args:
        heads: the headings.
        rows: a cell for each heading; text is shown as it is, markup of rich has no meaning.
        indent: columns of space before each line.
        names: how many columns hold names.
    """
    made = Table(box=None, pad_edge=False)
    made.add_column(Text(" " * indent + heads[0]), overflow="fold")
    for head in heads[1:names]:
        made.add_column(Text(head), overflow="fold")
    for head in heads[names:]:
        made.add_column(Text(head), justify="right", no_wrap=True)
    for name, *others in rows:
        made.add_row(Text(" " * indent + name), *map(Text, others))
    return made


def not_printed(kind: str, texts: Iterable[str], printed: Collection[str]) -> list[str]:
    """A line for each warning or failure that the stage itself has not printed in this command.

    Args:
        kind: `warning` or `failure`.
        texts: what metrics/STAGE.json has of them.
        printed: the lines that stages printed; none of a stage that was cached.
    """
    return [f"{kind:<16} {text}" for text in texts if f"{kind}: {text}" not in printed]


def read_metrics(stage: str) -> dict[str, Any]:
    """The content of metrics/STAGE.json."""
    metrics: dict[str, Any] = json.loads(Path(f"metrics/{stage}.json").read_text(encoding="utf-8"))
    return metrics


# --- variegate run ----------------------------------------------------------------------------


def run_summary(stages: Collection[str], printed: Collection[str]) -> list[Part]:
    """What a run ended with: images in, variants per class, training images, accuracy, report.

    Args:
        stages: that the run consisted of.
        printed: see not_printed().
    """
    parts: list[Part] = []
    if "validate" in stages:
        found = read_metrics("validate")
        parts.append(f"images in        {found['images']:,}: {_status_counts(found)}")
        parts += not_printed("warning", found["warnings"], printed)
    if "augment" in stages:
        totals = read_metrics("augment")
        parts.append(f"variants         {totals['written']:,} of {totals['planned']:,} planned")
        parts += [f"rejected         {line}" for line in rejection_lines(totals["rejections"])]
        parts += not_printed("warning", totals["warnings"], printed)
        lost = kinds_by_class(read_rejections()) if totals["rejected"] else {}
        by_label = totals.get("by_label", {})
        parts.append(_variants_table(counts_by_class(read_counts()), lost, by_label))
        parts.append(f"training images  {totals['training_images']:,}")
    if "train" in stages:
        parts.append(f"shown            {_exposure(read_metrics('exposure'))}")
    if "evaluate" in stages:
        found = read_metrics("evaluate")
        parts.append(f"test accuracy    {_accuracy(found)} of {counted(found['images'], 'image')}")
        if corrupted := found.get("robustness"):
            parts.append(f"corrupted        {_corrupted(corrupted)}")
        if mean := found.get("test_time_augmentation"):
            passes = f"with test-time augmentation, {mean['forward_passes']} times the work"
            parts.append(f"                 {_accuracy(mean)} {passes}")
        parts.append(f"report           {Path('reports/index.html').resolve()}")
    return parts


def _accuracy(found: dict[str, Any]) -> str:
    return in_percent(found["accuracy"], found["accuracy_low"], found["accuracy_high"])


def _corrupted(found: dict[str, Any]) -> str:
    clean = f"clean {found['clean_accuracy']:.2%}"
    return (
        f"{_accuracy(found)} of {found['images']:,} of them, with noise, blur and the like; {clean}"
    )


def _status_counts(found: dict[str, Any]) -> str:
    status = found["status"]
    return (
        f"{status['ok']:,} usable, {counted(status['duplicate'], 'duplicate')}, "
        f"{status['quarantined']:,} quarantined"
    )


def _variants_table(classes: Counts, lost: Counts, by_label: Labels) -> Table:
    """Of each class its sources, the variants of them, and the sum; where any are rejected, why.

    Args:
        classes: see counts_by_class().
        lost: of the classes that lost variants how many by kind, see kinds_by_class().
        by_label: the training images that show each class, see count_labels(); {} where no rule
            relabels.
    """
    names = ["sources", "written", "training_images"]
    heads = ["class", "sources", "variants", "training images"]
    rows = []
    for label, numbers in classes.items():
        cells = [label, *(f"{numbers[name]:,}" for name in names)]
        if by_label:
            expected = numbers["sources"] + by_label[label]["expected"]
            cells += [f"{by_label[label]['training_images']:,}", f"{expected:,.1f}"]
        rows.append([*cells, in_words(lost.get(label, {}))] if lost else cells)
    heads += ["by label", "expected"] if by_label else []
    heads += ["rejected"] if lost else []
    return table(heads, rows, indent=2)


def _exposure(found: dict[str, Any]) -> str:
    balanced = ", each class equally often" if found.get("balance") == "sampler" else ""
    kinds = (
        f"{counted(found['original'], 'original')}, "
        f"{counted(found['stored'], 'stored variant')}, "
        f"{found['online']:,} made on the fly"
    )
    if found["augmentation"] == "device":
        mixed = f", {found['mixed_in']:,} of them mixed with another" if found["mixed_in"] else ""
        once = "originals" if balanced else "each original once per epoch"
        kinds = f"{once}, augmented on the device{mixed}"
    return (
        f"{found['presentations']:,} in {counted(found['epochs'], 'epoch')} "
        f"({found['augmentation']}): "
        f"{kinds}{balanced}"
    )


# --- variegate validate -----------------------------------------------------------------------


def validation(
    found: dict[str, Any],
    classes: Counts,
    moved: list[dict[str, str]],
    printed: Collection[str],
) -> list[Part]:
    """What validate found.

    Args:
        found: the content of metrics/validate.json.
        classes: of each class its usable images in each of SPLITS.
        moved: see moved_between().
        printed: see not_printed().
    """
    pairs = found["pairs"]
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in found["quarantined"].items())
    parts: list[Part] = [
        f"layout           {found['layout']}",
        f"images in        {found['images']:,} in {counted(found['files'], 'file')}: "
        f"{_status_counts(found)}",
        f"quarantined      {reasons or 'none'}",
        f"pairs            {pairs['bytes']:,} of equal bytes, {pairs['pixels']:,} of equal pixels, "
        f"{pairs['near']:,} that look the same, {pairs['mirrored']:,} mirrored, "
        f"{pairs['turned']:,} turned",
    ]
    if found["clutter"]["files"]:
        parts.insert(2, f"clutter          {clutter.words(found['clutter'])}")
    if found["not_compared"]:
        count = counted(found["not_compared"], "image")
        parts.append(f"not compared     {count}, for looking the same: see near_duplicates")
    splits = ", ".join(f"{split} {count:,}" for split, count in found["splits"].items())
    parts += [
        f"groups           {found['groups']:,}",
        f"leaks            {found['leaks']:,}",
        f"classes          {found['classes']:,}",
        _splits_table(classes),
        f"splits           {splits}",
        f"                 {found['split']}",
        *not_printed("warning", found["warnings"], printed),
        *not_printed("failure", found["failures"], printed),
    ]
    if moved:
        parts.append(f"moved            {_moved_images(moved)}")
    chosen = {"status": "quarantined"} if found["status"]["quarantined"] else {}
    parts.append(f"images           `variegate ui`, then {page_of_images(**chosen)} at its address")
    return [*parts, f"report           {VALIDATE_REPORT.resolve()}"]


def _splits_table(classes: Counts) -> Table:
    """Of each class its usable images, in all and in each split."""
    rows = []
    for label, splits in classes.items():
        counts = [splits[split] for split in SPLITS]
        rows.append([label, *(f"{count:,}" for count in (sum(counts), *counts))])
    return table(["class", "usable", *SPLITS], rows, indent=2)


def _moved_images(moved: list[dict[str, str]]) -> str:
    names = ", ".join(
        f"{image['file_name']} ({image['before']} -> {image['after']})" for image in moved[:3]
    )
    count = counted(len(moved), "image is", "images are")
    return f"{count} in another split than before: {names}; --json lists all"


# --- variegate plan ---------------------------------------------------------------------------


def plan_forecast(found: dict[str, Any]) -> list[Part]:
    """How many images a plan makes, and what they take.

    Args:
        found: see tasks.commands.forecast.forecast().
    """
    parts: list[Part] = [
        _plan_table(found),
        "",
        f"capacity   {_capacity(found)}",
        "distinct   of the variants, about how many are expected to differ without drawing again",
        *([f"by label   {BY_LABEL}"] if "by_label" in found else []),
        f"disk       about {found['disk_bytes'] / 1e6:,.1f} MB of segments",
        f"time       about {found['seconds']:,.0f} s here, "
        f"with {counted(worker_count(), 'worker')}",
    ]
    if "gates" in found:
        parts.append(f"gates      {_gates(found['gates'])}")
    if found["policies"]:
        parts += ["", *_own_policies(found["policies"])]
    if "training" in found:
        parts += ["", *training_forecast(found["training"])]
    if found["warnings"]:
        parts.append("")
    indent = " " * len("warning    ")
    for text in found["warnings"]:
        parts += textwrap.wrap(f"warning    {text}", COLUMNS_OF_TEXT, subsequent_indent=indent)
    return parts


def _own_policies(found: list[dict[str, Any]]) -> list[Part]:
    """The policies of classes that have another than the rest; see forecast.own_policies()."""
    indent = " " * len("policy     ")
    parts: list[Part] = []
    for own in found[:POLICIES_SHOWN]:
        changes = "; ".join(own["changes"]) or "as augment.per_class has it"
        text = f"policy     of {names_in_words(own['classes'])}: {changes}"
        parts += textwrap.wrap(text, COLUMNS_OF_TEXT, subsequent_indent=indent)
        parts += [f"{indent}- {_step_in_yaml(step)}" for step in own["policy"]]
    if len(found) > POLICIES_SHOWN:
        parts.append(f"{indent}and {len(found) - POLICIES_SHOWN:,} more; --json shows all")
    return parts


def _step_in_yaml(step: Any) -> str:
    return in_one_line(step).removeprefix("{").removesuffix("}")


def _gates(found: dict[str, int]) -> str:
    return (
        f"about {counted(found['redrawn'], 'variant')} drawn again and "
        f"{found['rejected']:,} rejected, by a sample of {found['sampled']:,}"
    )


def _plan_table(found: dict[str, Any]) -> Table:
    heads = ["class", "sources", "variants", "training", "times", "distinct"]
    by_label = found.get("by_label", {})
    rows = []
    for label, row in [*found["classes"].items(), ("all", found)]:
        counts = [f"{row[name]:,}" for name in ("sources", "variants", "training_images")]
        cells = [label, *counts, f"{row['multiplier']:.2f}", f"{row['expected_distinct']:,.0f}"]
        if label in by_label:
            cells.append(f"{row['sources'] + by_label[label]['expected']:,.1f}")
        rows.append(cells)
    return table([*heads, "by label"] if by_label else heads, rows)


def _capacity(found: dict[str, Any]) -> str:
    least, most = found["capacity_per_image"], found["capacity_per_image_most"]
    if least is None:
        return "any number of different images of one source"
    if most is None:
        return f"by its size and colours, one source has {least:,} different images or any number"
    kind = "exactly" if found["capacity_exact"] else "at most"
    by_source = f" to {most:,}, by its size and colours," if most > least else ""
    images = noun(most, "image")
    return f"one source has {kind} {least:,}{by_source} different {images}"


def training_forecast(training: dict[str, Any]) -> list[Part]:
    """What training will see in each mode of augmentation; the configured one is marked.

    Args:
        training: `training` of a forecast: epochs, batch_size, augmentation, and `modes`.
    """
    order = "each image once per epoch in random order"
    if training["balance"] == "sampler":
        order = "each class equally often in each epoch (train.balance)"
    rows = []
    for mode, row in training["modes"].items():
        mark = "*" if mode == training["augmentation"] else " "
        names = ("stored_images", "samples_per_epoch", "dropped_per_epoch", "presentations")
        counts = [f"{row[name]:,}" for name in names]
        rows.append([f"{mark} {mode}", *counts, f"about {row['expected_distinct_seen']:,.0f}"])
    return [
        f"epochs     {training['epochs']:,}, {order}, in batches of {training['batch_size']:,}",
        table(["", "stored", "per epoch", "dropped", "presentations", "different"], rows, indent=2),
        "  * is train.augmentation; dropped: a last batch of one sample, another in each epoch, "
        "is left out",
    ]


# --- variegate diff, variegate doctor ---------------------------------------------------------


def dataset_diff(found: dict[str, Any]) -> list[Part]:
    """What changed between two versions of the dataset.

    Args:
        found: see flows.versions.diff.compare().
    """
    from flows.versions import diff  # imports DVC, which takes a second

    changes = diff.class_changes(found["classes"])
    parts: list[Part] = list(diff.summary_lines(found))
    if changes:
        heads = ["class", *map(diff.count_title, diff.COUNTED)]
        rows = [[change.label, *change.cells] for change in changes[: diff.MOST_CLASSES]]
        parts += ["", table(heads, rows)]
    more = diff.more_classes(changes)
    if more:
        parts.append(f"{more} classes")
    return [*parts, *diff.example_lines(found)]


@dataclass(frozen=True)
class Finding:
    """The result of one check: what was found, and how to mend it where it is not ok.

    `mend` is empty where what was found says it already.
    """

    what: str
    ok: bool
    found: str
    mend: str = ""


def findings_table(findings: Iterable[Finding]) -> Table:
    """What `variegate doctor` found, and below each problem how to mend it."""
    made = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(2):
        made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for finding in findings:
        state = Text("ok") if finding.ok else Text("BAD", style="bold red")
        made.add_row(state, Text(finding.what), Text(finding.found))
        if finding.mend and not finding.ok:
            made.add_row(Text(""), Text("mend"), Text(finding.mend))
    return made
