"""Page of an audit: reports/audit.html, self-contained, with plots over magnitude and pictures."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tasks.common import tables
from tasks.dataset.captions import operations_in_words
from tasks.dataset.paths import AUDIT_FINDINGS, AUDIT_REPORT, REPORT
from tasks.pixels.thumbnails import picture_of
from tasks.studies import pages
from tasks.studies.audit import wording
from tasks.studies.audit.audit import Audit, Example
from tasks.studies.audit.plots import HEIGHT, WIDTH, Plot, plots_of
from tasks.studies.audit.rules import as_yaml, where_to_paste
from tasks.studies.audit.verdicts import KNOWN, MORE_INSIDE, MORE_OUTSIDE, Finding
from tasks.variants.params import AugmentParams
from tasks.variants.policy import canonical_json
from tasks.variants.recipe import Recipes
from tasks.variants.sources import read_policy_input

MOST_ROWS = 200  # of a table of findings: a policy of ten steps and 1,000 classes have 50,000
MOST_PICTURES = 12  # of a step
THUMBNAIL = 112  # pixels a side


class Figure(NamedTuple):
    """A variant beside its source, data: URIs; in words what became of it, and what was done."""

    source: str
    variant: str
    label: str
    becomes: str
    tried: str
    operations: list[str]


class Section(NamedTuple):
    """What the page shows of a step, at all its magnitudes.

    `broken`: the findings that break labels. `others`: all others. `pictures`: how many examples
    there are, of which `figures` shows some.
    """

    name: str
    plots: list[Plot]
    broken: list[Finding]
    others: list[Finding]
    figures: list[Figure]
    pictures: int


def write_page(audit: Audit, recipes: Recipes, params: AugmentParams) -> None:
    """Write the page, and beside it the findings for programs.

    Pictures are made again of the sources, which have to be where they were.
    """
    pages.write(AUDIT_REPORT, render(audit, recipes, params))
    tables.write_json(AUDIT_FINDINGS, audit.to_json())


def render(audit: Audit, recipes: Recipes, params: AugmentParams) -> str:
    """The page, as HTML."""
    before = len(params.labels)
    known = sorted(audit.classes.items(), key=lambda item: item[1])
    return pages.render(
        Path(__file__).with_name("audit.html.j2"),
        magnitude=wording.magnitude,
        summary=wording.summary(audit),
        labels=as_yaml(audit.labels, before).rstrip("\n") if audit.labels else "",
        where_to_paste=where_to_paste(before),
        counts=wording.counts(audit.findings),
        cases=len(audit.findings),
        has_report=REPORT.is_file(),
        images=audit.images,
        seed=params.seed,
        recipes=sorted({recipes.of(label).hash for label in audit.classes}),
        sections=list(sections(audit, recipes)),
        known=known,
        known_from=KNOWN,
        more_inside=MORE_INSIDE,
        more_outside=MORE_OUTSIDE,
        too_few=sorted({each.label for each in audit.findings} - audit.classes.keys()),
        badly_known=[item for item in known if item[1] < KNOWN],
        most_rows=MOST_ROWS,
        width=WIDTH,
        height=HEIGHT,
    )


def sections(audit: Audit, recipes: Recipes) -> Iterator[Section]:
    """A section for each step, in the order of the policy, then one for all of it."""
    by_step: dict[str, list[Finding]] = {}
    for finding in audit.findings:
        by_step.setdefault(finding.step, []).append(finding)
    for step, findings in by_step.items():
        examples = [example for example in audit.examples if example.finding.step == step]
        yield Section(
            name=wording.step_name(step),
            plots=plots_of(findings),
            broken=list(filter(wording.breaks_labels, findings)),
            others=[each for each in findings if not wording.breaks_labels(each)],
            figures=[figure(example, recipes) for example in chosen(examples)],
            pictures=len(examples),
        )


def chosen(examples: list[Example]) -> list[Example]:
    """At most MOST_PICTURES of them: the worst of each finding, then the second worst of each.

    `examples`: of one step, of each finding the worst first. Findings of the largest shares come
    first.
    """
    ranks: Counter[Finding] = Counter()
    ranked = []
    for example in examples:
        ranked.append((ranks[example.finding], -example.finding.share))
        ranks[example.finding] += 1
    order = sorted(range(len(examples)), key=ranked.__getitem__)
    return [examples[i] for i in order[:MOST_PICTURES]]


def figure(example: Example, recipes: Recipes) -> Figure:
    """A variant, made again by its seed, beside its source."""
    recipe = recipes.of(example.source.label)
    pixels = read_policy_input(example.source, recipe)
    before = picture_of(pixels, THUMBNAIL)  # a step may write into its input
    steps = canonical_json(example.setting.policies[example.policy])
    applied = replace(recipe, policy=steps).build_policy().apply(pixels, example.seed)
    return Figure(
        source=before,
        variant=picture_of(applied.pixels, THUMBNAIL),
        label=example.finding.label,
        becomes=wording.becomes(example.finding),
        tried=wording.magnitude(example.setting),
        operations=operations_in_words(applied.operations),
    )
