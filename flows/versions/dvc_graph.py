"""The stage graph as DVC computes it: the order of `dvc repro`, and which stages are unchanged.

This uses DVC's own planner, which is not public API: DVC is pinned, and
tests/flows/test_pipeline.py compares the order with that of `dvc repro`.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.scm import SCMError
from dvc_data.hashfile.build import IgnoreInCollectedDirError

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW

Result = TypeVar("Result")
SECONDS_BETWEEN_TRIES = 1.0
ANSI_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Step:
    """A stage of dvc.yaml, or a .dvc file.

    Attributes:
        address: as DVC names it: `ingest`, or `data/raw.dvc`.
        clean: neither it nor any stage that it depends on has changed since its last run.
        meta: its `meta:` block in dvc.yaml; empty without one.
    """

    address: str
    clean: bool
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people: `ingest`, or `data/raw`."""
        return self.address.removesuffix(".dvc")


def wait_for_others(action: Callable[[], Result]) -> Result:
    """Call `action`, and again each second while another DVC command locks the files it needs.

    Returns:
        What `action` returned.

    Raises:
        DvcException: any other error of `action`.
    """
    announced = False
    while True:
        try:
            return action()
        except DvcException as error:
            if not any(isinstance(cause, LockError) for cause in (error, error.__cause__)):
                raise
            if not announced:
                print("waiting: another DVC command works on the same files", flush=True)
                announced = True
            time.sleep(SECONDS_BETWEEN_TRIES)


def in_repo(action: Callable[[Repo], Result]) -> Result:
    """Call `action` with the DVC repository of this folder, once other DVC commands have ended.

    Raises:
        UserError: where this is no DVC repository, or DVC refuses.
    """

    def open_and_act() -> Result:
        with Repo(_wait_for_lock=True) as repo:
            return action(repo)

    try:
        return wait_for_others(open_and_act)
    except (DvcException, IgnoreInCollectedDirError) as error:
        raise UserError(missing_repository(error) or f"dvc: {message_of(error)}") from error


def require_repository() -> None:
    """Raises UserError where this folder is no git and DVC repository."""
    in_repo(lambda repo: None)


def missing_repository(error: BaseException) -> str | None:
    """What to do where DVC stopped for want of a repository; None where it is there."""
    if isinstance(error, NotDvcRepoError):
        return f"{Path.cwd()}: needs a DVC repository, found none: run dvc init"
    if isinstance(error, SCMError) and not Path(".git").exists():
        return f"{Path.cwd()}: needs a git repository of its own, found none: run git init"
    return None


def message_of(error: BaseException | str) -> str:
    """What DVC says of an error, in one line, and without the colours that it gives to links."""
    return " ".join(ANSI_ESCAPE.sub("", str(error)).split())


def dvc_add_raw() -> None:
    """`dvc add data/raw` where data/raw.dvc does not exist: no run without versioned inputs."""
    if not Path(f"{RAW}.dvc").is_file():
        in_repo(lambda repo: repo.add(str(RAW)))


def read_steps(until: str | None = None) -> list[Step]:
    """The stages in the order in which DVC runs them: all, or `until` and those it depends on.

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
            upstream_clean = all(clean[address] for address in upstream)
            clean[stage.addressing] = upstream_clean and not stage.changed()
    return [
        Step(stage.addressing, clean[stage.addressing], getattr(stage, "meta", None) or {})
        for stage in ordered
    ]
