"""Text for a terminal: the summary of a run, what validate found."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tasks.augment.counts import per_class, read_counts
from tasks.dataset.paths import VALIDATE_REPORT

MOST_NAMED = 12  # classes


def run_summary(stages: Collection[str]) -> list[str]:
    """What a run of `stages` ended with, in lines: images in, variants per class, training images, accuracy, report."""
    lines: list[str] = []
    if "validate" in stages:
        found = read_metrics("validate")
        status = found["status"]
        lines.append(
            f"images in        {found['images']:,}: {status['ok']:,} usable, "
            f"{status['duplicate']:,} duplicates, {status['quarantined']:,} quarantined"
        )
        lines += [f"warning          {warning}" for warning in found["warnings"]]
    if "augment" in stages:
        totals = read_metrics("augment")
        lines.append(f"variants         {totals['written']:,} of {totals['planned']:,} planned")
        lines += [f"  {line}" for line in _class_lines(per_class(read_counts()))]
        lines.append(f"training images  {totals['training_images']:,}")
    if "train" in stages:
        found = read_metrics("exposure")
        lines.append(
            f"shown            {found['presentations']:,} in {found['epochs']:,} epochs ({found['augmentation']}): "
            f"{found['original']:,} originals, {found['stored']:,} stored variants, {found['online']:,} made on the fly"
        )
    if "evaluate" in stages:
        found = read_metrics("evaluate")
        lines.append(f"test accuracy    {found['accuracy']:.2%} of {found['images']:,} images")
        lines.append(f"report           {Path('reports/index.html').resolve()}")
    return lines


def validation_lines(
    found: dict[str, Any], labels: list[str], moved: list[dict[str, str]]
) -> list[str]:
    """What validate found, in lines for people.

    Args:
        found: the content of metrics/validate.json.
        labels: of the classes.
        moved: see moved_between().
    """
    status, pairs = found["status"], found["pairs"]
    named = [*labels[:MOST_NAMED], "..."] if len(labels) > MOST_NAMED else labels
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in found["quarantined"].items())
    lines = [
        f"layout           {found['layout']}",
        f"images in        {found['images']:,} in {found['files']:,} files: {status['ok']:,} usable, "
        f"{status['duplicate']:,} duplicates, {status['quarantined']:,} quarantined",
        f"quarantined      {reasons or 'none'}",
        f"pairs            {pairs['bytes']:,} of equal bytes, {pairs['pixels']:,} of equal pixels, "
        f"{pairs['near']:,} that look the same",
        f"groups           {found['groups']:,}",
        f"leaks            {found['leaks']:,}",
        f"classes          {found['classes']:,}: {', '.join(named)}",
        "splits           "
        + ", ".join(f"{split} {count:,}" for split, count in found["splits"].items()),
        f"                 {found['split']}",
    ]
    if found["not_compared"]:
        lines.insert(
            4,
            f"not compared     {found['not_compared']:,} images, for looking the same: see near_duplicates",
        )
    lines += [f"warning          {text}" for text in found["warnings"]]
    lines += [f"failure          {text}" for text in found["failures"]]
    if moved:
        some = ", ".join(
            f"{image['file_name']} ({image['before']} -> {image['after']})" for image in moved[:3]
        )
        lines.append(
            f"moved            {len(moved):,} images are in another split than before: {some}; --json lists all"
        )
    return [*lines, f"report           {VALIDATE_REPORT.resolve()}"]


def _class_lines(classes: dict[str, dict[str, int]]) -> list[str]:
    width = max(len(label) for label in classes)
    return [
        f"{label:<{width}}  {numbers['sources']:>7,} + {numbers['written']:>8,} = {numbers['training_images']:>8,}"
        + (f"  ({numbers['rejected']:,} rejected)" if numbers["rejected"] else "")
        for label, numbers in classes.items()
    ]


def read_metrics(stage: str) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(Path(f"metrics/{stage}.json").read_text(encoding="utf-8"))
    return metrics
