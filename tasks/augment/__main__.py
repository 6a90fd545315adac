"""Run the stage: plan, make what was not made before, cut segments, write the ledger."""

import shutil
from collections.abc import Iterator

import pandas as pd

from tasks import errors, machine, manifest, progress, validate, workers
from tasks.augment import accounts, ledger, plan, reuse, segments, sources, variants
from tasks.augment.capacity import check_capacity
from tasks.augment.params import AugmentParams
from tasks.augment.policy import Policy
from tasks.augment.variants import Part, Recipe, Source
from tasks.params import read_params

VARIANTS_PER_TASK = 64


def parts(listed: list[Source], recipe: Recipe, earlier: reuse.Earlier) -> Iterator[Part]:
    """The sources in portions of about VARIANTS_PER_TASK variants, each with what was made of it before."""
    portion: list[Source] = []
    planned = 0
    for source in listed:
        portion.append(source)
        planned += 1 + source.planned
        if planned >= VARIANTS_PER_TASK:
            yield Part(recipe, portion, earlier.made_of(portion))
            portion, planned = [], 0
    if portion:
        yield Part(recipe, portion, earlier.made_of(portion))


def expanded(listed: list[Source], recipe: Recipe, earlier: reuse.Earlier) -> Iterator[segments.Expanded]:
    """Each source with its variants, in order, made by the workers."""
    results = workers.map_ordered(
        variants.expand_part, parts(listed, recipe, earlier), preload="tasks.augment.variants"
    )
    in_order = (each for result in results for each in result)
    yield from progress.track(zip(listed, in_order, strict=True), len(listed), "augmenting", "source")


def augment(validated: pd.DataFrame, params: AugmentParams) -> None:
    """Write data/augmented and metrics/augment.json."""
    rows = sources.training_sources(validated)
    planned = plan.plan_counts(rows, params)
    check_capacity(rows, planned, params)
    recipe = Recipe.from_params(params)
    limit = machine.cache_limit_bytes()
    earlier = reuse.Earlier(recipe.hash)
    facts = {row["source_id"]: row for row in rows.to_dict("records")}
    written: dict[str, int] = {}
    made = reused = 0
    shutil.rmtree(ledger.FOLDER, ignore_errors=True)  # as DVC does; by hand an older result may be there
    ledger.SEGMENTS.mkdir(parents=True)
    with (
        manifest.replacing(ledger.MANIFEST) as temporary,
        manifest.Writer(temporary, ledger.COLUMNS) as writer,
    ):
        for segment in segments.cut(expanded(sources.to_sources(rows, planned), recipe, earlier)):
            table = accounts.rows_of(segment, facts, recipe)
            reuse.keep(segment, table, recipe.hash)
            writer.write(table)
            for source, its_variants in segment.expanded:
                written[source.source_id] = sum(variant.data is not None for variant in its_variants)
                reused += sum(variant.reused for variant in its_variants)
                made += sum(not variant.reused for variant in its_variants)
        counts = accounts.count_rows(validated, planned.set_axis(rows["source_id"]), written)
        manifest.write_csv(ledger.COUNTS, counts)
        numbers = accounts.summary(counts, recipe)
        manifest.write_json(ledger.METRICS, numbers)
    reuse.trim(limit)
    told = {name: numbers[name] for name in ("sources", "planned", "written", "rejected", "training_images")}
    progress.counts(**told, made=made, reused=reused)


def main() -> None:
    """Run the stage."""
    params = read_params("augment", AugmentParams)
    Policy(params.policy)  # an error in it is told before any work
    augment(validate.read(), params)


if __name__ == "__main__":
    errors.run(main)
