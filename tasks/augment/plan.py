"""The plan: how many variants each training source gets, known before a pixel is touched.

Counts are of *new* images; the original is always kept. A number that has to be spread over sources
is spread evenly, and what remains goes, one each, to the sources that come first by source_id: so
the plan is the same on every machine, and a source that comes or goes changes the counts of as few
others as the arithmetic allows.
"""

import numpy as np
import pandas as pd

from tasks.common.errors import UserError
from tasks.common.yaml_names import quoted
from tasks.dataset.selections import class_named, names_in_words
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import rows_of_policies

PLACE = "params.yaml augment"


def plan_counts(sources: pd.DataFrame, params: AugmentParams) -> pd.Series:
    """New images for each training source.

    Args:
        sources: one row per training source, with `source_id` (unique) and `label`.
        params: what decides; `per_class` overrides it.

    Returns:
        int64, on the index of `sources`.

    Raises:
        UserError: for a class that is not there, a target below the originals or beyond
            `max_per_image`, a class to which label rules leave no step.
    """
    sizes = sources["label"].value_counts()
    own_plans = {
        class_named(name, sizes.index, f"{PLACE}.per_class"): own
        for name, own in params.per_class.items()
    }
    counts = pd.Series(0, sources.index, dtype="int64")
    numbers = {label: own for label, own in own_plans.items() if own.has_number}
    own = sources["label"].isin(numbers)
    by_class = sources.groupby("label").groups if numbers else {}
    for label, override in numbers.items():
        of_class = by_class[label]
        if override.target_per_class is None:
            counts[of_class] = override.variants_per_image
        else:
            place = f"{PLACE}.per_class {label!r} target_per_class"
            counts[of_class] = _fill_class(
                sources.loc[of_class],
                override.target_per_class,
                override.at_least,
                params.max_per_image,
                place,
            )
    rest = sources.loc[~own, ["source_id", "label"]]
    if params.variants_per_image is not None:
        counts[rest.index] = params.variants_per_image
    elif params.target_per_class is not None:
        target = int(sizes.max()) if params.target_per_class == "max" else params.target_per_class
        for label, of_class in rest.groupby("label"):
            place = f"{PLACE}.target_per_class, class {label!r}"
            counts[of_class.index] = _fill_class(
                of_class, target, params.at_least, params.max_per_image, place
            )
    elif params.total is not None:
        spent = int(own.sum() + counts.sum())
        counts[rest.index] = _fill(
            rest, params.total - spent, params.max_per_image, f"{PLACE}.total", spent
        )
    _require_steps(sources["label"], counts, params)
    return counts


def _require_steps(labels: pd.Series, counts: pd.Series, params: AugmentParams) -> None:
    """Raises UserError for variants of classes to which label rules leave no step."""
    for policy, its in rows_of_policies(labels, params) if params.labels else ():
        of_policy = labels[its & (counts.to_numpy() > 0)]
        if policy.base is not None and not policy.steps and len(of_policy):
            classes = sorted(of_policy.unique())
            raise UserError(
                f"{PLACE}.labels: leaves no step of {policy.base.removeprefix(f'{PLACE}.')} for "
                f"{names_in_words(classes)}, of which {counts[its].sum():,} variants are planned; "
                f"allow a step, or plan none, {PLACE.removeprefix('params.yaml ')}.per_class: "
                f"{{{quoted(classes[0])}: {{variants_per_image: 0}}}}"
            )


def _fill_class(
    sources: pd.DataFrame, target: int, at_least: bool, max_per_image: int | None, place: str
) -> np.ndarray:
    """Variants that raise a class of these sources to `target` images, int64.

    `at_least`: none where there are more already.
    """
    target = max(target, len(sources)) if at_least else target
    way_out = "; `at_least: true` beside it leaves larger classes as they are"
    return _fill(sources, target, max_per_image, place, way_out=way_out)


def _fill(
    sources: pd.DataFrame,
    target: int,
    max_per_image: int | None,
    place: str,
    spent: int = 0,
    way_out: str = "",
) -> np.ndarray:
    """Variants that raise `sources` to `target` images, int64.

    `spent`: images of other sources, which are part of the numbers that people see. `way_out`: what
    helps where there are more sources than that.
    """
    missing = target - len(sources)
    if missing < 0:
        those = "images that originals and per_class make" if spent else "originals there are"
        raise UserError(
            f"{place}: needs at least the {len(sources) + spent:,} {those} "
            f"(nothing is undersampled), found {target + spent:,}{way_out}"
        )
    if max_per_image is not None and missing > len(sources) * max_per_image:
        largest = len(sources) * (1 + max_per_image) + spent
        raise UserError(
            f"{place}: {target + spent:,} is out of reach; "
            f"max_per_image {max_per_image} allows {largest:,}"
        )
    if missing and sources.empty:
        raise UserError(
            f"{place}: {target + spent:,} is out of reach; per_class leaves no source to vary"
        )
    return spread_evenly(missing, sources["source_id"])


def spread_evenly(number: int, source_ids: pd.Series) -> np.ndarray:
    """Shares of `number` as even as can be, the remainder to the first by source_id.

    int64, in the order of `source_ids`.
    """
    if source_ids.empty:
        return np.zeros(0, dtype="int64")
    each, remainder = divmod(number, len(source_ids))
    shares = np.full(len(source_ids), each, dtype="int64")
    shares[np.argsort(source_ids.to_numpy(), kind="stable")[:remainder]] += 1
    return shares


def plan_by_class(sources: pd.DataFrame, counts: pd.Series) -> pd.DataFrame:
    """For each class: sources, variants, training images, multiplier."""
    table = pd.DataFrame({"sources": sources.groupby("label").size()})
    table["variants"] = counts.groupby(sources["label"]).sum()
    table["training_images"] = table["sources"] + table["variants"]
    table["multiplier"] = table["training_images"] / table["sources"]
    return table
