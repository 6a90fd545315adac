"""Audit a policy: make variants of training images at each setting, judge them, suggest rules."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import pandas as pd

from tasks.common import events
from tasks.common.errors import UserError
from tasks.dataset.paths import VALIDATED_MANIFEST
from tasks.studies.audit.evidence import Reference
from tasks.studies.audit.features import Projection
from tasks.studies.audit.making import policy_of, seed_of
from tasks.studies.audit.rules import Tried, rules_from
from tasks.studies.audit.sample import Sample, classes_with_enough, make_sample
from tasks.studies.audit.settings import WHOLE_POLICY, Setting, settings_of
from tasks.studies.audit.verdicts import Finding, Judged, judge
from tasks.variants.params import AugmentParams, LabelRule
from tasks.variants.policy import LOCATION, canonical_json
from tasks.variants.recipe import Recipes, policies
from tasks.variants.sources import Source, training_sources

DECIMALS = 4  # of shares
MOST_ROUNDS = 3  # in which bounds are tried


class Example(NamedTuple):
    """A variant that went furthest wrong, for people to look at; `seed` makes it again."""

    setting: Setting
    policy: int  # of the setting's policies
    source: Source
    seed: int
    finding: Finding


class Audit(NamedTuple):
    """What an audit found.

    `findings`: of each setting and class, in the order of the policy. `labels`: the rules that
    follow, as augment.labels has them. `examples`: the worst variants of findings that are no
    `keeps`, a few of each. `images`: how many originals were looked at; `classes`: their names,
    with how well the features tell each, 0 to 1.
    """

    findings: list[Finding]
    labels: list[dict[str, Any]]
    examples: list[Example]
    images: int
    classes: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The findings, of which `class` is that of the sources, and the rules."""
        findings = []
        for finding in self.findings:
            facts = finding._asdict()
            findings.append({"class": facts.pop("label"), **facts})
        return {"findings": findings, "labels": self.labels}


def audit(validated: pd.DataFrame, params: AugmentParams, recipes: Recipes) -> Audit:
    """Find which steps of the policy break labels, by the training images alone.

    Raises:
        UserError: without any training image, or any step.
    """
    rows = training_sources(validated)
    if rows.empty:
        raise UserError(f"{VALIDATED_MANIFEST}: needs training images to audit, found none")
    counts = rows["label"].value_counts().sort_index()
    settings = settings_of(policies(params, counts.index), counts.index)
    if not settings:
        raise UserError(f"{LOCATION}: needs a step to audit, found none")
    classes = classes_with_enough(counts)
    if len(classes) < 2:
        untold = list(chain.from_iterable(map(_cannot_tell, settings)))
        return Audit(untold, [], [], 0, dict.fromkeys(classes, 0.0))
    sample = make_sample(rows, classes, settings, recipes)
    comparison = Comparison.with_originals(sample)
    outcomes = list(comparison.outcomes(sample, settings))
    examples = (_examples(outcome, sample) for outcome in outcomes)
    return Audit(
        findings=[outcome.finding for outcome in outcomes],
        labels=_rules_that_hold(outcomes, settings, comparison, sample, params),
        examples=list(chain.from_iterable(examples)),
        images=len(sample.sources),
        classes=comparison.known(sample),
    )


class Outcome(NamedTuple):
    """What was found of a class by a setting, and the sources of its worst variants."""

    setting: Setting
    finding: Finding
    worst: list[Source]


class Comparison(NamedTuple):
    """What variants are compared by, and with."""

    projection: Projection
    reference: Reference

    @classmethod
    def with_originals(cls, sample: Sample) -> "Comparison":
        """With the images of a sample themselves."""
        projection = Projection.fit(sample.originals)
        return cls(projection, Reference(sample.as_images(projection)))

    def known(self, sample: Sample) -> dict[str, float]:
        """How well each class is told from the others, 0 to 1."""
        return {
            label: float(self.reference.known[number])
            for number, label in enumerate(sample.classes)
        }

    def outcomes(self, sample: Sample, settings: list[Setting]) -> Iterator[Outcome]:
        """What each setting does to each class; nothing of one that refuses all images."""
        for setting in events.track(settings, len(settings), "judging", "setting"):
            variants = sample.variants_of(setting, self.projection)
            if variants is None:
                continue
            judged = {sample.classes[one.label]: one for one in judge(self.reference, variants)}
            for untold in _cannot_tell(setting):
                one = judged.get(untold.label)
                if one is None:
                    yield Outcome(setting, untold, [])
                    continue
                worst = [sample.sources[variants.sources[at]] for at in one.worst]
                yield Outcome(setting, _finding(setting, one, sample.classes), worst)


def _rules_that_hold(
    outcomes: list[Outcome],
    settings: list[Setting],
    comparison: Comparison,
    sample: Sample,
    params: AugmentParams,
) -> list[dict[str, Any]]:
    """The rules that follow, tried: what a bound leaves is tried in finer bins in its turn.

    `settings`: what was tried, of which there are `outcomes`.
    """
    tried = [Tried(outcome.setting, outcome.finding) for outcome in outcomes]
    rules = rules_from(tried)
    for _ in range(MOST_ROUNDS):
        labels = [*params.labels, *map(LabelRule.model_validate, rules)]
        left = policies(params.model_copy(update={"labels": labels}), sample.classes)
        new = _untried(settings_of(left, sample.classes), settings)
        found = list(comparison.outcomes(sample.with_variants(new), new)) if new else []
        if not any(outcome.finding.verdict == "moves" for outcome in found):
            break
        settings = [*settings, *new]
        tried += [Tried(outcome.setting, outcome.finding) for outcome in found]
        rules = rules_from(tried)
    return rules


def _untried(settings: list[Setting], tried: list[Setting]) -> list[Setting]:
    """Of settings of single steps those that are new, for the classes for which they are."""
    known: dict[str, set[str]] = defaultdict(set)
    for setting in tried:
        known[canonical_json(setting.policies)] |= set(setting.classes)
    left: list[Setting] = []
    for setting in settings:
        old = known[canonical_json(setting.policies)]
        new = tuple(label for label in setting.classes if label not in old)
        if new and setting.step != WHOLE_POLICY:
            left.append(setting._replace(classes=new))
    return left


def _cannot_tell(setting: Setting) -> Iterator[Finding]:
    """That nothing is known of any class."""
    for label in setting.classes:
        yield Finding(*setting[:4], label, "cannot tell", None, 0.0, 0.0, 1.0, 0.0, 0)


def _finding(setting: Setting, judged: Judged, classes: list[str]) -> Finding:
    """What a setting does to a class, in names; `classes`: by their numbers."""
    share = judged.share
    return Finding(
        *setting[:4],
        label=classes[judged.label],
        verdict=judged.verdict,
        to=None if judged.to is None else classes[judged.to],
        share=round(share.value, DECIMALS),
        share_low=round(share.low, DECIMALS),
        share_high=round(share.high, DECIMALS),
        untouched=round(judged.untouched, DECIMALS),
        variants=share.of,
    )


def _examples(outcome: Outcome, sample: Sample) -> Iterator[Example]:
    """The worst variants of a class that did not keep its label, to be made again."""
    setting = outcome.setting
    if outcome.finding.verdict in ("moves", "unlike anything"):
        for source in outcome.worst:
            policy = policy_of(setting, source)
            seed = seed_of(sample.maker.recipes, source, canonical_json(setting.policies[policy]))
            yield Example(setting, policy, source, seed, outcome.finding)
