"""The local port, and whether a Prefect server can be there, told without Prefect."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.service import lookup
from tests.conftest import ROOT

PREFECT = """# api
[project]
name = "fastapi"
[tool.prefect]
server.analytics_enabled = false
"""


@pytest.fixture(autouse=True)
def nothing_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty project, and nobody at the local port."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(lookup, "PORT", free.getsockname()[1])


def test_where_nothing_names_a_server_none_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lookup.no_server()
    Path("pyproject.toml").write_text(PREFECT)
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.setenv("PREFECT_SERVER_UI_V2_ENABLED", "false")
    assert lookup.no_server()


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "prefect_server_api_port", "PREFECT_PROFILE"])
def test_variables_can_name_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    assert not lookup.no_server()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".env", "PREFECT_API_URL=http://127.0.0.1:1/api"),
        ("prefect.toml", "[api]\nurl = 'http://127.0.0.1:1/api'"),
        ("home/profiles.toml", "[profiles.mine]\nPREFECT_API_URL = 'http://127.0.0.1:1/api'"),
        ("pyproject.toml", "[tool.prefect]\napi.url = 'http://127.0.0.1:1/api'"),
        ("pyproject.toml", "[tool.prefect]\nserver.api.port = 4300"),
        ("pyproject.toml", "no TOML ["),
        (".env", "PREFECT_PROFILES_PATH=conf/profiles.toml"),
        ("prefect.toml", "profiles_path = 'conf/profiles.toml'"),
        ("pyproject.toml", "[tool.prefect]\nprofiles_path = 'conf/profiles.toml'"),
    ],
)
def test_files_can_name_one(file: str, text: str) -> None:
    Path("home").mkdir()
    Path(file).write_text(text)
    assert not lookup.no_server()


def test_one_can_be_up_at_the_local_port() -> None:
    with socket.create_server(("127.0.0.1", lookup.PORT)):
        assert not lookup.no_server()
    assert lookup.no_server()


def test_the_local_port_is_prefects_unless_a_variable_names_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lookup.local_port() == lookup.PORT
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "4321")
    assert lookup.local_port() == 4321


@pytest.mark.starts
def test_a_file_can_name_the_local_port() -> None:
    Path("prefect.toml").write_text("[server.api]\nport = 4300\n")
    asks = "from flows.service.lookup import local_port; print(local_port())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", asks], env=environment, capture_output=True)
    assert (done.stdout, done.stderr) == (b"4300\n", b"")
