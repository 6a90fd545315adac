"""Label rules that follow from an audit: `augment.labels` as YAML to paste.

Only what moves a class into another has a rule, and both classes get it: where a 6 becomes a 9, a 9
may become a 6 too.

A step that exchanges classes, or moves them in a circle, is kept, and its variants are relabelled.
Otherwise a range is bounded where its smaller magnitudes keep the label; what is left is forbidden.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from tasks.common.yaml_names import quoted
from tasks.studies.audit.settings import FLIPS, HALF_TURN, WHOLE_POLICY, Setting
from tasks.studies.audit.verdicts import Finding
from tasks.studies.identities import identity_of
from tasks.variants.policy import canonical_json
from tasks.variants.step_ranges import Span
from tasks.variants.transforms import ELEMENTS

ONE_TO_ONE = 0.8  # the share of variants from which a class counts as moved as a whole
DECIMALS = 9  # of a distance from the identity
TURN = "RandomRotate90"
Map: TypeAlias = dict[str, str]  # which class becomes which


@dataclass
class Restrictions:
    """What a class's policy may do: see LabelRule. `bound`: by step and argument."""

    forbid: set[str] = field(default_factory=set)
    bound: dict[str, dict[str, Span]] = field(default_factory=dict)
    relabel: dict[str, Map] = field(default_factory=dict)


class Tried(NamedTuple):
    """A setting, and what was found of a class by it."""

    setting: Setting
    finding: Finding

    @property
    def moved(self) -> bool:
        """Whether the class became another."""
        return self.finding.verdict == "moves"


def rules_from(tried: Iterable[Tried]) -> list[dict[str, Any]]:
    """The rules that follow, as augment.labels has them, in the order of their classes' names."""
    steps: dict[str, list[Tried]] = defaultdict(list)  # by the name that rules know
    half_turns: list[Tried] = []
    for one in tried:
        if one.setting.step == HALF_TURN:
            half_turns.append(one)
        elif one.setting.step != WHOLE_POLICY:
            steps[_step_in_rules(one.setting)].append(one)
    found: dict[str, Restrictions] = defaultdict(Restrictions)
    for step, its in steps.items():
        _restrict(step, its, found)
    _restrict_half_turns(half_turns, found)
    _share_among_relabelled(found)
    rules = {label: _as_rule(found[label], list(steps)) for label in sorted(found)}
    return _grouped(rules)


def _is_symmetry(setting: Setting) -> bool:
    return setting.argument is not None and setting.low is None


def _step_in_rules(setting: Setting) -> str:
    """The step that a rule names."""
    return ELEMENTS[str(setting.argument)] if _is_symmetry(setting) else setting.step


def _restrict(step: str, tried: list[Tried], found: dict[str, Restrictions]) -> None:
    """Add what follows for one step."""
    having = {one.finding.label for one in tried}
    ranged = [one for one in tried if one.setting.low is not None]
    plain = [one for one in tried if one.setting.low is None]
    # a map counts wherever the step is applied, by however little
    becomes = {} if ranged else _one_to_one(step, plain)
    for label in becomes:
        found[label].relabel[step] = becomes
    others = [one for one in plain if one.finding.label not in becomes]
    for label in (_broken(others) & having) - becomes.keys():
        found[label].forbid.add(step)
    for argument in dict.fromkeys(str(one.setting.argument) for one in ranged):
        its = [one for one in ranged if one.setting.argument == argument]
        settings = [its[0].setting for its in _by_policies(its)]
        for label, nearest in _nearest_moves(its).items():
            span = _kept(settings, nearest)
            if label in having and span is None:
                found[label].forbid.add(step)
            elif label in having and span is not None:
                found[label].bound.setdefault(step, {})[argument] = span


def _restrict_half_turns(tried: list[Tried], found: dict[str, Restrictions]) -> None:
    """Forbid one of two flips, unless a rule for one of them is there already.

    It is the flip from top to bottom: of most photographs the other one is harmless.
    """
    having = {one.finding.label for one in tried}
    for label in _broken(tried) & having:
        if not any(step in found[label].forbid | found[label].relabel.keys() for step in FLIPS):
            found[label].forbid.add(FLIPS[-1])


def _by_policies(tried: Iterable[Tried]) -> list[list[Tried]]:
    """What was found by each policy, or pair of them: of a step, or of several alike."""
    groups: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        groups[canonical_json(one.setting.policies)].append(one)
    return list(groups.values())


def _broken(tried: Iterable[Tried]) -> set[str]:
    """The classes that moved, and those that they moved to."""
    labels: set[str] = set()
    for one in tried:
        if one.moved:
            labels |= {one.finding.label, str(one.finding.to)}
    return labels


# --- ranges -----------------------------------------------------------------------------------


def _nearest_moves(tried: Iterable[Tried]) -> dict[str, float]:
    """How near to the identity each class moves, or another one to it. `tried`: one argument."""
    nearest: dict[str, float] = {}
    for one in tried:
        distance = _distances(one.setting)[0]
        for label in _broken([one]):
            nearest[label] = min(nearest.get(label, distance), distance)
    return nearest


def _kept(settings: Iterable[Setting], nearest: float) -> Span | None:
    """The values of an argument that are nearer to the identity; None where there are none."""
    sides: list[Span] = []
    for setting in settings:
        near, far = _distances(setting)
        # a bin of one whole number has no extent
        if far < nearest or near < far == nearest:
            sides += _sides(setting)
    return (min(low for low, _ in sides), max(high for _, high in sides)) if sides else None


def _distances(setting: Setting) -> tuple[float, float]:
    """How far from the identity the magnitude begins and ends."""
    identity = identity_of(setting.step, str(setting.argument))
    ends = [abs(end - identity) for end in chain.from_iterable(_sides(setting))]
    inside = any(low < identity < high for low, high in _sides(setting))
    return (0.0 if inside else round(min(ends), DECIMALS)), round(max(ends), DECIMALS)


def _sides(setting: Setting) -> list[Span]:
    """The values of the argument, as its policies have them."""
    argument, _, axis = str(setting.argument).partition(".")
    values = [policy[0][setting.step][argument] for policy in setting.policies]
    return [tuple(value[axis] if axis else value) for value in values]


# --- relabelling ------------------------------------------------------------------------------


def _one_to_one(step: str, tried: list[Tried]) -> Map:
    """Which class becomes which, of those that a step exchanges or moves in a circle.

    `tried`: all steps, and symmetries of the square, that a rule knows by this name.
    """
    groups = _by_policies(tried)
    moves = list(map(_moves, groups))
    if step == TURN:
        elements = (group[0].setting.argument for group in groups)
        return _of_quarter_turns(dict(zip(elements, moves, strict=True)))
    return _circles(moves[0]) if moves and all(one == moves[0] for one in moves) else {}


def _moves(tried: list[Tried]) -> Map:
    """Where whole classes went by one setting; those that kept their label stay."""
    findings = [one.finding for one in tried]
    kept = {one.label: one.label for one in findings if one.verdict == "keeps"}
    moved = [one for one in findings if one.verdict == "moves" and one.share >= ONE_TO_ONE]
    return kept | {one.label: str(one.to) for one in moved}


def _circles(moves: Map) -> Map:
    """Those moves that lead back to where they began."""
    return {label: to for label, to in moves.items() if label != to and label in _way(to, moves)}


def _way(label: str, moves: Map) -> list[str]:
    """The classes that are reached from one, itself first, until there is no other."""
    way = [label]
    while (following := moves.get(way[-1])) is not None and following not in way:
        way.append(following)
    return way


def _of_quarter_turns(moves: dict[str | None, Map]) -> Map:
    """The map of one quarter turn, of the classes that two and three of them move accordingly."""
    once = moves.get("r90", {})
    circles = _circles(once)
    twice = {label: once[to] for label, to in circles.items()}
    thrice = {label: once[to] for label, to in twice.items()}
    agreeing = {
        label: to
        for label, to in circles.items()
        if moves.get("r180", twice).get(label) == twice[label]
        and moves.get("r270", thrice).get(label) == thrice[label]
    }
    return _circles(agreeing)


def _share_among_relabelled(found: dict[str, Restrictions]) -> None:
    """Give classes that become each other all that is said of any of them.

    A later step of the policy meets an image of the other class then.
    """
    for labels in _connected(chain.from_iterable(map(_maps, found.values()))):
        shared = Restrictions()
        for label in sorted(labels):
            _add(found[label], shared)
        for label in labels:
            found[label] = shared


def _maps(restrictions: Restrictions) -> Iterable[Map]:
    return restrictions.relabel.values()


def _connected(maps: Iterable[Map]) -> list[set[str]]:
    """The classes of maps, those together that lead to each other by any."""
    groups: list[set[str]] = []
    for label, to in chain.from_iterable(moves.items() for moves in maps):
        joined = {label, to}.union(*(group for group in groups if group & {label, to}))
        groups = [group for group in groups if not group & joined] + [joined]
    return groups


def _add(own: Restrictions, shared: Restrictions) -> None:
    """Let `shared` forbid, bound and relabel what one class does as well."""
    shared.forbid |= own.forbid
    for step, ranges in own.bound.items():
        bounds = shared.bound.setdefault(step, {})
        for argument, (low, high) in ranges.items():
            least, most = bounds.get(argument, (low, high))
            bounds[argument] = max(low, least), min(high, most)
    for step, moves in own.relabel.items():
        shared.relabel[step] = shared.relabel.get(step, {}) | moves


# --- as params.yaml has them ------------------------------------------------------------------


def _as_rule(found: Restrictions, order: list[str]) -> dict[str, Any]:
    """A rule but for its classes; `order`: of the names of steps."""
    steps = [step for step in order if step not in found.forbid]
    rule = {
        "forbid": [step for step in order if step in found.forbid],
        "bound": {step: _as_bound(found.bound[step]) for step in steps if step in found.bound},
        "relabel": {
            step: dict(sorted(found.relabel[step].items()))
            for step in steps
            if step in found.relabel
        },
    }
    return {key: value for key, value in rule.items() if value}


def _as_bound(ranges: dict[str, Span]) -> dict[str, Any]:
    """The largest ranges of a step's arguments."""
    bound: dict[str, Any] = {}
    for place, span in ranges.items():
        argument, _, axis = place.partition(".")
        ends = [int(end) if float(end).is_integer() else end for end in span]
        if axis:
            bound.setdefault(argument, {})[axis] = ends
        else:
            bound[argument] = ends
    return bound


def _grouped(rules: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """A rule for all classes of which it says the same; `rules`: by class."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label, rule in rules.items():
        groups[canonical_json(rule)].append(label)
    return [{"classes": labels, **rules[labels[0]]} for labels in groups.values()]


def where_to_paste(before: int) -> str:
    """What to do with what as_yaml() gives; `before`: how many rules augment.labels has."""
    if before:
        rules = "1 rule" if before == 1 else f"{before:,} rules"
        return f"paste these lines below the {rules} of augment.labels in params.yaml"
    return "paste `labels` into the block augment of params.yaml"


def as_yaml(rules: list[dict[str, Any]], before: int = 0) -> str:
    """The rules as a block of params.yaml; as lines of it where augment.labels has some before."""
    lines = [] if before else ["augment:", "  labels:" if rules else "  labels: []"]
    for rule in rules:
        entries = [f"{key}: {_flow(value)}" for key, value in rule.items()]
        lines += [f"    {'-' if i == 0 else ' '} {entry}" for i, entry in enumerate(entries)]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(key)}: {_flow(its)}' for key, its in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return quoted(value) if isinstance(value, str) else str(value)
