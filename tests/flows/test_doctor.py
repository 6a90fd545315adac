"""Findings of doctor in environments that are wrong; `variegate doctor` is in test_cli.py."""

import subprocess
from pathlib import Path

import pytest

from flows import doctor
from flows.doctor import Finding


def test_git_is_needed_and_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    missing = "this folder is in no git repository"
    assert doctor.git_repository() == Finding("git", False, missing, "run git init")
    subprocess.run(["git", "init", "-q"], check=True)
    found = doctor.git_repository()
    assert found.ok and found.found.endswith(f"repository {tmp_path.resolve()}")
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = "git: not found on the PATH; install it"
    assert doctor.git_repository() == Finding("git", False, missing, "install git")


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_must_not_be_asked_for_the_local_server(
    name: str, no_proxies: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor.proxy().ok
    monkeypatch.setenv(name, "http://me:secret@proxy.example:3128")
    found = f"{name.upper()}: the local Prefect server would be asked through it"
    mend = "export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost"
    assert doctor.proxy() == Finding("proxy", False, found, mend)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    mend = mend.replace("127", "intranet.example,127")
    assert doctor.proxy() == Finding("proxy", False, found, mend)
    for excluded in ("127.0.0.1", "intranet.example, 127.0.0.1", "*"):
        monkeypatch.setenv("NO_PROXY", excluded)
        assert doctor.proxy().ok


@pytest.mark.parametrize("folder", ["/proc", "/proc/nowhere"])  # root cannot write there either
def test_home_has_to_be_writable(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert doctor.home() == Finding("home", True, f"{tmp_path} can be written")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("HOME", folder)
    mend = "set HOME to a folder of yours: Prefect and DVC write there"
    found = doctor.home()
    assert (found.ok, found.found.partition(":")[0], found.mend) == (False, folder, mend)
