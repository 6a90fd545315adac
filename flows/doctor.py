"""Doctor: examine the installation and this project, and say how to mend what is wrong."""

import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement

from flows import preconditions
from flows.console.tables import Finding
from flows.service import environment
from flows.service.environment import HOST, NO_PROXY, entries
from flows.service.server import (
    find_server,
    httpx_reads,
    httpx_takes,
    readable_exceptions,
    without_secrets,
)
from flows.versions.git import git
from tasks.common import machine
from tasks.common.errors import UserError, one_line

PIXELS = Path("requirements/pixels.txt")
LOCK = Path("requirements/lock.txt")
MOST_NAMED = 5  # packages


def examine() -> list[Finding]:
    """Make every check."""
    return [
        python(),
        packages(),
        git_repository(),
        device(),
        home(),
        cache_links(),
        private_cache(),
        parameters(),
        raw_data(),
        remote(),
        proxy(),
        server(),
    ]


def python() -> Finding:
    """`dvc repro` runs `python` from the PATH: it has to be this one."""
    # flows/__init__ put this environment first; the PATH of the user's shell follows
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


def packages() -> Finding:
    """The installed versions against the lock."""
    wrong = []
    for path in (PIXELS, LOCK):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith(("#", "-")):
                wrong += _not_as_locked(Requirement(line))
    more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
    found = "; ".join(wrong[:MOST_NAMED]) + more if wrong else "as locked"
    return Finding("environment", not wrong, found, "make .venv/.ready after `rm .venv/.ready`")


def _not_as_locked(wanted: Requirement) -> list[str]:
    """Says which version of a package is installed, where it is another than the lock's."""
    if wanted.marker is not None and not wanted.marker.evaluate():
        return []
    try:
        installed = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return [f"{wanted.name} none, not {wanted.specifier}"]
    if wanted.specifier.contains(installed, prereleases=True):
        return []
    return [f"{wanted.name} {installed}, not {wanted.specifier}"]


def git_repository() -> Finding:
    """Git, and the repository of this folder, which DVC works in."""
    try:
        version = git("--version", check=True).decode(errors="replace").strip()
    except UserError:
        return Finding("git", False, "not found on the PATH", "install git")
    try:
        folder = git("rev-parse", "--show-toplevel", check=True).decode(errors="replace").strip()
    except UserError as error:
        if Path(".git").exists():  # of another user, or damaged
            return Finding("git", False, str(error))
        folder = ""
    if not folder:
        return Finding("git", False, "this folder is in no git repository", "run git init")
    if not (Path(".git").exists() or Path(folder, ".dvc").is_dir()):
        return Finding("git", False, f"only a folder above has one: {folder}", "run git init")
    return Finding("git", True, f"{version.removeprefix('git version ')}, repository {folder}")


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


def home(users: Mapping[str, str] = environment.USERS_OWN) -> Finding:
    """Whether Prefect and DVC can keep settings and caches where the user's environment says."""
    folder = environment.home_folder(users)
    named = users.get("HOME", "none")
    if folder is None:
        found = f"{named}: no folder that can be read"
    elif moved := sorted(environment.writable_places(users).keys() - {"DVC_SITE_CACHE_DIR"}):
        found = f"{named}: cannot be written ({', '.join(moved)})"
    else:
        return Finding("home", True, f"{folder} can be written")
    place = environment.fallback_folder(users)
    mend = "export HOME=DIR, a folder of yours: Prefect and DVC write there"
    return Finding("home", False, f"{found}; {place} is used instead", mend)


def cache_links() -> Finding:
    """Whether the workspace and DVC's cache can share files."""
    cache, data = Path(".dvc/cache"), Path("data")
    try:
        for folder in (cache, data):
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache) as file:
            link = data / f".{Path(file.name).name}.link"
            os.link(file.name, link)
            link.unlink()
    except OSError as error:
        found = f"no hard links from {cache} to {data}: {error.strerror}"
        return Finding("cache links", False, found, "keep both on one disk")
    found = "hard links: the workspace and DVC's cache share their files"
    return Finding("cache links", True, found)


def private_cache() -> Finding:
    """The size of the private cache, and its limit."""
    try:
        folder, limit = machine.cache_folder(), machine.cache_limit_bytes()
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except UserError as error:
        return Finding("private cache", False, str(error), "unset it, or give a number")
    except OSError as error:
        return Finding("private cache", False, str(error), "make it writable")
    sizes = f"{size / 1e6:,.1f} MB of at most {limit / 1e9:g} GB"
    return Finding("private cache", True, f"{folder}: {sizes}; may be deleted at any time")


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
        return Finding("raw data", False, str(error))
    except OSError as error:
        return Finding("raw data", False, one_line(error) or str(error), "make it readable")
    return Finding("raw data", True, "data/raw holds files")


def remote() -> Finding:
    """DVC's remote, and the package that its kind needs. It is not asked whether it answers."""
    from flows.versions import remote
    from flows.versions.dvc_graph import in_repo

    place, mend = "", ""
    try:
        if git_repository().ok:  # else its own row says what is missing
            place, mend = in_repo(lambda repo: (remote.place(repo), remote.missing_package(repo)))
    except UserError as error:
        return Finding("remote", False, str(error), "edit .dvc/config")
    found = place or "none: `dvc remote add -d NAME ADDRESS` sets one"
    return Finding("remote", not mend, f"{found}{' needs a package' if mend else ''}", mend)


def proxy(users: Mapping[str, str] = environment.USERS_OWN) -> Finding:
    """Whether a local Prefect server would be asked through a proxy, which cannot reach it."""
    names = environment.proxies(users)
    if not names:
        return Finding("proxy", True, "none is set")
    shown = ", ".join(dict.fromkeys(name.upper() for name in names))
    if bad := [name for name in names if not httpx_takes(users[name])]:
        found = f"{', '.join(bad)}: Prefect cannot use such a proxy, and goes without for {HOST}"
        return Finding("proxy", False, found, f"unset {' '.join(bad)}, or name one of http://")
    wanted = environment.loopback_without_proxy({**users, **readable_exceptions(users)})
    assigned = " ".join(f"{name}={hosts}" for name, hosts in wanted.items())
    exceptions = dict.fromkeys(entries(",".join(users.get(name, "") for name in NO_PROXY)))
    if unread := [entry for entry in exceptions if not httpx_reads(entry)]:
        found = f"NO_PROXY: Prefect cannot read {', '.join(unread)}, and would ask no server at all"
        return Finding("proxy", False, f"{found}; `variegate` leaves it out", f"export {assigned}")
    own = users.get("no_proxy", users.get("NO_PROXY", ""))
    if {HOST, "*"}.intersection(entries(own)):
        return Finding("proxy", True, f"{shown}, but not for {HOST}")
    found = f"{shown}: `prefect` and `dvc` would ask {HOST} through it; `variegate` does not"
    return Finding("proxy", False, found, f"export {assigned}")


def server() -> Finding:
    """Which Prefect server a run reports to."""
    try:
        url = find_server()
    except UserError as error:
        return Finding("server", False, str(error))
    none = "none is up: each run starts its own; `variegate ui` starts one that stays"
    return Finding("server", True, without_secrets(url) or none)
