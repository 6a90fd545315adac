"""Run trainings in worker processes; those finished before are read from the private cache."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple, TypeVar

from tasks.common import events, machine
from tasks.common.cache_bound import trim_cache
from tasks.common.errors import UserError
from tasks.model.device import choose_device
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.keeping import keep_result, read_result
from tasks.studies.trainings.key import Keys
from tasks.studies.trainings.training import (
    Trained,
    Training,
    decoded,
    originals_of,
    run_training,
)
from tasks.workers.ordered import map_ordered
from tasks.workers.processes import start_early

PRELOAD = "tasks.studies.trainings.preload"
Item = TypeVar("Item")
Result = TypeVar("Result")


class Task(NamedTuple):
    """A training that is to be run, and its key."""

    key: str
    training: Training


def run_trainings(
    trainings: Sequence[Training],
    data: StudyData,
    what: str,
    whole: events.Progress | None = None,
) -> list[Trained]:
    """What each training gives, in their order; progress in trainings, with the time left.

    A training whose loss leaves all bounds says so, see Trained.failed, and the others go on.

    Args:
        trainings: may be the same.
        data: of the study.
        what: is done, for people.
        whole: the progress, in epochs, of the work that these trainings are a part of.

    Raises:
        UserError: where one of originals alone failed: there is nothing to compare with.
    """
    keys = Keys(data)
    wanted = [Task(keys.of(training), training) for training in trainings]
    tasks = {task.key: task for task in wanted}
    found = {key: result.trained for key in tasks if (result := read_result(key)) is not None}
    missing = [task for key, task in tasks.items() if key not in found]
    if whole is not None:
        whole.skip(sum(tasks[key].training.epochs for key in found))
    if missing:
        start_early(PRELOAD)  # workers that decode are forked from the same process
        originals_of(data)  # as what is decoded: kept, before each worker asks for it
        with (
            decoded(data),
            nullcontext(whole)
            if whole
            else events.Progress(len(tasks), what, "training", done=len(found)) as progress,
        ):
            done = side_by_side(run_and_keep, data, missing)
            for task, trained in zip(missing, done, strict=True):
                found[task.key] = trained
                progress.advance(task.training.epochs if whole else 1)
        trim_cache(machine.cache_limit_bytes())
    for key, task in tasks.items():
        _tell_failure(task.training, found[key])
    return [found[task.key] for task in wanted]


def side_by_side(
    function: Callable[[StudyData, Item], Result], data: StudyData, items: Sequence[Item]
) -> Iterator[Result]:
    """`function(data, item)` of each item in worker processes; on a GPU one after another here."""
    call = partial(function, data)
    if choose_device().type == "cuda":
        return map(call, items)
    return map_ordered(call, items, preload=PRELOAD)


def run_and_keep(data: StudyData, task: Task) -> Trained:
    """Run a training; what it gives is kept before it is told. Runs in a worker."""
    with events.silent():
        result = run_training(task.training, data)
    if task.training.arm.augment is not None:  # models of originals judge policies later
        result = result._replace(model=None)
    keep_result(task.key, result)
    return result.trained


def _tell_failure(training: Training, trained: Trained) -> None:
    if not trained.failed:
        return
    if training.arm.augment is None:
        raise UserError(trained.failed)
    events.say(
        f"warning: {training.arm.name}, seed {training.seed}: counts as right nowhere: "
        f"{trained.failed}"
    )
