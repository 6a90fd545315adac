"""Lint a plan: what its owner may not want, such as flipped digits, and what to write instead."""

from tasks.lint import area_rules, policy_rules, sample_rules, storage_rules
from tasks.lint.backgrounds import have_background
from tasks.lint.count_rules import Planned, mostly_untouched, too_many
from tasks.lint.findings import Finding, said_once, settle
from tasks.lint.relabelling_rules import partly_relabelled, relabelled_targets
from tasks.lint.step_rules import step_rules
from tasks.variants.params import AugmentParams
from tasks.variants.policy import build_transforms
from tasks.variants.recipe import ClassPolicy, Recipes, rows_of_policies


def lint(
    params: AugmentParams,
    recipes: Recipes,
    planned: Planned,
    sampled: bool = False,
) -> list[Finding]:
    """What the rules find in a plan, before a variant is made.

    Args:
        params: the augment block.
        recipes: of these parameters.
        planned: all training sources.
        sampled: whether a few images are read for rules that look at variants; without it only
            where such a rule is to fail.

    Raises:
        UserError: for findings of rules that are to fail.
    """
    given = planned.given()
    strictness = {rule: params.lint.get(rule, "warn") for rule in sample_rules.RULES}
    looking = ("warn", "fail") if sampled else ("fail",)
    wanted = {rule for rule, strict in strictness.items() if strict in looking}
    findings = storage_rules.lossy_encoding(given, params.encoding)
    if "jpeg_over_jpeg" not in wanted:
        findings += storage_rules.low_quality(given, params.encoding)
    findings += partly_relabelled(params, recipes, planned)
    findings += relabelled_targets(params, recipes, planned)
    findings += said_once(
        (policy, lint_policy(policy, planned.where(its), params, recipes))
        for policy, its in rows_of_policies(planned.rows["label"], params)
    )
    settled = settle(findings, params.lint)  # before any variant is made
    found = sample_rules.sample_rules(params, recipes, given, wanted)
    return [*settled, *settle(found, params.lint)]


def lint_policy(
    policy: ClassPolicy, planned: Planned, params: AugmentParams, recipes: Recipes
) -> list[Finding]:
    """What the rules find in one policy and the sources that it is for."""
    transforms = build_transforms(policy.steps, policy.location)
    place, encoding = policy.location, params.encoding
    given = planned.given()
    lossy = storage_rules.lossy_format(given["format"], encoding)
    steps = step_rules(transforms, *planned, place)
    emptied = {found.place for found in steps if found.rule == "nothing_left"}
    holes = area_rules.large_holes(transforms, given, place)
    classes = sorted(planned.rows["label"].unique())
    return [
        *policy_rules.flipped_symbols(transforms, classes, place),
        *policy_rules.repeated_resampling(transforms, params.fuse, place),
        *policy_rules.nearest_interpolation(transforms, place),
        *policy_rules.far_rotations(transforms, place),
        *policy_rules.meant_for_all(transforms, place),
        *policy_rules.tone_before_border(transforms, place),
        *policy_rules.compressed_twice(transforms, lossy, place),
        *area_rules.constant_borders(
            transforms,
            given,
            place,
            lambda step: have_background(step, given, recipes.general.preprocessing),
        ),
        *area_rules.small_crops(transforms, given, place),
        *(found for found in holes if found.place not in emptied),
        *storage_rules.depth_lost(given, transforms, encoding, place),
        *(
            storage_rules.constants_on_16_bits(given, transforms, encoding, place)
            if recipes.general.preprocessing.range == "depth"
            else []
        ),
        *steps,
        *too_many(policy, planned, params.distinct),
        *mostly_untouched(policy, planned, params.distinct),
    ]
