"""Run the stage: plan, make what was not made before, cut segments, write the ledger."""

from tasks.common import workers

if __name__ == "__main__":
    workers.start_early("tasks.augment.jobs")  # a second or more, beside the imports below

import gc
import itertools
import shutil
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.augment import accounts, caches, counts, plan, segments
from tasks.augment.contact_sheet import sample_sheet
from tasks.augment.jobs import Part, do
from tasks.augment.reuse import Checks, Earlier, Round
from tasks.augment.segments import Piece
from tasks.capacity.count import check_capacity
from tasks.common import errors, events, machine, tables
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.dataset.manifests import read_validated
from tasks.dataset.paths import AUGMENT_METRICS, AUGMENTED, COUNTS, LEDGER, SEGMENTS
from tasks.pixels.encode import encode
from tasks.pixels.thumbnails import data_uri
from tasks.variants import sources
from tasks.variants.make import Recipe
from tasks.variants.params import AugmentParams
from tasks.variants.policy import Policy

SOURCES_SHOWN = 8  # on the contact sheet


def made(rounds: Iterator[Round], recipe: Recipe) -> Iterator[Piece]:
    """The pieces of all segments, in order: made by the workers, or made before and found sound.

    Checks read and hash, for which threads do: a run with nothing to make starts no worker.
    """
    rounds, to_do = itertools.tee(rounds)
    jobs = (job for one in to_do for job in one.jobs)
    results = workers.map_ordered(
        do, jobs, "tasks.augment.jobs", lambda job: isinstance(job, Checks)
    )
    for one in rounds:
        results_of = {type(job): iter(next(results)) for job in one.jobs}
        for stretch in one.order:
            if stretch is None:
                yield from next(results_of[Part])
            elif next(results_of[Checks]):
                yield stretch
            else:  # damaged: its variants are made again
                caches.drop(stretch.stored)
                yield from itertools.chain(*Part(recipe, [stretch.sources]).do())


def finish(pieces: list[Piece], recipe: Recipe) -> tuple[pa.Table, int]:
    """Store the segment of these pieces; gives its rows, and how many variants were reused."""
    segment = segments.build(pieces, recipe.hash)
    caches.keep(segment, recipe.hash)
    return segment.rows, sum(piece.reused for piece in pieces)


def augment(validated: pd.DataFrame, params: AugmentParams) -> None:
    """Write data/augmented and metrics/augment.json."""
    rows = sources.training_sources(validated)
    planned = plan.plan_counts(rows, params)
    check_capacity(rows, planned, params)
    recipe = Recipe.from_params(params)
    limit = machine.cache_limit_bytes()
    rounds = Earlier(recipe.hash, rows, planned).rounds(sources.to_sources(rows, planned), recipe)
    pieces = events.track(
        made(rounds, recipe), len(rows), "augmenting", "source", lambda piece: len(piece.sources)
    )
    written: list[np.ndarray] = []
    reused = 0
    shutil.rmtree(
        AUGMENTED, ignore_errors=True
    )  # as DVC does; by hand an older result may be there
    SEGMENTS.mkdir(parents=True)
    with (
        atomic_write(LEDGER) as temporary,
        tables.ParquetWriter(temporary, LEDGER_COLUMNS) as writer,
    ):
        finished = workers.map_ordered(
            partial(finish, recipe=recipe), segments.cut(pieces), in_thread=lambda _: True
        )
        for its_rows, its_reused in finished:
            writer.write(its_rows)
            written.append(accounts.written_of(its_rows))
            reused += its_reused
        lines = counts.count_rows(
            validated, planned, pd.Series(np.concatenate(written), rows.index)
        )
        tables.write_csv(COUNTS, lines)
        numbers = counts.summary(lines, recipe.hash)
        tables.write_json(AUGMENT_METRICS, numbers)
    caches.trim(limit)
    told = {
        name: numbers[name]
        for name in ("sources", "planned", "written", "rejected", "training_images")
    }
    events.report_counts(**told, made=told["planned"] - reused, reused=reused)
    if events.has_listener():
        sheet = encode(sample_sheet(rows, planned, recipe, SOURCES_SHOWN)[0], "png")
        events.emit("picture", text="contact sheet", uri=data_uri(sheet, "png"))


def main() -> None:
    """Run the stage."""
    gc.freeze()  # what was imported stays: the collector need not look at it again and again
    params = read_params("augment", AugmentParams)
    Policy(params.policy)  # an error in it is told before any work
    augment(read_validated(sources.COLUMNS), params)


if __name__ == "__main__":
    errors.run(main)
