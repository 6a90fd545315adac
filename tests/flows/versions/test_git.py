"""Git finds its environment as the user's shell gave it."""

import pytest

from flows.service import environment, server
from flows.versions.git import git


def test_git_asks_a_proxy_that_prefect_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.NO_PROXY:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delitem(environment.USERS_OWN, name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5h://proxy.example:1080")
    monkeypatch.setitem(environment.USERS_OWN, "ALL_PROXY", "socks5h://proxy.example:1080")
    server.ask_no_proxy("")
    printed = git("-c", "alias.proxy=!printenv ALL_PROXY no_proxy", "proxy")
    assert printed.decode() == "socks5h://proxy.example:1080\n127.0.0.1,localhost,::1\n"
    monkeypatch.setitem(environment.USERS_OWN, "no_proxy", "fd00::/8")
    printed = git("-c", "alias.proxy=!printenv ALL_PROXY no_proxy", "proxy")
    assert printed.decode() == "socks5h://proxy.example:1080\nfd00::/8\n"
