"""Rules that look at a few variants: what is clipped, blurred, unlike its source, or compressed.

They read images, so `variegate plan` asks them always, and a stage only where they are to fail.
"""

from collections.abc import Callable
from itertools import chain

import numpy as np
import pandas as pd

from tasks.lint.area_rules import evenly_spaced
from tasks.lint.findings import Finding, said_once
from tasks.lint.order import placed_leaves
from tasks.lint.samples import Sampled, sample
from tasks.lint.storage_rules import LEAST_QUALITY, PLACE
from tasks.variants.params import AugmentParams, Encoding, LintRule
from tasks.variants.policy import build_transforms
from tasks.variants.published_policies import PUBLISHED
from tasks.variants.recipe import ClassPolicy, Recipes, rows_of_policies
from tasks.variants.sources import to_sources

RULES: tuple[LintRule, ...] = ("blurred", "clipped", "jpeg_over_jpeg", "low_similarity")
SAMPLED = 16  # sources of a policy
MOST_SAMPLED = 48  # of all policies together, but for one of each
LEAST_SIMILARITY = 0.5  # on average; 1 is the source's own look
LEAST_PSNR = 35.0  # dB, on average; noise alone brings quality 95 down to 36
CLIPPED = 0.3  # of the samples of a variant
MOST_CLIPPED = 0.1  # of variants, and more than one of them
LEAST_SHARPNESS = 0.1  # of a variant; 1 is the source's own
MOST_BLURRED = 1 / 3  # of variants
# What to write in a step that did it, where that can be said.
MILDER = {
    "ColorJitter": "set brightness: [0.8, 1.2] and contrast: [0.8, 1.2]",
    "GaussNoise": "set std_range: [0.02, 0.1]",
    "GaussianBlur": "set sigma_limit: [0.5, 1.0]",
    "RandomBrightnessContrast": "set brightness_limit: 0.2 and contrast_limit: 0.2",
}


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
    by_policy: list[tuple[ClassPolicy, list[Finding]]] = []
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
        finders = [find for rule, find in OF_A_POLICY.items() if rule in wanted]
        by_policy.append((policy, list(chain.from_iterable(f(policy, found) for f in finders))))
    findings = said_once(by_policy)
    if "jpeg_over_jpeg" in wanted:
        findings += jpeg_over_jpeg(samples, params.encoding)
    return findings


def clipped(policy: ClassPolicy, samples: list[Sampled]) -> list[Finding]:
    """Brightness, contrast or noise that leave black and white of many images."""
    judged = [sampled for sampled in samples if sampled.clipped is not None]
    lost = [sampled for sampled in judged if _is_clipped(sampled)]
    if len(lost) < max(2, MOST_CLIPPED * len(judged)):
        return []
    why = (
        f"of {len(judged)} variants made as a sample, {len(lost)} have become black or white in "
        f"more than {CLIPPED:.0%} of what they show, and its detail is lost"
    )
    gates = f"clipped_low: {{max: {CLIPPED}}}, clipped_high: {{max: {CLIPPED}}}"
    return _blamed("clipped", policy, lost, why, gates)


def _is_clipped(sampled: Sampled) -> bool:
    return (sampled.clipped or 0) > CLIPPED


def blurred(policy: ClassPolicy, samples: list[Sampled]) -> list[Finding]:
    """Blur that leaves little of many images' detail; clipped() tells of what clipping takes."""
    judged = [sampled for sampled in samples if sampled.sharpness is not None]
    smooth = [sampled for sampled in judged if (sampled.sharpness or 0) < LEAST_SHARPNESS]
    lost = [sampled for sampled in smooth if not _is_clipped(sampled)]
    if len(lost) < max(2, MOST_BLURRED * len(judged)):
        return []
    why = (
        f"of {len(judged)} variants made as a sample, {len(lost)} have less than "
        f"{LEAST_SHARPNESS:.0%} of the sharpness of their sources"
    )
    return _blamed("blurred", policy, lost, why, f"sharpness: {{min: {LEAST_SHARPNESS}}}")


def _blamed(
    rule: LintRule, policy: ClassPolicy, lost: list[Sampled], why: str, gates: str
) -> list[Finding]:
    """The finding, with the steps that all lost variants have; where they have none, any of theirs.

    Empty where a published policy did it, which is strong on purpose, and known to help.
    """
    of_any = list(dict.fromkeys(chain.from_iterable(each.steps for each in lost)))
    of_all = set(of_any).intersection(*(each.steps for each in lost))
    names = [name for name in of_any if name in (of_all or of_any) and name not in PUBLISHED]
    if of_any and not names:
        return []
    milder = [MILDER[name] for name in names if name in MILDER]
    instead = milder[0] if len(names) == len(milder) == 1 else "weaken the strongest of them"
    mend = f"{instead}, or draw such variants again, augment.gates: {{{gates}}}"
    head = f"{', '.join(names)}: " if names else ""
    return [Finding(rule, policy.location, f"{head}{why}", mend)]


def low_similarity(policy: ClassPolicy, samples: list[Sampled]) -> list[Finding]:
    """Strong steps that stack up, until variants look like other images.

    An inverted image, which has -1, has lost nothing.
    """
    found = [abs(sampled.similarity) for sampled in samples if sampled.similarity is not None]
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


OF_A_POLICY: dict[LintRule, Callable[[ClassPolicy, list[Sampled]], list[Finding]]] = {
    "blurred": blurred,
    "clipped": clipped,
    "low_similarity": low_similarity,
}
