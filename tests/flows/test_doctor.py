"""Findings of doctor in environments that are wrong; `variegate doctor` is in test_cli.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows import doctor
from flows.doctor import Finding
from flows.versions import dvc_graph, remote
from tasks.common.errors import UserError
from tests.conftest import Project


def test_git_is_needed_and_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    missing = "this folder is in no git repository"
    assert doctor.git_repository() == Finding("git", False, missing, "run git init")
    subprocess.run(["git", "init", "-q"], check=True)
    found = doctor.git_repository()
    assert found.ok and found.found.endswith(f"repository {tmp_path.resolve()}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.git_repository() == Finding("git", False, "not found on the PATH", "install git")


def test_a_repository_of_a_folder_above_is_none_to_dvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "unpacked").mkdir()
    monkeypatch.chdir(tmp_path / "unpacked")
    found = f"only a folder above has one: {tmp_path.resolve()}"
    assert doctor.git_repository() == Finding("git", False, found, "run git init")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_must_not_be_asked_for_the_local_server(name: str) -> None:
    assert doctor.proxy({}) == Finding("proxy", True, "none is set")
    users = {name: "http://me:secret@proxy.example:3128"}
    found = (
        f"{name.upper()}: `prefect` and `dvc` would ask 127.0.0.1 through it; `variegate` does not"
    )
    hosts = "127.0.0.1,localhost,::1"
    mend = f"export NO_PROXY={hosts} no_proxy={hosts}"
    assert doctor.proxy(users) == Finding("proxy", False, found, mend)
    mend = mend.replace("127", "intranet.example,127")
    excepted = {**users, "NO_PROXY": "intranet.example"}
    assert doctor.proxy(excepted) == Finding("proxy", False, found, mend)
    for value in ("127.0.0.1", "intranet.example, 127.0.0.1", "*"):
        assert doctor.proxy({**users, "NO_PROXY": value}) == Finding(
            "proxy", True, f"{name.upper()}, but not for 127.0.0.1"
        )


def test_an_exception_that_prefect_cannot_read_is_told() -> None:
    users = {"HTTP_PROXY": "http://proxy.example", "no_proxy": "127.0.0.1,[::1],fd00::/8,.example"}
    found = "NO_PROXY: Prefect cannot read [::1], fd00::/8, and would ask no server at all"
    hosts = "127.0.0.1,.example,localhost,::1"
    mend = f"export NO_PROXY={hosts} no_proxy={hosts}"
    assert doctor.proxy(users) == Finding(
        "proxy", False, f"{found}; `variegate` leaves it out", mend
    )


def test_a_proxy_that_prefect_cannot_use_is_told() -> None:
    users = {"all_proxy": "gopher://proxy.example", "NO_PROXY": "127.0.0.1"}
    found = "all_proxy: Prefect cannot use such a proxy, and goes without for 127.0.0.1"
    mend = "unset all_proxy, or name one of http://"
    assert doctor.proxy(users) == Finding("proxy", False, found, mend)


def test_home_has_to_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor.home({"HOME": str(tmp_path)}) == Finding(
        "home", True, f"{tmp_path} can be written"
    )
    assert list(tmp_path.iterdir()) == []
    mend = "export HOME=DIR, a folder of yours: Prefect and DVC write there"
    used = f"{tmp_path}/.variegate/home is used instead"
    found = f"/proc/nowhere: no folder that can be read; {used}"
    assert doctor.home({"HOME": "/proc/nowhere"}) == Finding("home", False, found, mend)
    moved = "MPLCONFIGDIR, PREFECT_HOME, XDG_CACHE_HOME"
    found = f"/proc: cannot be written ({moved}); {used}"
    assert doctor.home({"HOME": "/proc"}) == Finding("home", False, found, mend)


def test_a_remote_of_a_kind_without_its_package_is_told(
    checkout: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.root)
    none = "none: `dvc remote add -d NAME ADDRESS` sets one"
    assert doctor.remote() == Finding("remote", True, none)
    checkout.run("dvc", "remote", "add", "-q", "-d", "store", "s3://bucket/set")
    assert doctor.remote() == Finding("remote", True, "store (s3://bucket/set)")
    monkeypatch.setitem(sys.modules, "dvc_s3", None)
    mend = "pip install 'variegate[s3]'"
    assert doctor.remote() == Finding(
        "remote", False, "store (s3://bucket/set) needs a package", mend
    )
    with pytest.raises(UserError) as error:
        dvc_graph.in_repo(remote.push)
    line = f"DVC's remote store (s3://bucket/set): needs a package that is not installed: {mend}"
    assert str(error.value) == line
