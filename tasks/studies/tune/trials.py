"""Trials: asked of Optuna's sampler, and kept in SQLite once they are told.

The database holds told trials alone. What is asked is asked in memory, from a copy of those that
were told before the batch, with a sampler whose seed is a hash of (seed, trial number). So a trial
that was asked and not told when the process was killed leaves nothing behind, and is asked again.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import optuna
from optuna.exceptions import StorageInternalError
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import OperationalError

from tasks.common.errors import UserError
from tasks.common.machine import cache_folder
from tasks.studies.tune.space import Choice, Space, choose, parameters_of
from tasks.variants.policy import canonical_json

optuna.logging.set_verbosity(optuna.logging.ERROR)  # a line for each trial otherwise
State = Literal["complete", "pruned", "hopeless"]
RANDOM = 5  # trials before TPE has something to go by: fewer than the first batch tells
MOST_ASKED = 20  # times for one trial, until it is a new one
LOCK_SECONDS = 60  # to wait while another tuning writes
AS_JSON = "trial"  # the attribute of a trial in the database that holds all of it


class Scored(NamedTuple):
    """What a trial got at a rung: the mean accuracy over `seeds` trainings of `epochs`."""

    epochs: int
    seeds: int
    accuracy: float


class Trial(NamedTuple):
    """What was tried, and what became of it.

    `number`: from 0. `kind`, `choice`: see space.py. `state`: `complete` went through all rungs,
    `pruned` was not in the best third of its batch at one, `hopeless` was not trained. `accuracy`:
    at its last rung; None for hopeless ones. `affinity`: None before it is known.
    """

    number: int
    kind: str
    choice: Choice
    state: State = "complete"
    rungs: tuple[Scored, ...] = ()
    accuracy: float | None = None
    affinity: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {**self._asdict(), "rungs": [one._asdict() for one in self.rungs]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The reverse of to_json()."""
        return cls(**{**values, "rungs": tuple(Scored(**one) for one in values["rungs"])})


# --- asking -----------------------------------------------------------------------------------


def ask(before: Sequence[Trial], numbers: Iterable[int], space: Space, seed: int) -> list[Trial]:
    """The trials of a batch: a function of those before it, the space and the seed.

    While a batch is asked, Optuna takes its first trials for bad ones (`constant_liar`), so that
    the others are tried elsewhere.
    """
    study = optuna.create_study(direction="maximize")
    known = [_frozen(trial, space) for trial in before]
    study.add_trials([trial for trial in known if trial.params])
    asked: list[Trial] = []
    for number in numbers:
        study.sampler = _sampler(seed, number)
        if number < len(space.first):
            asked.append(_ask_for(number, study, space))
        else:
            asked.append(_ask_new(number, study, space, [*before, *asked]))
    return asked


def _ask_for(number: int, study: optuna.Study, space: Space) -> Trial:
    """One of those that come first."""
    kind, choice = space.first[number]
    parameters = parameters_of(kind, choice, space)
    if parameters:
        study.enqueue_trial(parameters)
        choose(study.ask(), space)
    return Trial(number, kind, choice)


def _ask_new(number: int, study: optuna.Study, space: Space, before: Sequence[Trial]) -> Trial:
    """One that was not tried before, unless the sampler finds none."""
    tried = [parameters_of(trial.kind, trial.choice, space) for trial in before]
    for _ in range(MOST_ASKED):
        kind, choice = choose(study.ask(), space)
        if parameters_of(kind, choice, space) not in tried:
            break
    return Trial(number, kind, choice)


def _sampler(seed: int, number: int) -> TPESampler:
    """The sampler of one trial. Each choice by itself: which there are depends on the kind."""
    digest = sha256(canonical_json([seed, number]).encode()).digest()
    own_seed = int.from_bytes(digest[:4], "big")
    return TPESampler(n_startup_trials=RANDOM, multivariate=False, seed=own_seed)


def _frozen(trial: Trial, space: Space) -> FrozenTrial:
    """A told trial as Optuna has it."""
    parameters = parameters_of(trial.kind, trial.choice, space)
    fixed = FixedTrial(parameters)
    if parameters:
        choose(fixed, space)
    complete = trial.state == "complete"
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=trial.accuracy if complete else None,
        params=fixed.params,
        distributions=fixed.distributions,
        intermediate_values={step: one.accuracy for step, one in enumerate(trial.rungs)},
        user_attrs={AS_JSON: trial.to_json()},
    )


# --- telling ----------------------------------------------------------------------------------


class Store(NamedTuple):
    """The told trials of a search, in the database."""

    study: optuna.Study
    space: Space

    @classmethod
    def open(cls, name: str, space: Space) -> Self:
        """Those of the search that is called `name`, by everything that decides its result.

        Raises:
            UserError: here and below, where the database is locked, read-only, or has no room.
        """
        with _errors_in_one_line():
            study = optuna.create_study(
                study_name=name, storage=_database(), direction="maximize", load_if_exists=True
            )
        return cls(study, space)

    def told(self) -> dict[int, Trial]:
        """Trials by number; of a number that two processes told at once, the first."""
        found: dict[int, Trial] = {}
        with _errors_in_one_line():
            kept = self.study.get_trials(deepcopy=False)
        for frozen in kept:
            trial = Trial.from_json(frozen.user_attrs[AS_JSON])
            found.setdefault(trial.number, trial)
        return found

    def tell(self, trial: Trial) -> None:
        """Keep a finished trial: all of it or, where the process is killed, nothing."""
        with _errors_in_one_line():
            self.study.add_trial(_frozen(trial, self.space))


def _database() -> RDBStorage:
    """The database; a damaged one is begun anew, since it holds nothing that cannot be found."""
    path = _database_path()
    path.parent.mkdir(exist_ok=True)
    if _is_damaged(path):
        path.unlink()
    waiting = {"connect_args": {"timeout": LOCK_SECONDS}}
    return RDBStorage(f"sqlite:///{path}", engine_kwargs=waiting)


def _database_path() -> Path:
    return cache_folder() / "studies" / f"optuna-{optuna.__version__}.sqlite"


def _is_damaged(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=LOCK_SECONDS)) as database:
        try:
            return bool(database.execute("PRAGMA integrity_check").fetchone() != ("ok",))
        except sqlite3.OperationalError:  # read-only, no space, locked
            raise
        except sqlite3.DatabaseError:
            return True


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OperationalError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        raise UserError(f"{_database_path()}: {getattr(cause, 'orig', cause)}") from None
