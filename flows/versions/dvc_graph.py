"""The stage graph as DVC sees it: the order of `dvc repro`, and which stages are clean.

This uses DVC's own planner, which is not public API: DVC is pinned, and
tests/flows/test_pipeline.py holds the two orders equal.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc_data.hashfile.build import IgnoreInCollectedDirError

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW

Result = TypeVar("Result")
SECONDS_BETWEEN_TRIES = 1.0


@dataclass(frozen=True)
class Step:
    """A stage of dvc.yaml, or a .dvc file.

    `clean`: neither it nor anything it depends on has changed. `meta`: its block of that name in dvc.yaml.
    """

    address: str
    clean: bool
    meta: dict[str, Any] = field(default_factory=dict)


def wait_for_others(action: Callable[[], Result]) -> Result:
    """`action()`, tried again for as long as another DVC command works on the same files."""
    told = False
    while True:
        try:
            return action()
        except DvcException as error:
            if not any(isinstance(each, LockError) for each in (error, error.__cause__)):
                raise
            if not told:
                print("waiting: another DVC command works on the same files", flush=True)
                told = True
            time.sleep(SECONDS_BETWEEN_TRIES)


def in_repo(action: Callable[[Repo], Result]) -> Result:
    """`action` on the DVC repository here, after other DVC commands have ended.

    Raises:
        UserError: where this is no DVC repository, or DVC refuses.
    """

    def act() -> Result:
        with Repo(_wait_for_lock=True) as repo:
            return action(repo)

    try:
        return wait_for_others(act)
    except (DvcException, IgnoreInCollectedDirError) as error:
        raise UserError(f"dvc: {' '.join(str(error).split())}") from error


def version_raw() -> None:
    """`dvc add` data/raw where nobody has: what a run was made from is versioned, or it could not be told again."""
    if not Path(f"{RAW}.dvc").is_file():
        in_repo(lambda repo: repo.add(str(RAW)))


def read_steps(until: str | None = None) -> list[Step]:
    """The stages that `until` needs, itself included, or all; in the order in which DVC runs them.

    Raises:
        UserError: for a stage that dvc.yaml does not have.
    """
    return in_repo(lambda repo: _steps_of(repo, until))


def _steps_of(repo: Repo, until: str | None) -> list[Step]:
    with repo.lock:
        graph = get_active_graph(repo.index.graph)
        ordered = plan_repro(graph, collect_stages(repo, [until or "dvc.yaml"]))
        clean: dict[str, bool] = {}
        for stage in ordered:
            upstream = [needed.addressing for needed in graph.successors(stage)]
            clean[stage.addressing] = (
                all(clean[address] for address in upstream) and not stage.changed()
            )
    return [
        Step(stage.addressing, clean[stage.addressing], getattr(stage, "meta", None) or {})
        for stage in ordered
    ]
