"""Search: trials are asked in batches, sorted out by affinity, halved over epochs and seeds.

Optuna's sampler chooses what is tried. Which trials go on is decided by halving each batch, not by
Optuna's SuccessiveHalvingPruner: it compares a trial with those that came before it, so the first
would always go on, and what became of a trial would hang on who was first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import numpy as np

from tasks.common import events
from tasks.common.texts import counted
from tasks.evaluate.intervals import effective_units, wilson
from tasks.studies.trainings.arm import NONE, Arm
from tasks.studies.trainings.training import Trained, Training
from tasks.studies.tune.space import Space, arm_of
from tasks.studies.tune.trials import Scored, State, Store, Trial, ask

BATCH = 8  # trials asked at once: a constant, so that the number of workers changes nothing
# The first rung has a third of the epochs and the last three times the seeds; so a third of the
# trials goes on from each. L. Li et al., "A System for Massively Parallel Hyperparameter Tuning",
# 2020, halves so.
REDUCTION = 3
# but no fewer: in a few epochs a network learns nothing but what strong policies make harder
FEWEST_EPOCHS = 5
LAST_SEEDS = REDUCTION
# Of the way from guessing to what they know of originals, models that were trained on these have to
# get so far on a policy's images. Low affinity may still help where diversity is high, so the bound
# is low, and an accuracy counts as the highest that it may be: below it most of what told the
# classes is gone for sure.
LEAST_WAY = 0.5


class Rung(NamedTuple):
    """What a trial has to go through: `seeds` trainings of `epochs`."""

    epochs: int
    seeds: int


class Bench(NamedTuple):
    """What trains, and what measures affinity; see trainings/running.py and affinity.py.

    `run`: also gets what is done, for people. `labels`: class numbers of the validation images,
    int64 (images,). `units`: see StudyData. `classes`: how many there are.
    """

    run: Callable[[Sequence[Training], str], list[Trained]]
    affinities: Callable[[Sequence[Arm], Sequence[Training]], list[float]]
    labels: np.ndarray
    units: np.ndarray
    classes: int


def rungs_of(epochs: int) -> list[Rung]:
    """The rungs of a study: a third of its epochs, all of them, then all with more seeds."""
    first = max(-(-epochs // REDUCTION), min(FEWEST_EPOCHS, epochs))
    short = [Rung(first, 1)] if first < epochs else []
    return [*short, Rung(epochs, 1), Rung(epochs, LAST_SEEDS)]


class Round(NamedTuple):
    """Trainings that run side by side, before anything is decided by them."""

    epochs: int
    trainings: int


def rounds_of(trials: int, epochs: int) -> Iterator[Round]:
    """What a search trains at most: where no trial is hopeless, and nothing was trained before."""
    for batch in _batches(trials):
        left, before = len(batch), Rung(0, 0)
        for rung in rungs_of(epochs):
            again = before.seeds if before.epochs == rung.epochs else 0
            yield Round(rung.epochs, left * (rung.seeds - again))
            left, before = _going_on(left), rung


def _batches(trials: int) -> list[range]:
    starts = range(0, trials, BATCH)
    return [range(start, min(start + BATCH, trials)) for start in starts]


def _going_on(count: int) -> int:
    """How many of so many go on, rounded up."""
    return -(-count // REDUCTION)


@dataclass
class Search:
    """One search; `seed`: of the first training and of the sampler."""

    space: Space
    bench: Bench
    seed: int
    done: dict[tuple[str, int, int], Trained] = field(default_factory=dict)  # arm, seed, epochs

    def run(self, trials: int, store: Store) -> list[Trial]:
        """So many trials, in the order of their numbers.

        A batch is a function of the trials before it. So where the search was killed, the batch
        that it was in is asked again, and is the same; trainings that finished are not run again.
        """
        for numbers in _batches(trials):
            told = store.told()
            if all(number in told for number in numbers):
                continue
            before = [told[number] for number in range(numbers.start)]
            asked = ask(before, numbers, self.space, self.seed)
            for trial in self._try(asked, f"trials {numbers.start + 1} to {numbers.stop}"):
                if trial.number not in told:
                    store.tell(trial)
        return list(map(store.told().__getitem__, range(trials)))

    def _try(self, asked: list[Trial], what: str) -> list[Trial]:
        """What becomes of a batch of trials."""
        rungs = rungs_of(self.space.shown.epochs)
        batch = self._sort_out(asked, rungs[0], what)
        going = [trial for trial in batch.values() if trial.state == "complete"]
        for rung in rungs:
            scores = self._scores(going, rung, what)
            scored = [
                trial._replace(rungs=(*trial.rungs, Scored(*rung, accuracy)), accuracy=accuracy)
                for trial, accuracy in zip(going, scores, strict=True)
            ]
            better = sorted(scored, key=_by_accuracy)
            going = better if rung == rungs[-1] else better[: _going_on(len(better))]
            left = better[len(going) :]
            for trial in (*going, *(trial._replace(state="pruned") for trial in left)):
                batch[trial.number] = trial
        return list(batch.values())

    def _sort_out(self, asked: list[Trial], rung: Rung, what: str) -> dict[int, Trial]:
        """The trials by number, with their affinity; of the hopeless ones none is trained."""
        clean = [Training(NONE, self.seed, rung.epochs)]
        self._train(clean, "the training without augmentation")
        known = self._accuracy(clean[0])
        arms = [self._arm(trial) for trial in asked]
        affinities = self.bench.affinities(arms, clean)
        batch: dict[int, Trial] = {}
        for trial, affinity in zip(asked, affinities, strict=True):
            hopeless = is_hopeless(affinity * known, known, self.bench)
            state: State = "hopeless" if hopeless else "complete"
            batch[trial.number] = trial._replace(affinity=affinity, state=state)
        hopeless_ones = sum(trial.state == "hopeless" for trial in batch.values())
        if hopeless_ones:
            whose = "its" if hopeless_ones == 1 else "their"
            events.say(f"{what}: {hopeless_ones:,} hopeless by {whose} affinity, not trained")
        return batch

    def _scores(self, trials: list[Trial], rung: Rung, what: str) -> list[float]:
        """The mean accuracy of each over the seeds of a rung."""
        by_trial = [self._trainings(trial, rung) for trial in trials]
        rounds = f"{counted(rung.epochs, 'epoch')}, {counted(rung.seeds, 'seed')}"
        self._train(list(chain.from_iterable(by_trial)), f"{what}, {rounds}")
        return [float(np.mean([*map(self._accuracy, trainings)])) for trainings in by_trial]

    def _trainings(self, trial: Trial, rung: Rung) -> list[Training]:
        seeds = range(self.seed, self.seed + rung.seeds)
        return [Training(self._arm(trial), seed, rung.epochs) for seed in seeds]

    def _arm(self, trial: Trial) -> Arm:
        return arm_of(trial.kind, trial.choice, self.space)

    def _train(self, trainings: list[Training], what: str) -> None:
        """Run those that were not run yet."""
        by_key = {_key(training): training for training in trainings}
        missing = [training for key, training in by_key.items() if key not in self.done]
        if missing:
            found = self.bench.run(missing, what)
            self.done |= zip(map(_key, missing), found, strict=True)

    def _accuracy(self, training: Training) -> float:
        return float((self.done[_key(training)].predicted == self.bench.labels).mean())


def is_hopeless(changed: float, known: float, bench: Bench) -> bool:
    """Whether a policy leaves too little of what tells the classes.

    `changed`, `known`: the accuracies of models trained on originals, on the images of the policy
    and on originals. Who guesses is right once in as many times as there are classes.
    """
    guessing = 1 / bench.classes
    highest = float(wilson(changed, effective_units(np.bincount(bench.units))).high)
    return known > guessing and highest < guessing + LEAST_WAY * (known - guessing)


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The best at the last rung, of equals the first; None where none came so far."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return min(complete, key=_by_accuracy, default=None)


def _by_accuracy(trial: Trial) -> tuple[float, int]:
    return -(trial.accuracy or 0.0), trial.number


def _key(training: Training) -> tuple[str, int, int]:
    return training.arm.name, training.seed, training.epochs
