"""Finding: what a rule found in params.yaml, why it matters, and what to write instead."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.variants.params import LintRule, Strictness
from tasks.variants.recipe import ClassPolicy

# Numbers, lists, and what stands in brackets, as examples of classes do.
SPECIAL = re.compile(r"\([^)]*\)|\[.*\]|[\d.,]+")


class Finding(NamedTuple):
    """What a rule found.

    `place`: in params.yaml. `why`: what it does to the images. `instead`: what to write there.
    """

    rule: LintRule
    place: str
    why: str
    instead: str

    @property
    def text(self) -> str:
        """One line, which names the rule, so that one can turn it off."""
        return f"{self.place}: {self.why}; {self.instead} (lint: {self.rule})"


def said_once(found: Iterable[tuple[ClassPolicy, list[Finding]]]) -> list[Finding]:
    """The findings of each policy, without what label rules left as it is.

    The policies of params.yaml come first. Of one that rules made, what says the same of the same
    step, but for numbers and names of classes, is left out.
    """
    said: set[tuple[str, ...]] = set()
    kept: list[Finding] = []
    for policy, findings in sorted(found, key=lambda each: each[0].base is not None):
        told = {each: _gist(each, policy) for each in findings}
        kept += [each for each in findings if policy.base is None or told[each] not in said]
        said.update(told.values())
    return kept


def _gist(finding: Finding, policy: ClassPolicy) -> tuple[str, ...]:
    """What a finding says of which step, without numbers and names of classes."""
    step = finding.place.removeprefix(policy.location).rpartition(" ")[2]
    words = (SPECIAL.sub("", text) for text in (finding.why, finding.instead))
    return policy.base or policy.location, finding.rule, step, *words


def settle(findings: list[Finding], lint: dict[LintRule, Strictness]) -> list[Finding]:
    """The findings without those of rules that are off, each once.

    Args:
        findings: in order.
        lint: of the augment block; a rule that it does not name warns.

    Raises:
        UserError: with the findings of the rules that are to fail.
    """
    failing = [finding.text for finding in findings if lint.get(finding.rule) == "fail"]
    if failing:
        raise UserError("; ".join(dict.fromkeys(failing)))
    return list(dict.fromkeys(each for each in findings if lint.get(each.rule) != "off"))
