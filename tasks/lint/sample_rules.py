"""Rules that look at a few variants: how alike they are to their sources, and what encoding takes.

They read images, so `variegate plan` asks them always, and a stage only where they are to fail.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.lint.area_rules import evenly_spaced
from tasks.lint.findings import Finding
from tasks.lint.order import placed_leaves
from tasks.lint.storage_rules import JPEGS, LEAST_QUALITY, PLACE
from tasks.pixels.encode import encode
from tasks.variants.make import variant_seed
from tasks.variants.measures import Baseline, Measures, encoding_psnr
from tasks.variants.params import AugmentParams, Encoding, LintRule
from tasks.variants.policy import build_transforms
from tasks.variants.published_policies import PUBLISHED
from tasks.variants.recipe import ClassPolicy, Recipe, Recipes, rows_of_policies
from tasks.variants.sources import Source, read_policy_input, to_sources

RULES: tuple[LintRule, ...] = ("jpeg_over_jpeg", "low_similarity")
SAMPLED = 8  # sources of a policy
MOST_SAMPLED = 24  # of all policies together, but for one of each
LEAST_SIMILARITY = 0.5  # on average; 1 is the source's own look
LEAST_PSNR = 35.0  # dB, on average; noise alone brings quality 95 down to 36


class Sampled(NamedTuple):
    """A variant made as a sample.

    `similarity`: with its source, None where there is nothing to compare. `psnr`: in dB, of what
    is stored; None where that loses nothing, or where the source is no JPEG file.
    """

    similarity: float | None
    psnr: float | None


def sample_rules(
    params: AugmentParams, recipes: Recipes, rows: pd.DataFrame, wanted: set[LintRule]
) -> list[Finding]:
    """What the rules find in a few variants of each policy.

    Args:
        params: the augment block.
        recipes: of these parameters.
        rows: of the sources that get variants, as policy_inputs() gives them.
        wanted: the rules, of RULES.
    """
    if not wanted:
        return []
    findings = []
    samples: list[Sampled] = []
    policies = list(rows_of_policies(rows["label"], params))
    each = min(SAMPLED, max(1, MOST_SAMPLED // max(1, len(policies))))
    for policy, its in policies:
        of_policy = rows[its]
        chosen = of_policy.iloc[evenly_spaced(len(of_policy), each)]
        sources = to_sources(chosen, pd.Series(1, chosen.index))
        made = [sample(source, recipes.of(source.label)) for source in sources]
        found = [sampled for sampled in made if sampled is not None]
        samples += found
        if "low_similarity" in wanted:
            findings += low_similarity(policy, found)
    if "jpeg_over_jpeg" in wanted:
        findings += jpeg_over_jpeg(samples, params.encoding)
    return findings


def sample(source: Source, recipe: Recipe) -> Sampled | None:
    """The first variant of a source, as it is drawn first; None where a step fails on it."""
    pixels = read_policy_input(source, recipe)
    try:
        applied = recipe.build_policy().apply(
            pixels, variant_seed(recipe.seed, source.sha256, 1, 0)
        )
    except MemoryError:
        raise
    except Exception:  # step_rules() tell of steps that fail, and the plan's own sample does
        return None
    measures = Measures(applied.pixels, applied.geometry, Baseline(pixels))
    format = recipe.encoding.format_for(source.format)
    psnr = None
    if format == "jpeg" and source.format in JPEGS:
        psnr = encoding_psnr(
            applied.pixels, encode(applied.pixels, format, recipe.encoding.quality)
        )
    return Sampled(measures.similarity, psnr)


def low_similarity(policy: ClassPolicy, samples: list[Sampled]) -> list[Finding]:
    """Strong steps that stack up, until variants look like other images."""
    found = [sampled.similarity for sampled in samples if sampled.similarity is not None]
    if not found or np.mean(found) >= LEAST_SIMILARITY:
        return []
    leaves = placed_leaves(build_transforms(policy.steps, policy.location), policy.location)
    names = list(dict.fromkeys(placed.name for placed in leaves))
    if all(name in PUBLISHED for name in names):  # strong on purpose, and known to help
        return []
    why = (
        f"{', '.join(names)}: of {len(found)} variants made as a sample, the mean similarity to "
        f"their sources is {np.mean(found):.2f}, where 1 is equal and 0 another image"
    )
    instead = "weaken the strongest of them, or put them into one OneOf: {transforms: [...]}"
    return [Finding("low_similarity", policy.location, why, instead)]


def jpeg_over_jpeg(samples: list[Sampled], encoding: Encoding) -> list[Finding]:
    """JPEG of JPEG files that takes away what can be seen."""
    found = [sampled.psnr for sampled in samples if sampled.psnr is not None]
    if not found or (np.mean(found) >= LEAST_PSNR and encoding.quality >= LEAST_QUALITY):
        return []
    why = (
        f"variants of JPEG files are compressed again at quality {encoding.quality}, which leaves "
        f"{np.mean(found):.1f} dB (mean PSNR of {len(found)} made as a sample)"
    )
    better = "quality: 95" if encoding.quality < 95 else "format: png"
    return [Finding("jpeg_over_jpeg", PLACE, why, f"set {better}")]
