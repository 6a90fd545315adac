"""Run the augment stage: plan, make what was not made before, cut segments, write the ledger."""

from tasks.workers import processes

if __name__ == "__main__":
    processes.start_early("tasks.augment.expand")  # a second or more, beside the imports below

import gc
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.augment import counts, plan, segment_cache
from tasks.augment.assemble import assemble_segments
from tasks.augment.conflicts import find_label_conflicts
from tasks.augment.contact_sheet import SHEET_QUALITY, sample_sheet
from tasks.augment.expand import Batch, batches_apart, expand_batch
from tasks.augment.reuse import EarlierVariants
from tasks.augment.segments import Finished, written_by_source
from tasks.capacity.count import checked_capacities
from tasks.capacity.labels import expected_labels
from tasks.common import cache_bound, errors, events, machine, tables
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write, locked_beside, remove_abandoned
from tasks.dataset import dvc_remote
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.dataset.manifests import read_preprocessing, read_validated
from tasks.dataset.paths import AUGMENT_METRICS, AUGMENTED, COUNTS, LEDGER, SEGMENTS
from tasks.dataset.selections import class_names
from tasks.dataset.variant_measures import read_medians
from tasks.lint.count_rules import Planned
from tasks.lint.lint import lint
from tasks.pixels.encode import encode
from tasks.pixels.thumbnails import data_uri
from tasks.variants import sources
from tasks.variants.label_checks import check_label_rules
from tasks.variants.originals import Originals, read_originals
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes, check_policies, overall_hash
from tasks.workers import cluster
from tasks.workers.ordered import map_ordered

SOURCES_SHOWN = 8  # on the contact sheet


def augment(validated: pd.DataFrame, params: AugmentParams, recipes: Recipes) -> None:
    """Write data/augmented and metrics/augment.json."""
    rows = sources.training_sources(validated)
    if cluster.is_apart():
        dvc_remote.require_listed(rows)
    planned = plan.plan_counts(rows, params)
    inputs = sources.policy_inputs(rows, recipes.general.preprocessing)
    capacities = checked_capacities(inputs, planned, params)
    findings = lint(params, recipes, Planned(inputs, planned, *capacities))
    warnings = [finding.text for finding in findings]
    for text in warnings:
        events.say(f"warning: {text}")
    limit_bytes = machine.cache_limit_bytes()
    originals = read_originals(validated, recipes.general.preprocessing)
    recipe_hashes = [recipes.of(label).hash for label in rows["label"]]
    keys = segment_cache.source_keys(list(rows["sha256"]), recipe_hashes)
    earlier = EarlierVariants(keys, planned.to_numpy())
    unlabelled = replace(recipes, maps={})  # labels are put on here: workers need no maps
    batches = earlier.batches(sources.to_sources(rows, planned), unlabelled)
    # DVC does so before it runs a stage; by hand an older result may be there
    shutil.rmtree(AUGMENTED, ignore_errors=True)
    SEGMENTS.mkdir(parents=True)
    with atomic_write(LEDGER) as temporary:
        expanded = write_ledger(temporary, batches, len(rows), recipes, originals)
        lines = counts.count_rows(validated, planned, pd.Series(expanded.written, rows.index))
        counts.require_some(lines, expanded.rejections)
        tables.write_csv(COUNTS, lines)
        by_label = {}
        if recipes.maps:
            expected = expected_labels(rows["label"], planned, recipes)
            by_label = {"by_label": counts.count_labels(lines, expected, temporary)}
        label_conflicts = find_label_conflicts(temporary)
        found = counts.shortfalls(lines, expanded.rejections)
        found += counts.gate_warnings(params, temporary)
        found += counts.unmeasured(params, temporary)
        found += [label_conflicts.warning()] if label_conflicts else []
        for text in found:
            events.say(f"warning: {text}")
        totals = {
            **counts.summary(lines, overall_hash(recipe_hashes), expanded.rejections),
            **by_label,
            "equal_under_two_labels": label_conflicts.variants if label_conflicts else 0,
            "measures": read_medians(temporary),
            "warnings": [*warnings, *found],
        }
        tables.write_json(AUGMENT_METRICS, totals)
    cache_bound.trim_cache(limit_bytes)
    report(totals, expanded.reused)
    if events.has_listener():
        sheet, *_ = sample_sheet(rows, planned, recipes, originals, SOURCES_SHOWN)
        picture = data_uri(encode(sheet, "jpeg", SHEET_QUALITY), "jpeg")
        events.emit("picture", text="contact sheet", uri=picture)


class Expanded(NamedTuple):
    """What came of all sources.

    `written`: the variants written of each, int64, in order; `rejections`: see sum_rejections();
    `reused`: how many variants were made before.
    """

    written: np.ndarray
    rejections: pd.DataFrame
    reused: int


def write_ledger(
    path: Path, batches: Iterable[Batch], sources: int, recipes: Recipes, originals: Originals
) -> Expanded:
    """Make the variants of all batches, store their segments and write their rows to `path`."""
    written = [np.zeros(0, np.int64)]
    rejections: list[pa.Table] = []
    reused = 0
    with ExitStack() as stack:
        ledger = stack.enter_context(tables.ParquetWriter(path, LEDGER_COLUMNS))
        # batches that make nothing read and hash, for which threads do: no worker is started
        in_cluster = cluster.shares_folder()
        expanded = map_ordered(
            expand_batch,
            with_folder(batches, stack),
            "tasks.augment.expand",
            lambda batch: batch.makes_nothing and not in_cluster,
            on_cluster=True,
        )
        tracked = events.track(
            expanded, sources, "augmenting", "source", count_sources, cluster.note
        )
        pieces = chain.from_iterable(tracked)
        for rows, made_before in assemble_segments(pieces, recipes, originals):
            ledger.write(rows)
            written.append(written_by_source(rows))
            rejections.append(counts.count_rejections(rows))
            reused += made_before
    return Expanded(np.concatenate(written), counts.sum_rejections(rejections), reused)


def with_folder(batches: Iterable[Batch], stack: ExitStack) -> Iterator[Batch]:
    """Give batches that make variants a folder for their images, which ends with `stack`.

    Those for workers of a cluster that have no folder in common with this process become batches
    that they can do: their images come back with the rows.
    """
    if cluster.is_apart():
        yield from chain.from_iterable(map(batches_apart, batches))
        return
    folder = None
    for batch in batches:
        if not batch.makes_nothing:
            folder = folder or stack.enter_context(images_folder())
            batch.images_in = folder
        yield batch


@contextmanager
def images_folder() -> Iterator[Path]:
    """A folder of this process in the private cache, without those that killed runs left there."""
    beside = machine.cache_folder() / "images"
    remove_abandoned(beside.parent)
    with locked_beside(beside, make_folder_in_cache) as folder:
        yield folder


def make_folder_in_cache(path: Path) -> None:
    """Make a folder; an error names the cache, of which users know."""
    try:
        path.mkdir()
    except OSError as error:
        error.filename = str(path.parent)
        raise


def report(totals: dict[str, Any], reused: int) -> None:
    """Say how many variants there are, how many of them were made, and why others are not."""
    names = ("sources", "planned", "written", "rejected", "training_images")
    shown = {name: totals[name] for name in names}
    events.report_counts(**shown, made=totals["planned"] - reused, reused=reused)
    for line in counts.rejection_lines(totals["rejections"]):
        events.say(f"rejected: {line}")


def count_sources(finished: list[Finished]) -> int:
    """How many sources one batch has finished."""
    return sum(len(piece.sources) for piece in finished)


def main() -> None:
    """Run the stage."""
    gc.freeze()  # what was imported stays: the collector need not look at it again and again
    params = read_params("augment", AugmentParams)
    check_policies(params)
    validated = read_validated(sources.COLUMNS)
    classes = class_names(validated)
    check_label_rules(params, classes)
    augment(validated, params, Recipes.from_params(params, read_preprocessing(), classes))


if __name__ == "__main__":
    errors.run(main)
