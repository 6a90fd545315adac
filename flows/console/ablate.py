"""Text and tables for a terminal: what `variegate ablate` prints."""

import math
import textwrap
from collections.abc import Iterable

from rich.table import Table

from flows.console.tables import COLUMNS_OF_TEXT, Part, table
from tasks.common.texts import counted
from tasks.studies.ablate.ablate import Ablation, ArmFinding
from tasks.studies.ablate.wording import summary
from tasks.studies.numbers import interval, percent, points

MOST_CLASSES = 20


def ablation_tables(found: Ablation) -> list[Part]:
    """What an ablation found: the arms, the classes that lose, and the answer."""
    parts: list[Part] = [_arms_table(found.arms), ""]
    losing = _losing_classes(found.arms)
    if losing:
        parts += ["classes that lose by an arm:", _classes_table(losing[:MOST_CLASSES])]
        more = len(losing) - MOST_CLASSES
        parts += [f"{more:,} more: --json lists all", ""] if more > 0 else [""]
    parts += [*textwrap.wrap(summary(found), COLUMNS_OF_TEXT), ""]
    falling = [arm.arm for arm in found.arms if arm.falling]
    if falling:
        parts.append(f"falling    the training loss of {', '.join(falling)} still falls at its end")
    trained = (
        f"{counted(found.seeds, 'seed')}, {counted(found.epochs, 'epoch')} of "
        f"{counted(found.training_images, 'image')} each"
    )
    parts.append(f"trained    {trained}, whatever the arm")
    parts.append(f"judged by  {found.validation_images:,} validation images")
    return [*parts, *warning_lines(found.warning)]


def warning_lines(text: str) -> list[str]:
    """A warning, where there is one."""
    return textwrap.wrap(f"warning    {text}", COLUMNS_OF_TEXT) if text else []


def _arms_table(arms: Iterable[ArmFinding]) -> Table:
    """A row for each arm; differences are to the arm `none`, in percentage points."""
    heads = ["arm", "verdict", "accuracy", "points", "95% interval", "affinity", "diversity"]
    rows = [
        [
            arm.arm,
            arm.verdict,
            percent(arm.accuracy),
            *_difference(arm),
            f"{arm.affinity:.2f}",
            f"{arm.diversity:.2f}" if math.isfinite(arm.diversity) else "no model",
        ]
        for arm in arms
    ]
    return table(heads, rows, names=2)


def _difference(arm: ArmFinding) -> list[str]:
    if arm.p is None:
        return ["", ""]
    return [points(arm.difference), interval(arm.low, arm.high)]


def _losing_classes(arms: Iterable[ArmFinding]) -> list[list[str]]:
    """Of each class that an arm harms: arm, class, accuracy, and the difference to `none`."""
    rows = []
    for arm in arms:
        for label, its in arm.classes.items():
            if its.harmed:
                ends = interval(its.low, its.high)
                rows.append([arm.arm, label, percent(its.accuracy), points(its.difference), ends])
    return rows


def _classes_table(rows: Iterable[list[str]]) -> Table:
    return table(["arm", "class", "accuracy", "points", "95% interval"], rows, 2, names=2)
