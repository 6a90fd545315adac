"""A variant made as a sample, and what rules look at in it."""

from typing import Any, NamedTuple

import numpy as np

from tasks.lint.order import MAPS, MATRICES, WHOLE_PIXELS
from tasks.lint.storage_rules import JPEGS
from tasks.pixels.encode import encode
from tasks.variants.gates import first_excess
from tasks.variants.make import variant_seed
from tasks.variants.policy import Applied
from tasks.variants.quality.measures import (
    Baseline,
    Measures,
    encoding_psnr,
    share_of_black,
    share_of_white,
)
from tasks.variants.recipe import Recipe
from tasks.variants.sources import Source, read_policy_input


class Sampled(NamedTuple):
    """A variant made as a sample.

    `similarity`: with its source, None where there is nothing to compare. `psnr`: in dB, of what
    is stored; None where that loses nothing, or where the source is no JPEG file. `clipped`: see
    clipped_share(). `sharpness`: of MEASURES. `steps`: the names of those that change values.
    """

    similarity: float | None
    psnr: float | None
    clipped: float | None = None
    sharpness: float | None = None
    steps: tuple[str, ...] = ()


def sample(source: Source, recipe: Recipe) -> Sampled | None:
    """The first variant of a source, as it is drawn first.

    None where it would be drawn again: a step fails on it, nothing changes it or a gate refuses it.
    """
    pixels = read_policy_input(source, recipe)
    try:
        applied = recipe.build_policy().apply(
            pixels, variant_seed(recipe.seed, source.sha256, 1, 0)
        )
    except MemoryError:
        raise
    except Exception:  # step_rules() tell of steps that fail, and the plan's own sample does
        return None
    if recipe.distinct and np.array_equal(applied.pixels, pixels):
        return None
    baseline = Baseline(pixels)
    measures = Measures(applied.pixels, applied.geometry, baseline)
    if first_excess(recipe.gates, measures):
        return None
    format = recipe.encoding.format_for(source.format)
    psnr = None
    if format == "jpeg" and source.format in JPEGS:
        psnr = encoding_psnr(
            applied.pixels, encode(applied.pixels, format, recipe.encoding.quality)
        )
    names = (operation["name"] for operation in applied.operations)
    steps = tuple(name for name in names if name not in (*MATRICES, *MAPS, *WHOLE_PIXELS))
    clipped = clipped_share(applied, measures, baseline)
    return Sampled(measures.similarity, psnr, clipped, measures.sharpness, steps)


def clipped_share(applied: Applied, measures: Measures, source: Baseline) -> float | None:
    """The share of a variant's samples that were neither black nor white and are so now, at least.

    An inversion makes black of white and clips nothing, so both count together. What a crop shows
    may be all of the source's black and white. Borders and holes are filled, not clipped; None
    where nothing says how large the holes are.
    """
    border = measures.border or 0.0
    filled = border + sum(_share_of_holes(operation) for operation in applied.operations)
    kept = 1.0 if measures.kept is None else measures.kept
    before = source.black + source.white
    shown = (1 - border) * (min(before / kept, 1) if kept else 1)
    after = share_of_black(applied.pixels) + share_of_white(applied.pixels)
    return None if np.isnan(filled) else max(after - filled - shown, 0.0)


def _share_of_holes(operation: dict[str, Any]) -> float:
    """The share of an image that the holes of a step cover at most; NaN where there are many.

    A long list is recorded by its hash alone.
    """
    holes = operation.get("holes", [])
    if isinstance(holes, dict):
        return np.nan
    height, width = operation["shape"][:2] if holes else (1, 1)
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in holes)
    return covered / (height * width)
