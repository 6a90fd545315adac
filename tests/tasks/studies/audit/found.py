"""An audit of digits, made by hand: half a turn makes 6 and 9 each other, a blur does nothing."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from tasks.pixels.encode import encode
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED
from tasks.studies.audit.audit import Audit, Example
from tasks.studies.audit.settings import WHOLE_POLICY, Setting
from tasks.studies.audit.verdicts import Finding
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source

POLICY: list[Any] = ["RandomRotate90", {"Rotate": {"limit": 180}}, "GaussianBlur"]
PARAMS = AugmentParams(variants_per_image=1, policy=POLICY)
RECIPES = Recipes.from_params(PARAMS, AS_DECODED)
HALF_TURN = Setting(
    "RandomRotate90", "r180", None, None, ([{"Rotate": {"limit": [180, 180], "p": 1}}],), ("6", "9")
)
RULES = [{"classes": ["6", "9"], "forbid": ["RandomRotate90"], "bound": {"Rotate": {"limit": 108}}}]


def finding(setting: Any, label: str, verdict: Any, to: str | None, share: float) -> Finding:
    """Of 200 variants, with an interval of 5 points to both sides."""
    ends = (max(share - 0.05, 0.0), min(share + 0.05, 1.0))
    return Finding(*setting[:4], label, verdict, to, share, *ends, 0.01, 200)


def keeps(
    step: str,
    argument: str | None = None,
    low: float | None = None,
    high: float | None = None,
    labels: str = "0569",
) -> list[Finding]:
    setting = (step, argument, low, high)
    return [finding(setting, label, "keeps", None, 0.02) for label in labels]


def findings() -> list[Finding]:
    """Of four classes: 0 is not known, 5 keeps all but one turn, 6 and 9 become each other."""
    rows = [
        finding(HALF_TURN, "0", "cannot tell", None, 0.5),
        *keeps("RandomRotate90", "r180", labels="5"),
        finding(HALF_TURN, "6", "moves", "9", 0.8),
        finding(HALF_TURN, "9", "moves", "6", 0.7),
    ]
    for low in (0.0, 36.0, 72.0, 108.0, 144.0):
        turn = ("Rotate", "limit", low, low + 36)
        far = low > 100
        rows += [
            finding(turn, "0", "cannot tell", None, 0.4),
            finding(
                turn,
                "5",
                "unlike anything" if low == 72 else "keeps",
                None,
                0.2 if low == 72 else 0.02,
            ),
            finding(turn, "6", "moves" if far else "keeps", "9" if far else None, low / 200),
            finding(turn, "9", "moves" if far else "keeps", "6" if far else None, low / 250),
        ]
    rows.append(finding(("GaussianBlur", None, None, None), "0", "cannot tell", None, 0.0))
    return [*rows, *keeps("GaussianBlur", labels="569"), *keeps(WHOLE_POLICY, labels="569")]


def write_source(label: str, number: int) -> Source:
    """The n-th digit of scikit-learn's of a class, as a file in data/raw."""
    digits = load_digits()
    pixels = digits.images[np.flatnonzero(digits.target == int(label))[number]]
    data = encode(np.rint(pixels * (255 / 16)).astype(np.uint8), "png")
    path = Path(f"data/raw/{label}/{number}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    hash = sha256(data)
    return Source(str(path), None, len(data), hash[:16], hash, label, "PNG", 8, 8, 1, 8, 0)


def examples(rows: list[Finding], count: int = 2) -> list[Example]:
    """The first sources of each class that a half turn moves, turned."""
    moved = [row for row in rows if row[:2] == HALF_TURN[:2] and row.to is not None]
    return [
        Example(HALF_TURN, 0, write_source(row.label, number), number, row)
        for row in moved
        for number in range(count)
    ]


def audit_of(rows: list[Finding], **changes: Any) -> Audit:
    """An audit of these findings, without pictures."""
    known = {"0": 0.31, "5": 0.93, "6": 0.98, "9": 0.95}
    return Audit(rows, [], [], 1258, known)._replace(**changes)
