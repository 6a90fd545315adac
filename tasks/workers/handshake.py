"""What a client and the workers of a cluster have to agree on: libraries, code, project folder.

So that results are the same wherever they are computed. A worker process compares once for each
client. What it has is what it had when it was first asked: modules are not imported anew.
"""

import hashlib
import platform
import secrets
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from tasks.common.code_hash import code_hash
from tasks.common.errors import UserError
from tasks.workers import project_folder
from tasks.workers.project_folder import ProjectFolder

# those of requirements/pixels.txt, and those that carry calls and tables
LIBRARIES = (
    "albucore",
    "albumentations",
    "imagehash",
    "numpy",
    "opencv-python-headless",
    "pi-heif",
    "pillow",
    "pyarrow",
    "pywavelets",
    "scipy",
    "simsimd",
    "stringzilla",
    "pandas",
    "dask",
    "distributed",
)
PROCESSOR = "a processor of the kind"
CODE = "the code in tasks/"
RAW_DVC = Path("data/raw.dvc")  # names the data; a project without DVC has none
DIGITS = 8  # of a hash, for people

# called in a worker that begins to work for another client than before
at_new_client: list[Callable[[], None]] = []


class Agreement(NamedTuple):
    """What the client has.

    `client`: a random name, of one connection. `software`: versions and hashes, by names that
    people know. `data`: the hash of data/raw.dvc. `folder`: the project's; None: workers need not
    share it.
    """

    client: str
    software: tuple[tuple[str, str], ...]
    data: str
    folder: ProjectFolder | None


def agreement(folder: ProjectFolder | None) -> Agreement:
    """What this process, the client, has."""
    return Agreement(secrets.token_hex(8), tuple(software().items()), data_hash(), folder)


def software() -> dict[str, str]:
    """Python, the kind of processor, the libraries and the code that this process uses."""
    python = ".".join(map(str, sys.version_info[:2]))
    versions = {name: _version(name) for name in LIBRARIES}
    return {"Python": python, PROCESSOR: platform.machine(), **versions, CODE: _short(code_hash())}


def data_hash() -> str:
    """The hash of data/raw.dvc in the folder that this process is in, or "none"."""
    try:
        return _short(hashlib.sha256(RAW_DVC.read_bytes()).hexdigest())
    except FileNotFoundError:
        return "none"


class _Worker:
    """This process as a worker: its software, and where it works for which client."""

    def __init__(self) -> None:
        self.software = software()
        self.client: Agreement | None = None  # the last one, with which it agrees
        self.place: Path | None = None


@cache
def _this_worker() -> _Worker:
    return _Worker()


def require(agreement: Agreement, address: str) -> None:
    """Check that this process, a worker, has what the client has, and be in the project's folder.

    Args:
        agreement: what the client has.
        address: this worker's, for people.

    Raises:
        UserError: the first difference, in one line with both values.
    """
    worker = _this_worker()
    if agreement != worker.client:
        worker.client = None
        _forget_files()
        worker.place = project_folder.find(agreement.folder) if agreement.folder else None
        if agreement.folder is None:
            project_folder.enter_own()
        for difference in _differences(worker, agreement):
            raise UserError(f"VARIEGATE_CLUSTER: worker {address} needs {difference}")
        worker.client = agreement
    if agreement.folder and worker.place:
        project_folder.enter(agreement.folder, worker.place)


def _differences(worker: _Worker, agreement: Agreement) -> Iterator[str]:
    """What the worker needs and what it has instead, the most telling first."""
    for name, needed in agreement.software:
        found = worker.software.get(name, "none")
        if found != needed:
            is_old = name == CODE and _short(code_hash()) == needed
            restart = ", loaded before a change: restart the workers" if is_old else ""
            yield f"{name} {needed}, found {found}{restart}"
    folder = agreement.folder
    if folder:
        if worker.place is None:
            seen = f"found it neither there nor in {project_folder.STARTED_IN}"
            yield f"the client's folder {folder.path}, {seen}: share it, and start the worker in it"
            return
        project_folder.enter(folder, worker.place)
        if not project_folder.sees_cache(folder):
            yield f"the client's VARIEGATE_CACHE {folder.cache}, found another folder or none there"
    if agreement.data != (found := data_hash()):
        yield f"{RAW_DVC} {agreement.data}, found {found}"


def _forget_files() -> None:
    """Forget what was found out for another client: its files are others, or may have changed."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tasks.") and not name.startswith("tasks.workers."):
            for value in list(vars(module).values()):
                if isinstance(value, type(_this_worker)):
                    value.cache_clear()
    for call in at_new_client:
        call()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _short(digest: str) -> str:
    return digest[:DIGITS]
