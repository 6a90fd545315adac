"""Doctor: what is installed, what is wrong and how to mend it."""

import importlib.metadata
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from flows import preconditions
from flows.service.server import find, without_secrets
from tasks.common import machine
from tasks.common.errors import UserError, one_line

PIXELS = Path("requirements/pixels.txt")
LOCK = Path("requirements/lock.txt")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, and how to mend it where it is not ok."""

    what: str
    ok: bool
    found: str
    mend: str = ""


def examine() -> list[Finding]:
    """Look at everything."""
    return [
        python(),
        environment(),
        device(),
        cache_links(),
        private_cache(),
        parameters(),
        raw_data(),
        server(),
    ]


def python() -> Finding:
    """`dvc repro` runs `python` from the PATH: it has to be this one."""
    # flows/__init__ put this environment first; what the user's shell finds is behind it
    entries = os.environ["PATH"].split(os.pathsep)[1:]
    found = shutil.which("python", path=os.pathsep.join(entries))
    here = Path(sys.executable).parent
    version = ".".join(map(str, sys.version_info[:3]))
    ok = found is not None and Path(found).parent == here
    return Finding(
        "python",
        ok,
        f"{version}, {found or 'none'} on the PATH",
        f"`dvc repro` needs it: . {here / 'activate'}",
    )


def environment() -> Finding:
    """The installed versions against the lock."""
    wrong = []
    for path in (PIXELS, LOCK):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(("#", "-")) or not line.strip():
                continue
            wanted = Requirement(line)
            if wanted.marker is not None and not wanted.marker.evaluate():
                continue
            try:
                installed = importlib.metadata.version(wanted.name)
            except importlib.metadata.PackageNotFoundError:
                installed = "none"
            if not wanted.specifier.contains(
                installed if installed != "none" else "0", prereleases=True
            ):
                wrong.append(f"{wanted.name} {installed}, not {wanted.specifier}")
    found = (
        "as locked"
        if not wrong
        else "; ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    )
    return Finding("environment", not wrong, found, "make .venv/.ready after `rm .venv/.ready`")


def device() -> Finding:
    """What training runs on."""
    import torch

    if torch.cuda.is_available():
        return Finding(
            "device", True, f"cuda: {torch.cuda.get_device_name()}, torch {torch.__version__}"
        )
    return Finding(
        "device", True, f"cpu, {machine.worker_count()} workers, torch {torch.__version__}"
    )


def cache_links() -> Finding:
    """Whether the workspace and DVC's cache can share files."""
    folder = Path(".dvc/cache")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            place = Path("data") / f".{Path(file.name).name}.link"
            os.link(file.name, place)
            place.unlink()
    except OSError as error:
        return Finding(
            "cache links",
            False,
            f"no hard links from .dvc/cache to data: {error.strerror}",
            "keep both on one disk",
        )
    return Finding(
        "cache links", True, "hard links: the workspace and DVC's cache share their files"
    )


def private_cache() -> Finding:
    """What the private cache takes."""
    try:
        size = sum(
            path.stat().st_size for path in machine.cache_folder().rglob("*") if path.is_file()
        )
        limit = machine.cache_limit_bytes()
    except UserError as error:
        return Finding("private cache", False, str(error), "unset it, or give a number")
    found = f"{machine.cache_folder()}: {size / 1e6:,.1f} MB of at most {limit / 1e9:g} GB; may be deleted at any time"
    return Finding("private cache", True, found)


def parameters() -> Finding:
    """params.yaml."""
    try:
        preconditions.check_params()
    except UserError as error:
        return Finding("parameters", False, str(error), "edit params.yaml")
    return Finding("parameters", True, "params.yaml is sound")


def raw_data() -> Finding:
    """data/raw."""
    try:
        preconditions.require_raw()
    except UserError as error:
        return Finding("raw data", False, str(error), "variegate sample digits, or your own images")
    except OSError as error:
        return Finding("raw data", False, one_line(error) or str(error), "make it readable")
    return Finding("raw data", True, "data/raw holds files")


def server() -> Finding:
    """Which Prefect server a run reports to."""
    try:
        url = find()
    except UserError as error:
        return Finding("server", False, str(error), "variegate ui, or unset PREFECT_API_URL")
    none = "none is up: each run starts its own; `variegate ui` starts one that stays"
    return Finding("server", True, without_secrets(url) or none)
