"""In which order to show what a step made: by the value that it drew which tells most."""

from typing import Any

import pandas as pd

from tasks.dataset.columns import MEASURES

GEOMETRY = ("kept", "border")  # measures of where pixels come from
ENDINGS = ("_limit", "_range", "_percent")  # of the names of arguments; what is drawn has none


def ordered_by(draws: pd.DataFrame, arguments: dict[str, Any]) -> str | None:
    """The column by which draws are shown; None where no number varies from draw to draw.

    That of the first argument of the step that varies; where none has a column, the drawn value
    that varies most for its size. Where only arrays are drawn, one of the measures: those of
    GEOMETRY first, as where a step crops its other measures vary with what is seen.

    Args:
        draws: a row for each variant: the numbers that were drawn, and MEASURES; the index says of
            which source.
        arguments: of the step.
    """
    varying = spans(draws)
    drawn = [str(name) for name in varying.index if name not in MEASURES]
    for argument in arguments:
        stems = {argument, *(argument.removesuffix(ending) for ending in ENDINGS)}
        of_argument = [name for name in drawn if name.partition(".")[0] in stems]
        if of_argument:
            return of_argument[0]
    if drawn:
        return str((varying[drawn] / draws[drawn].abs().max()).idxmax())
    by_geometry = [measure for measure in GEOMETRY if measure in varying.index]
    if by_geometry:
        return by_geometry[0]
    return str(varying.idxmax()) if len(varying) else None


def spans(draws: pd.DataFrame) -> pd.Series:
    """How far the draws of one source differ, at most, in each column; of those that vary."""
    of_source = draws.groupby(level=0)
    found = (of_source.max() - of_source.min()).max()
    return found[found > 0]
