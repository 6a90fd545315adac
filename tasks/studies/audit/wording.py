"""What an audit found, in words: a summary, magnitudes and shares. For terminal and page."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tasks.dataset.captions import number
from tasks.studies.audit.audit import Audit
from tasks.studies.audit.settings import WHOLE_POLICY, Setting
from tasks.studies.audit.verdicts import Finding

MOST_NAMED = 4  # of a kind, in a sentence
MOST_STEPS = 4


def breaks_labels(finding: Finding) -> bool:
    """Whether variants of the class no longer show it."""
    return finding.verdict in ("moves", "unlike anything")


def step_name(step: str) -> str:
    """A step's name; of the whole policy what it is called among them."""
    return "whole policy" if step == WHOLE_POLICY else step


def magnitude(tried: Finding | Setting) -> str:
    """What of a step was tried, as `limit 108 to 180` or `r180`; empty where that is all of it."""
    if tried.argument is None or tried.low is None or tried.high is None:
        return tried.argument or ""
    return f"{tried.argument} {ends(tried.low, tried.high)}"


def ends(low: float, high: float) -> str:
    """The ends of a range, as `108 to 180`."""
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def interval(finding: Finding) -> str:
    """The 95% interval of the share, as `28% to 37%`."""
    return f"{finding.share_low:.0%} to {finding.share_high:.0%}"


def in_full(finding: Finding) -> str:
    """As `6: moves to 9, 32% of 300 variants (28% to 37%), untouched 0%`."""
    to = f" to {finding.to}" if finding.to is not None else ""
    share = f"{finding.share:.0%} of {finding.variants:,} variants ({interval(finding)})"
    return f"{finding.label}: {finding.verdict}{to}, {share}, untouched {finding.untouched:.0%}"


def becomes(finding: Finding) -> str:
    """What the class became: another one, or the verdict in words."""
    return finding.to if finding.to is not None else finding.verdict


def summary(found: Audit) -> str:
    """What was found, as `1 of 5 steps breaks labels: VerticalFlip turns 2 into 5 and 5 into 2.`

    A second sentence names the classes of which nothing can be said.
    """
    if not found.findings:
        return "There was nothing to try: the policy has no step."
    steps = {finding.step for finding in found.findings} - {WHOLE_POLICY}
    if all(finding.verdict == "cannot tell" for finding in found.findings):
        which = "the only step" if len(steps) == 1 else f"any of {len(steps)} steps"
        why = "the features tell no class from the others well enough"
        return f"Whether {which} breaks labels cannot be told: {why}."
    return " ".join(filter(None, [_what_breaks(found.findings, len(steps)), _untold(found)]))


def _what_breaks(findings: Sequence[Finding], steps: int) -> str:
    broken: dict[str, list[Finding]] = {}
    for finding in filter(breaks_labels, findings):
        broken.setdefault(finding.step, []).append(finding)
    policy = broken.pop(WHOLE_POLICY, [])
    if broken:
        verb = "breaks" if len(broken) == 1 else "break"
        which = "The only step" if steps == 1 else f"{len(broken)} of {steps} steps"
        worst = sorted(broken.items(), key=lambda item: -max(each.share for each in item[1]))
        deeds = [f"{step} {_deeds(its)}" for step, its in worst[:MOST_STEPS]]
        more = len(worst) - MOST_STEPS
        deeds += [f"and {more} more"] if more > 0 else []
        whole = f" The whole policy {_deeds(policy)}." if policy else ""
        return f"{which} {verb} labels: {'; '.join(deeds)}.{whole}"
    none = "The only step breaks no label" if steps == 1 else f"None of {steps} steps breaks labels"
    if not policy:
        return f"{none}."
    advice = "Weaken or leave out one of its steps for these classes, and audit again."
    return f"{none} alone, but the whole policy {_deeds(policy)}. {advice}"


def _deeds(findings: Sequence[Finding]) -> str:
    """As `turns 6 into 9 and 9 into 6 (r180), and makes 4 unlike anything`.

    The largest shares come first; a class that moves somewhere is named there alone.
    """
    largest = sorted(findings, key=lambda finding: -finding.share)  # equal ones stay in order
    moves = [finding for finding in largest if finding.to is not None]
    moved = {finding.label for finding in moves}
    lost = [finding for finding in largest if finding.label not in moved]
    turns = listed(dict.fromkeys(f"{finding.label} into {finding.to}" for finding in moves))
    makes = listed(dict.fromkeys(finding.label for finding in lost))
    deeds = [
        f"turns {turns}{_where(moves)}" if moves else "",
        f"makes {makes} unlike anything{_where(lost)}" if lost else "",
    ]
    return ", and ".join(filter(None, deeds))


def _where(findings: Iterable[Finding]) -> str:
    """All magnitudes of some findings, as ` (limit 108 to 180)`; empty without any."""
    places: dict[str | None, Finding] = {}
    for finding in findings:
        places[finding.argument] = _hull(places.get(finding.argument, finding), finding)
    texts = list(filter(None, map(magnitude, places.values())))
    return f" ({listed(texts)})" if texts else ""


def _hull(one: Finding, other: Finding) -> Finding:
    """The first finding, with the magnitudes of both."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return one
    return one._replace(low=min(one.low, other.low), high=max(one.high, other.high))


def _untold(found: Audit) -> str:
    """Of which classes nothing can be said."""
    told = {finding.label for finding in found.findings if finding.verdict != "cannot tell"}
    labels = dict.fromkeys(finding.label for finding in found.findings)
    untold = [label for label in labels if label not in told]
    if not untold:
        return ""
    return f"Nothing can be said of {len(untold):,} of {len(labels):,} classes: {listed(untold)}."


def counts(findings: Iterable[Finding]) -> str:
    """How many findings there are of each verdict, as `83 keep, 4 move, 2 cannot be told`."""
    words = {
        "keeps": ("keeps", "keep"),
        "moves": ("moves", "move"),
        "unlike anything": ("is unlike anything", "are unlike anything"),
        "cannot tell": ("cannot be told", "cannot be told"),
    }
    found = Counter[str](finding.verdict for finding in findings)
    shown = [(found[verdict], its) for verdict, its in words.items() if found[verdict]]
    return ", ".join(f"{count:,} {one if count == 1 else more}" for count, (one, more) in shown)


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them; of many the first, and how many more."""
    names = list(names)
    shown, more = names[:MOST_NAMED], len(names) - MOST_NAMED
    if more > 1:  # for one, its name takes no more room than a count
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
