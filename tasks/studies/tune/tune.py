"""Tune: search, then the winner against `none` and the present policy on fresh seeds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import optuna

from tasks.common import events
from tasks.common.code_hash import code_hash
from tasks.pixels.hashing import sha256
from tasks.studies.guessing import guessing
from tasks.studies.numbers import rounded
from tasks.studies.trainings.affinity import affinities
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.key import Keys
from tasks.studies.trainings.running import run_trainings
from tasks.studies.trainings.training import Trained, Training
from tasks.studies.tune.answer import decide
from tasks.studies.tune.finalists import Final, Finalist, candidates_of
from tasks.studies.tune.search import LAST_SEEDS, Bench, Round, Search, best_of, rounds_of
from tasks.studies.tune.space import Space, block_of
from tasks.studies.tune.trials import Store, Trial
from tasks.variants.policy import canonical_json

FRESH_SEEDS = 5
MOST_FINALISTS = 3


class Tuning(NamedTuple):
    """What a search ended with.

    `answer`: the name of an arm: the winner's, `none`, or the present policy's where it is to be
    kept. `reason`: one sentence. `block`: what to write into params.yaml; {} where nothing changes,
    None for a key to remove. `seeds`: on which the finalists were trained. `epochs`: how often each
    training of them showed each image.
    """

    trials: list[Trial]
    finalists: list[Finalist]
    answer: str
    reason: str
    block: dict[str, dict[str, Any]]
    seeds: int
    epochs: int
    training_images: int
    validation_images: int
    warning: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it, for programs: numbers as fractions, trials counted from 1, as in tables."""
        finalists = []
        for one in self.finalists:
            to_present = one.to_present and rounded(one.to_present._asdict())
            finalists.append({**rounded(one._asdict()), "to_present": to_present})
        trials = [_trial_in_json(trial) for trial in self.trials]
        return {**self._asdict(), "trials": trials, "finalists": finalists}


def _trial_in_json(trial: Trial) -> dict[str, Any]:
    rungs = [rounded(one._asdict()) for one in trial.rungs]
    return {**rounded(trial._asdict()), "number": trial.number + 1, "rungs": rungs}


def tune(space: Space, data: StudyData, trials: int, store: Store, bench: Bench) -> Tuning:
    """So many trials, then the best of them on seeds that the search has not seen."""
    seed = space.train.seed
    tried = Search(space, bench, seed).run(trials, store)
    final = Final(candidates_of(best_of(tried), space), space, bench)
    finalists = final.run(range(seed + LAST_SEEDS, seed + LAST_SEEDS + FRESH_SEEDS))
    kind, reason = decide(finalists, trials)
    chosen = next((one for one in finalists if one.kind == kind), finalists[0])
    return Tuning(
        trials=tried,
        finalists=finalists,
        answer=chosen.arm,
        reason=reason,
        block=block_of(chosen.kind, chosen.choice, space),
        seeds=FRESH_SEEDS,
        epochs=space.shown.epochs,
        training_images=len(data.training),
        validation_images=len(data.labels),
        warning=guessing(finalists[0].accuracy, data.labels, data.units),
    )


def key_of(space: Space, data: StudyData) -> str:
    """A hash of everything that decides what a tuning of so many trials ends with."""
    content = [
        Keys(data).shared,
        space.augment.model_dump(mode="json"),
        space.train.model_dump(mode="json"),
        space.shown,
        optuna.__version__,
        code_hash(Path(__file__).parent),
    ]
    return sha256(canonical_json(content).encode())[:32]


def store_of(space: Space, data: StudyData, trials: int) -> Store:
    """Where the trials of a tuning are kept."""
    return Store.open(f"{key_of(space, data)}, {trials} trials", space)


@contextmanager
def bench_of(data: StudyData, space: Space, trials: int) -> Iterator[Bench]:
    """What trains on the data of a study, with one progress for all of a tuning."""
    rounds = all_rounds(trials, space)
    epochs = sum(one.epochs * one.trainings for one in rounds)
    with events.Progress(epochs, "tuning", "epoch") as progress:

        def run(trainings: Sequence[Training], what: str) -> list[Trained]:
            progress.note = lambda: what
            return run_trainings(trainings, data, what, progress)

        yield Bench(run, partial(affinities, data=data), data.labels, data.units, len(data.classes))


def all_rounds(trials: int, space: Space) -> list[Round]:
    """What a tuning trains at most."""
    epochs = space.shown.epochs
    return [*rounds_of(trials, epochs), Round(epochs, MOST_FINALISTS * FRESH_SEEDS)]
