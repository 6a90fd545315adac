"""Audit a policy: make variants of training images at each setting, judge them, suggest rules."""

from typing import Any, NamedTuple

from tasks.studies.audit.settings import Setting
from tasks.studies.audit.verdicts import Finding
from tasks.variants.sources import Source


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
