"""Finding: what a rule found in params.yaml, why it matters, and what to write instead."""

from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.variants.params import LintRule, Strictness


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
