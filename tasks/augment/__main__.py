"""Run the augment stage: plan, make what was not made before, cut segments, write the ledger."""

from tasks.common import workers

if __name__ == "__main__":
    workers.start_early("tasks.augment.expand")  # a second or more, beside the imports below

import gc
import shutil
from typing import Any

import numpy as np
import pandas as pd

from tasks.augment import counts, plan, segment_cache
from tasks.augment.contact_sheet import sample_sheet
from tasks.augment.expand import expand_batch
from tasks.augment.plan_warnings import plan_warnings
from tasks.augment.reuse import EarlierVariants
from tasks.augment.segments import Finished, written_by_source
from tasks.capacity.count import checked_capacities
from tasks.common import errors, events, machine, tables
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.dataset.manifests import read_preprocessing, read_validated
from tasks.dataset.paths import AUGMENT_METRICS, AUGMENTED, COUNTS, LEDGER, SEGMENTS
from tasks.pixels.encode import encode
from tasks.pixels.thumbnails import data_uri
from tasks.variants import sources
from tasks.variants.params import AugmentParams
from tasks.variants.policy import Policy
from tasks.variants.recipe import Recipe

SOURCES_SHOWN = 8  # on the contact sheet
SHEET_QUALITY = 80  # as PNG, photos are more than Prefect takes


def augment(validated: pd.DataFrame, params: AugmentParams, recipe: Recipe) -> None:
    """Write data/augmented and metrics/augment.json."""
    rows = sources.training_sources(validated)
    planned = plan.plan_counts(rows, params)
    inputs = sources.policy_input_sizes(rows, recipe.preprocessing)
    capacities = checked_capacities(inputs, planned, params)
    warnings = plan_warnings(params.policy, inputs, planned, *capacities, params.distinct)
    for text in warnings:
        events.say(f"warning: {text}")
    limit_bytes = machine.cache_limit_bytes()
    earlier = EarlierVariants(recipe.hash, rows["sha256"].to_numpy(), planned.to_numpy())
    batches = earlier.batches(sources.to_sources(rows, planned), recipe)
    # DVC does so before it runs a stage; by hand an older result may be there
    shutil.rmtree(AUGMENTED, ignore_errors=True)
    SEGMENTS.mkdir(parents=True)
    written = [np.zeros(0, np.int64)]
    reused = 0
    with atomic_write(LEDGER) as temporary:
        with tables.ParquetWriter(temporary, LEDGER_COLUMNS) as ledger:
            segment: list[Finished] = []  # what is gathered for the next one
            # batches that make nothing read and hash, for which threads do: no worker is started
            expanded = workers.map_ordered(
                expand_batch, batches, "tasks.augment.expand", lambda batch: batch.makes_nothing
            )
            batches_done = events.track(expanded, len(rows), "augmenting", "source", count_sources)
            for finished in batches_done:
                for piece in finished:
                    segment.append(piece)
                    reused += piece.reused
                    if piece.ends_segment:
                        written.append(write_rows(segment, recipe, ledger))
                        segment = []
            if segment:
                written.append(write_rows(segment, recipe, ledger))
        written_variants = pd.Series(np.concatenate(written), rows.index)
        lines = counts.count_rows(validated, planned, written_variants)
        tables.write_csv(COUNTS, lines)
        totals = {**counts.summary(lines, recipe.hash), "warnings": warnings}
        tables.write_json(AUGMENT_METRICS, totals)
    segment_cache.trim_cache(limit_bytes)
    report(totals, reused)
    if events.has_listener():
        sheet = encode(sample_sheet(rows, planned, recipe, SOURCES_SHOWN)[0], "jpeg", SHEET_QUALITY)
        events.emit("picture", text="contact sheet", uri=data_uri(sheet, "jpeg"))


def write_rows(segment: list[Finished], recipe: Recipe, ledger: tables.ParquetWriter) -> np.ndarray:
    """Store a segment and write its rows; gives the number of variants written of each source."""
    rows = segment_cache.write_segment(segment, recipe.hash)
    ledger.write(rows)
    return written_by_source(rows)


def report(totals: dict[str, Any], reused: int) -> None:
    """Say how many variants there are, and how many of them were made."""
    names = ("sources", "planned", "written", "rejected", "training_images")
    shown = {name: totals[name] for name in names}
    events.report_counts(**shown, made=totals["planned"] - reused, reused=reused)


def count_sources(finished: list[Finished]) -> int:
    """How many sources one batch has finished."""
    return sum(len(piece.sources) for piece in finished)


def main() -> None:
    """Run the stage."""
    gc.freeze()  # what was imported stays: the collector need not look at it again and again
    params = read_params("augment", AugmentParams)
    Policy(params.policy)  # an error in it is told before any work
    validated = read_validated(sources.COLUMNS)
    augment(validated, params, Recipe.from_params(params, read_preprocessing()))


if __name__ == "__main__":
    errors.run(main)
