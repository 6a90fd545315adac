"""Label rules: what each class's policy may do, so that its variants keep their label.

`augment.labels` forbids steps, and bounds their ranges, for some classes. What is left of a policy
for a class is its effective policy, and part of its recipe.
"""

from fnmatch import fnmatchcase
from typing import Any
from unicodedata import normalize

from tasks.variants.params import LabelRule


def names_class(rule: LabelRule, label: str) -> bool:
    """Whether a rule is for a class: by its name, or by a pattern."""
    label = normalize("NFC", label)
    patterns = [normalize("NFC", pattern) for pattern in rule.classes]
    return label in patterns or any(fnmatchcase(label, pattern) for pattern in patterns)


def effective_steps(steps: list[Any], rules: list[LabelRule], location: str) -> list[Any]:
    """What rules leave of a policy: without forbidden steps, with ranges within their bounds.

    Args:
        steps: of the policy, as params.yaml has them.
        rules: those that name the class.
        location: where the policy stands in params.yaml.

    Raises:
        UserError: for a range of which a bound leaves nothing.
    """
    raise NotImplementedError
