"""Text and tables for a terminal: what `variegate audit` prints."""

import textwrap
from collections.abc import Iterable

from rich.table import Table

from flows.console.tables import COLUMNS_OF_TEXT, Part, table
from tasks.studies.audit import wording
from tasks.studies.audit.audit import Audit
from tasks.studies.audit.rules import as_yaml, where_to_paste
from tasks.studies.audit.verdicts import Finding

MOST_FINDINGS = 40


def audit_tables(found: Audit, rules_before: int) -> list[Part]:
    """What an audit found: a sentence, what does not keep its label, and the rules to paste.

    `rules_before`: how many augment.labels has.
    """
    parts: list[Part] = [*textwrap.wrap(wording.summary(found), COLUMNS_OF_TEXT), ""]
    broken = list(filter(wording.breaks_labels, found.findings))
    if broken:
        parts.append(_broken_table(broken[:MOST_FINDINGS]))
        more = len(broken) - MOST_FINDINGS
        parts += [f"{more:,} more: --json lists all", ""] if more > 0 else [""]
    parts.append(f"looked at  {found.images:,} images of {len(found.classes):,} classes")
    if found.findings:
        parts.append(f"verdicts   {wording.counts(found.findings)}")
    if found.labels:
        parts += ["", f"the rules that follow; {where_to_paste(rules_before)}:", ""]
        parts += [*as_yaml(found.labels, rules_before).rstrip("\n").split("\n"), ""]
    return parts


def _broken_table(findings: Iterable[Finding]) -> Table:
    """A row for each finding: where, what became of the class, and of how many of its variants."""
    heads = ["step", "magnitude", "class", "becomes", "share", "95% interval", "untouched"]
    rows = [
        [
            wording.step_name(finding.step),
            wording.magnitude(finding),
            finding.label,
            wording.becomes(finding),
            f"{finding.share:.0%}",
            wording.interval(finding),
            f"{finding.untouched:.0%}",
        ]
        for finding in findings
    ]
    return table(heads, rows, names=4)
