"""Environment variables of this process and its children: telemetry, proxies, HOME, the PATH.

flows/__init__ calls prepare() before anything imports Prefect or DVC, which read some of these at
their import. What the user has set stays, proxies for other hosts included.
"""

import getpass
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

USERS_OWN = dict(os.environ)  # as the user's shell gave it: doctor examines this

DEFAULTS = {
    # telemetry off
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    # on a busy machine the 20 seconds that Prefect gives its temporary server are too few
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
}
HOST = "127.0.0.1"  # where servers of our own listen
LOOPBACK = (HOST, "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "socks_proxy", "ws_proxy", "wss_proxy")
NO_PROXY = ("NO_PROXY", "no_proxy")  # programs differ in which they read first


def prepare() -> None:
    """Set what every process that the project starts should find in its environment."""
    # dvc.yaml says `python`: it has to be this environment's, activated or not
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])
    os.environ.update({**DEFAULTS, **os.environ})
    os.environ.update(loopback_without_proxy(os.environ))
    if Path("dvc.yaml").is_file():
        os.environ.update(user_without_name(os.environ))
        places = writable_places(os.environ)
        if places:
            with suppress(OSError):  # what needs the folder tells
                fallback_folder(os.environ).mkdir(parents=True, exist_ok=True)
        os.environ.update(places)


# --- proxies ----------------------------------------------------------------------------------


def loopback_without_proxy(environment: Mapping[str, str], url: str = "") -> dict[str, str]:
    """NO_PROXY and no_proxy such that no proxy is asked for a server of this machine.

    Prefect asks its server at 127.0.0.1 through httpx and websockets, which obey these variables.

    Args:
        environment: what the variables are now; their entries are kept.
        url: of another server; its host is added where it is this machine.

    Returns:
        The variables to set; none where no proxy is named.
    """
    if not proxies(environment):
        return {}
    hosts = [*LOOPBACK, *filter(is_this_machine, [urlsplit(url).hostname or ""])]
    either = {name: environment[name] for name in reversed(NO_PROXY) if name in environment}
    return {
        name: with_entries(environment.get(name, "".join(either.values())), hosts)
        for name in NO_PROXY
    }


def proxies(environment: Mapping[str, str]) -> list[str]:
    """The variables that name a proxy, as they are written: HTTP_PROXY, all_proxy and the like."""
    return sorted(name for name in environment if name.lower() in PROXIES and environment[name])


def with_entries(value: str, hosts: Iterable[str]) -> str:
    """The value of NO_PROXY with these hosts; `*`, which excepts all, stays alone."""
    own = entries(value)
    return "*" if own == ["*"] else ",".join(dict.fromkeys([*own, *hosts]))


def entries(value: str) -> list[str]:
    """The hosts in a value of NO_PROXY."""
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def is_this_machine(host: str) -> bool:
    """Whether a host is a name or an address of loopback."""
    if host == "localhost":
        return True
    import ipaddress  # few processes ask

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


# --- HOME -------------------------------------------------------------------------------------


def writable_places(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that lead to a folder of the project what would be written where nobody can.

    As in a container that runs as any user: HOME is `/`, unset, or a folder of somebody else.
    A HOME that can be read stays HOME, for the settings of git and the keys of remotes in it.
    """
    fallback = fallback_folder(environment)
    own = home_folder(environment)
    home = own or fallback
    changes = {} if own else {"HOME": str(fallback)}
    used = {
        "PREFECT_HOME": home / ".prefect",
        "MPLCONFIGDIR": home / ".config/matplotlib",
        "DVC_SITE_CACHE_DIR": Path("/var/tmp/dvc"),
    }
    if not can_be_read(home / ".cache"):
        used["XDG_CACHE_HOME"] = home / ".cache"
    if (home / ".config").exists() and not can_be_read(home / ".config"):
        used["XDG_CONFIG_HOME"] = home / ".config"  # DVC would stop at its settings there
    for variable, place in used.items():
        if not environment.get(variable) and not can_be_written(place):
            changes[variable] = str(fallback / place.name)
    profiles = home / ".prefect/profiles.toml"
    if "PREFECT_HOME" in changes and os.access(profiles, os.R_OK):
        changes.setdefault("PREFECT_PROFILES_PATH", str(profiles))
    return changes


def fallback_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the private cache that stands in for HOME."""
    return Path(environment.get("VARIEGATE_CACHE") or ".variegate", "home").absolute()


def home_folder(environment: Mapping[str, str]) -> Path | None:
    """The user's home, as HOME or the list of users has it; None where there is no such folder."""
    try:
        home = Path(environment["HOME"]) if "HOME" in environment else Path.home()
    except RuntimeError:  # the list of users does not know this one
        return None
    return home if home.is_absolute() and home.is_dir() and can_be_read(home) else None


def can_be_read(folder: Path) -> bool:
    """Whether the folder is there, and can be listed and entered."""
    return os.access(folder, os.R_OK | os.X_OK)


def can_be_written(place: Path) -> bool:
    """Whether files can be written in this folder, or it can be made."""
    while not os.access(place, os.F_OK):  # Path.exists() raises where a folder cannot be read
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False


def user_without_name(environment: Mapping[str, str]) -> dict[str, str]:
    """USER for a user whom the list of users does not know: DVC asks for the name."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        return {"USER": f"user-{os.getuid()}"}
    return {}
