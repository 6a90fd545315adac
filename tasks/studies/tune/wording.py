"""What a tuning found, in words."""

from typing import Any

from tasks.common.texts import counted
from tasks.common.yaml_names import in_one_line
from tasks.studies.numbers import percent
from tasks.studies.tune.trials import Trial

KINDS = {
    "none": "none",
    "present": "present policy",
    "strength": "own policy, by strength",
    "trivialaugment": "trivialaugment",
    "trivialaugment_scaled": "scaled trivialaugment",
    "randaugment": "randaugment",
}


def choice(trial: Trial) -> str:
    """What a trial chose, as `n 2, m 9, variants online`; empty where it had no choice."""
    return ", ".join(f"{name} {value}" for name, value in trial.choice.items())


def rungs(trial: Trial) -> str:
    """What it was trained for, as `5 epochs x 1 seed 81.3%, 15 epochs x 3 seeds 84.0%`."""
    return ", ".join(
        f"{counted(one.epochs, 'epoch')} x {counted(one.seeds, 'seed')} {percent(one.accuracy)}"
        for one in trial.rungs
    )


def in_full(trial: Trial) -> str:
    """As `trial 7, randaugment, n 2, m 9: complete, 84.0%`."""
    parts = [f"trial {trial.number + 1}", KINDS.get(trial.kind, trial.kind), choice(trial)]
    accuracy = "" if trial.accuracy is None else f", {percent(trial.accuracy)}"
    return f"{', '.join(filter(None, parts))}: {trial.state}{accuracy}"


def states(trials: list[Trial]) -> str:
    """How many there are of each state, as `12 complete, 6 pruned, 2 hopeless`."""
    counts = dict.fromkeys(("complete", "pruned", "hopeless"), 0)
    for trial in trials:
        counts[trial.state] += 1
    return ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)


def as_yaml(block: dict[str, dict[str, Any]]) -> str:
    """What to write into params.yaml, as YAML; what to remove, as comments."""
    lines = []
    for stage, values in block.items():
        lines.append(f"{stage}:")
        for key, value in values.items():
            if value is None:
                lines.append(f"  # remove {key}")
            elif key == "policy" and value:
                lines += [f"  {key}:", *(f"    - {in_one_line(step)}" for step in value)]
            else:
                lines.append(f"  {key}: {in_one_line(value)}")
    return "\n".join(lines)
