"""A time to spend on a study, turned into a fixed number of trainings before it starts.

Short trainings tell what the others will take. The number is kept in the private cache: the same
command, after the study was killed, goes on with the same one, however fast the machine is then.
"""

import bisect
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tasks.common import events, machine
from tasks.common.errors import UserError
from tasks.model.device import choose_device
from tasks.pixels.hashing import sha256
from tasks.studies.durations import in_words, seconds_of
from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.keeping import keep, read_kept
from tasks.studies.trainings.running import side_by_side
from tasks.studies.trainings.training import Training, decoded, run_training
from tasks.variants.policy import canonical_json

EPOCHS = 2  # of the trainings by which costs are measured


class Cost(NamedTuple):
    """Seconds of a training while others run beside it: its first epoch, and each further one."""

    first: float
    further: float

    def of(self, epochs: int) -> float:
        """Of so many epochs."""
        return self.first + (epochs - 1) * self.further


class Count(NamedTuple):
    """What a study does a number of: `words` says it of a number, from `least` to `most`."""

    words: Callable[[int], str]
    least: int
    most: int


def number_within(
    budget: str, study: Sequence[str], count: Count, measure: Callable[[], Callable[[int], float]]
) -> int:
    """The largest number that fits into a time; said in one line, and kept.

    Args:
        budget: see seconds_of().
        study: what names it: the same study and budget have the same number.
        count: what there is a number of.
        measure: finds what a number takes, in seconds: the more, the longer.

    Raises:
        UserError: where less fits than a study needs.
    """
    seconds, key = seconds_of(budget), sha256(canonical_json([*study, budget]).encode())[:32]
    kept = read_kept(f"budget-{key}")
    if kept is not None:
        number = int(kept["number"])
        events.say(f"budget {budget}: {count.words(number)}, as when the study began")
        return number
    events.say(f"budget {budget}: short trainings first, to see what fits")
    started = time.perf_counter()
    takes = measure()
    spent = time.perf_counter() - started
    numbers = range(count.least, count.most + 1)
    fitting = bisect.bisect_right(numbers, seconds - spent, key=takes)
    if fitting == 0:
        needed = in_words(takes(count.least) + spent)
        raise UserError(f"--budget: {count.words(count.least)} need {needed}, found {budget}")
    number = numbers[fitting - 1]
    keep(f"budget-{key}", {"number": np.int64(number)})
    events.say(f"budget {budget}: {count.words(number)}, about {in_words(takes(number))}")
    return number


def costs_of(arms: Sequence[Arm], data: StudyData) -> list[Cost]:
    """What a training of each arm takes, by a short one, as many at once as ever."""
    trainings = [Training(arm, data.params.seed, EPOCHS) for arm in arms]
    warming_up = trainings[:1] * at_once()  # the first of a worker takes longer
    with decoded(data):
        costs = list(side_by_side(_cost_of_training, data, [*warming_up, *trainings]))
    return costs[len(warming_up) :]


def _cost_of_training(data: StudyData, training: Training) -> Cost:
    """Runs in a worker."""
    started, ends = time.perf_counter(), []
    with events.silent():
        run_training(training, data, lambda history: ends.append(time.perf_counter()))
    took = time.perf_counter() - started
    # of a training whose loss left all bounds no epoch may have ended
    further = ends[1] - ends[0] if len(ends) == EPOCHS else took / EPOCHS
    return Cost(took - further, further)


def seconds_side_by_side(trainings: Sequence[float]) -> float:
    """What trainings take together: shared among the workers, and the longest of them alone."""
    return sum(trainings) / at_once() + max(trainings, default=0.0) * (1 - 1 / at_once())


def at_once() -> int:
    """How many trainings run at the same time."""
    return 1 if choose_device().type == "cuda" else machine.worker_count()
