"""The local Prefect server: its port, and whether any server can be there, told without Prefect.

Importing Prefect takes a second.
"""

import os
import socket
import tomllib
from contextlib import suppress
from pathlib import Path

from flows.service.environment import HOST

PORT = 4200  # Prefect's default
SECONDS_TO_CONNECT = 1.0


def no_server() -> bool:
    """Whether no setting of Prefect's can name a server, and none listens at the local port.

    False says nothing: then Prefect has to be asked.
    """
    return not (_named_in_environment() or _named_in_a_file() or _listens())


def local_port() -> int:
    """The port of the local server; Prefect is asked only where one of its files can name it."""
    own = os.environ.get("PREFECT_SERVER_API_PORT", "")
    if own.isdecimal():
        return int(own)
    if not (own or _named_in_environment() or _named_in_a_file()):
        return PORT
    from prefect.settings import PREFECT_SERVER_API_PORT

    return int(PREFECT_SERVER_API_PORT.value())


def _named_in_environment() -> bool:
    """Whether a variable of Prefect's speaks of its API or of a profile."""
    names = [name.upper() for name, value in os.environ.items() if value]
    return any(
        name.startswith("PREFECT_") and ("API" in name or "PROFILE" in name) for name in names
    )


def _named_in_a_file() -> bool:
    """Whether a file of Prefect's settings speaks of its API, or of where its profiles are."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    own = _text(Path(".env")) + _text(Path("prefect.toml"))
    if _speaks_of_server(own) or "api" in _text(home / "profiles.toml").lower():
        return True
    try:
        tools = tomllib.loads(_text(Path("pyproject.toml"))).get("tool", {})
    except tomllib.TOMLDecodeError:
        return True
    return _speaks_of_server(str(tools.get("prefect")))


def _speaks_of_server(settings: str) -> bool:
    return "api" in settings.lower() or "profile" in settings.lower()


def _text(path: Path) -> str:
    """The content of a file; empty where there is none."""
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _listens() -> bool:
    with suppress(OSError), socket.create_connection((HOST, PORT), SECONDS_TO_CONNECT):
        return True
    return False
