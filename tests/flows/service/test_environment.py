"""What every process finds in its environment: proxies that loopback is not asked through, HOME."""

import getpass
import os
import tempfile
import urllib.request
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.service import environment, server
from flows.service.environment import loopback_without_proxy, writable_places

ALL = "127.0.0.1,localhost,::1"
HOSTS = st.sampled_from(["intranet.example", ".example", "10.0.0.1", "127.0.0.1:80", "localhost"])
URLS = ["http://127.0.0.1:4200/api", "http://localhost:1/", "http://[::1]:4200/", "ws://127.0.0.1"]


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ({}, {}),
        ({"NO_PROXY": "intranet.example"}, {}),
        ({"HTTP_PROXY": ""}, {}),
        ({"HTTP_PROXY": "p"}, {"NO_PROXY": ALL, "no_proxy": ALL}),
        ({"SOCKS_PROXY": "p"}, {"NO_PROXY": ALL, "no_proxy": ALL}),  # websockets asks these three
        ({"ws_proxy": "p"}, {"NO_PROXY": ALL, "no_proxy": ALL}),
        ({"WSS_PROXY": "p"}, {"NO_PROXY": ALL, "no_proxy": ALL}),
        (
            {"all_proxy": "p", "NO_PROXY": "a, b"},
            {"NO_PROXY": f"a,b,{ALL}", "no_proxy": f"a,b,{ALL}"},
        ),
        (
            {"https_proxy": "p", "NO_PROXY": "a", "no_proxy": "b"},
            {"NO_PROXY": f"a,{ALL}", "no_proxy": f"b,{ALL}"},
        ),
        ({"HTTP_PROXY": "p", "no_proxy": "*"}, {"NO_PROXY": "*", "no_proxy": "*"}),
        (
            {"HTTP_PROXY": "p", "no_proxy": "localhost"},
            {"NO_PROXY": "localhost,127.0.0.1,::1", "no_proxy": "localhost,127.0.0.1,::1"},
        ),
    ],
    ids=str,
)
def test_the_users_exceptions_stay(users: dict[str, str], expected: dict[str, str]) -> None:
    assert loopback_without_proxy(users) == expected


@given(st.lists(HOSTS), st.sampled_from(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]))
def test_no_client_asks_a_proxy_for_this_machine(own: list[str], name: str) -> None:
    users = {name: "http://proxy.example:3128", "NO_PROXY": ",".join(own)}
    with pytest.MonkeyPatch.context() as patch:
        for each in ("http", "https", "all", "no"):
            patch.delenv(f"{each}_proxy", raising=False)
            patch.delenv(f"{each}_PROXY".upper(), raising=False)
        for variable, value in {**users, **loopback_without_proxy(users)}.items():
            patch.setenv(variable, value)
        with httpx.Client() as client:
            chosen = [client._transport_for_url(httpx.URL(url)) for url in URLS]
            assert all(transport is client._transport for transport in chosen)
            elsewhere = client._transport_for_url(httpx.URL("http://prefect.test/api"))
            assert elsewhere is not client._transport
        for host in ("127.0.0.1:4200", "localhost:4200", "::1:4200"):
            assert urllib.request.proxy_bypass(host)  # as websockets asks


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "0.0.0.0"])
def test_another_address_of_this_machine_is_excepted_as_well(host: str) -> None:
    found = loopback_without_proxy({"HTTP_PROXY": "p"}, f"http://{host}:4200/api")
    assert host.strip("[]") in found["no_proxy"].split(",")
    found = loopback_without_proxy({"HTTP_PROXY": "p"}, "http://prefect.example/api")
    assert found["no_proxy"] == ALL


def test_a_proxy_that_prefect_cannot_use_stops_no_server_of_this_machine(
    no_proxies: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:1080")
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    server.ask_no_proxy("http://prefect.example/api")
    assert os.environ["ALL_PROXY"] == "socks4://127.0.0.1:1080"  # the user's, for that server
    server.ask_no_proxy("http://127.0.0.1:4200/api")
    assert "ALL_PROXY" not in os.environ and os.environ["https_proxy"] == "proxy.example:3128"
    httpx.Client().close()


@pytest.mark.parametrize("unread", ["[::1]", "[::1]:80", "fd00::/8", "host:name", "ä.example"])
def test_an_exception_that_prefect_cannot_read_stops_nothing(
    unread: str, no_proxies: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = "10.0.0.0/8,::1,2001:db8::1,.example,*.a,a:80,http://b"
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", f"{read}, {unread}")
    with pytest.raises(httpx.InvalidURL):
        httpx.Client()
    server.ask_no_proxy("http://prefect.example/api")
    assert os.environ["NO_PROXY"] == read
    httpx.Client().close()
    monkeypatch.setenv("no_proxy", f"*,{unread}")
    server.ask_no_proxy("")
    assert os.environ["no_proxy"] == "*"


# --- HOME -------------------------------------------------------------------------------------


@pytest.fixture
def fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands in for HOME, in a project in tmp_path."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".variegate/home"


@pytest.mark.parametrize("home", ["/proc/none", "relative", "", "~", "/dev/null"])
def test_a_home_that_is_no_folder_is_one_in_the_project(home: str, fallback: Path) -> None:
    Path("relative").mkdir()
    assert writable_places({"HOME": home}) == {"HOME": str(fallback)}
    elsewhere = writable_places({"HOME": home, "VARIEGATE_CACHE": "/disk/cache"})
    assert elsewhere == {"HOME": "/disk/cache/home"}


def test_a_user_whom_nobody_knows_has_a_home_and_a_name(
    fallback: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)  # of no user
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert writable_places({}) == {"HOME": str(fallback)}
    found = environment.user_without_name(os.environ)
    assert found == {"USER": "user-4000000000"}
    monkeypatch.setenv("USER", found["USER"])
    assert getpass.getuser() == "user-4000000000"


def test_a_home_that_can_be_read_alone_stays(fallback: Path) -> None:
    places = {"PREFECT_HOME": ".prefect", "MPLCONFIGDIR": "matplotlib", "XDG_CACHE_HOME": ".cache"}
    expected = {name: str(fallback / place) for name, place in places.items()}
    assert writable_places({"HOME": "/proc"}) == expected  # where not even root can write
    own = {"HOME": "/proc", "PREFECT_HOME": "/disk/prefect"}
    assert writable_places(own) == {
        name: place for name, place in expected.items() if name != "PREFECT_HOME"
    }


def test_settings_that_can_be_read_are_read_where_they_are(
    fallback: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".prefect", ".cache"):
        (tmp_path / name).mkdir()
    profiles = tmp_path / ".prefect/profiles.toml"
    profiles.write_text("")
    monkeypatch.setattr(environment, "can_be_written", lambda place: place.name == "dvc")
    assert writable_places({"HOME": str(tmp_path)}) == {
        "PREFECT_HOME": str(fallback / ".prefect"),
        "PREFECT_PROFILES_PATH": str(profiles),
        "MPLCONFIGDIR": str(fallback / "matplotlib"),
    }
    monkeypatch.setattr(environment, "can_be_written", lambda place: place.name != "dvc")
    assert writable_places({"HOME": str(tmp_path)}) == {"DVC_SITE_CACHE_DIR": str(fallback / "dvc")}


def test_a_home_with_folders_that_nobody_else_can_read(fallback: Path) -> None:
    """As a user who owns nothing of it: root could read all."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        for name in (".config/matplotlib", ".cache", ".prefect"):
            Path(home, name).mkdir(parents=True)
        for name in (".config", ".cache", ".prefect"):
            Path(home, name).chmod(0 if os.geteuid() else 0o700)
        real, effective, saved = os.getresuid()
        os.setresuid(effective or 65534, effective or 65534, saved)
        try:
            found = writable_places({"HOME": home, "DVC_SITE_CACHE_DIR": "/disk/dvc"})
        finally:
            os.setresuid(real, effective, saved)
            for name in (".config", ".cache", ".prefect"):
                Path(home, name).chmod(0o700)
    assert found == {
        "PREFECT_HOME": str(fallback / ".prefect"),
        "MPLCONFIGDIR": str(fallback / "matplotlib"),
        "XDG_CACHE_HOME": str(fallback / ".cache"),
        "XDG_CONFIG_HOME": str(fallback / ".config"),
    }


def test_a_home_that_can_be_written_changes_nothing(fallback: Path, tmp_path: Path) -> None:
    assert writable_places({"HOME": str(tmp_path)}) == {}
    assert list(tmp_path.iterdir()) == []
