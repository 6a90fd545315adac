"""Text and tables for a terminal: what `variegate tune` prints."""

import textwrap
from collections.abc import Iterable

from rich.table import Table

from flows.console.ablate import warning_lines
from flows.console.tables import COLUMNS_OF_TEXT, Part, table
from tasks.common.texts import counted
from tasks.studies.numbers import interval, percent, points, ratio
from tasks.studies.statistics import Difference
from tasks.studies.tune import wording
from tasks.studies.tune.finalists import Finalist
from tasks.studies.tune.trials import Trial
from tasks.studies.tune.tune import Tuning

MOST_TRIALS = 40


def tuning_tables(found: Tuning, written: list[str] | None = None) -> list[Part]:
    """What a tuning ended with: the trials, the finalists, the answer and what to write.

    `written`: a line for each key that was changed; None where it was not asked for.
    """
    parts: list[Part] = [_trials_table(found.trials[:MOST_TRIALS])]
    more = len(found.trials) - MOST_TRIALS
    parts += [f"{more:,} more: --json lists all", ""] if more > 0 else [""]
    parts += [f"again, on {found.seeds} seeds that no trial was chosen by:", ""]
    parts += [_finalists_table(found.finalists), ""]
    answer = f"{found.answer}: {found.reason}"
    parts += textwrap.wrap(f"answer     {answer}", COLUMNS_OF_TEXT, subsequent_indent=" " * 11)
    if written:
        parts += [f"written    {line}" for line in written]
        parts.append("next       compare it with what was there: dvc exp run")
    elif written is not None:
        parts.append("written    nothing: params.yaml has it already")
    elif found.block:
        parts += ["", "write this into params.yaml, or let `variegate tune --apply` do it:", ""]
        parts += [*wording.as_yaml(found.block).split("\n"), ""]
    images = counted(found.training_images, "image")
    shown = f"{counted(found.epochs, 'epoch')} of {images} in each full training"
    parts.append(f"trained    {wording.states(found.trials)}; {shown}")
    parts.append(f"judged by  {found.validation_images:,} validation images")
    return [*parts, *warning_lines(found.warning)]


def _trials_table(trials: Iterable[Trial]) -> Table:
    """A row for each trial, in their order; the accuracy is that of its last rung."""
    heads = ["trial", "policy", "choice", "state", "affinity", "accuracy", "epochs", "seeds"]
    rows = []
    for trial in trials:
        last = trial.rungs[-1] if trial.rungs else None
        rows.append(
            [
                str(trial.number + 1),
                wording.KINDS[trial.kind],
                wording.choice(trial),
                trial.state,
                ratio(trial.affinity),
                percent(last.accuracy) if last else "",
                f"{last.epochs:,}" if last else "",
                str(last.seeds) if last else "",
            ]
        )
    return table(heads, rows, names=4)


def _finalists_table(finalists: Iterable[Finalist]) -> Table:
    """Differences in percentage points, with 95% intervals."""
    heads = ["arm", "accuracy", "to none", "95% interval", "to present", "95% interval"]
    rows = []
    for one in finalists:
        differences = [*_cells(one.to_none), *_cells(one.to_present)]
        rows.append([one.arm, percent(one.accuracy), *differences])
    return table(heads, rows)


def _cells(difference: Difference | None) -> list[str]:
    if difference is None:
        return ["", ""]
    return [points(difference.mean), interval(difference.low, difference.high)]
