"""The report's web server: files of reports/, for this machine, and nothing else."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flows.service.report import report_served

pytestmark = pytest.mark.services


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server, begun before reports/ is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.service.report.local_url", lambda: f"http://127.0.0.1:{free()}/api")
    (tmp_path / "params.yaml").write_text("secret")
    with report_served() as served:
        yield served


def free() -> int:
    """A port before a free one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1] - 1


def ask(url: str, path: str = "/", host: str = "", method: str = "GET") -> httpx.Response:
    headers = {"Host": host} if host else {}
    return httpx.request(method, url + path, headers=headers, trust_env=False)


def test_the_report_is_served_as_soon_as_it_is_there_and_never_from_a_cache(
    url: str, tmp_path: Path
) -> None:
    missing = ask(url)
    assert (missing.status_code, missing.text) == (404, "no report yet: variegate run writes it")
    assert missing.headers["content-type"].startswith("text/plain")
    reports = tmp_path / "reports"
    reports.mkdir()
    for text in ("<p>first", "<p>next"):
        (reports / "index.html").write_text(text)
        for path in ("/", "/index.html"):
            page = ask(url, path)
            assert (page.status_code, page.text) == (200, text)
            assert page.headers["content-type"].startswith("text/html")
            assert page.headers["cache-control"] == "no-cache"
    assert ask(url, method="HEAD").text == "" and ask(url, method="POST").status_code == 405
    (reports / "predictions.csv").write_text("a,b\n")
    assert ask(url, "/predictions.csv").text == "a,b\n"


def test_no_path_leads_out_of_the_folder_and_folders_are_not_listed(
    url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "reports" / "folder"
    folder.mkdir(parents=True)
    (folder / "file.txt").write_text("within")
    (tmp_path / "reports" / "link.yaml").symlink_to(tmp_path / "params.yaml")
    assert ask(url, "/folder/file.txt").text == "within"
    out = ("/../params.yaml", "/%2e%2e/params.yaml", "/folder/%2e%2e/%2e%2e/params.yaml")
    absolute = f"/{tmp_path}/params.yaml"
    for path in (*out, absolute, "/link.yaml", "/folder", "/folder/", "/nothing", "/%00", "/a%00"):
        found = ask(url, path)
        assert (found.status_code, "secret" in found.text) == (404, False), path
        assert found.headers["cache-control"] == "no-cache"


def test_another_name_of_this_machine_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "index.html").write_text("report")
    port = url.rpartition(":")[2]
    for host in ("elsewhere.example", f"elsewhere.example:{port}", f"127.0.0.1.example:{port}"):
        for method in ("GET", "HEAD"):
            assert ask(url, host=host, method=method).status_code == 403
    assert ask(url, host=f"localhost:{port}").text == "report"


def test_it_listens_on_loopback_and_ends_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(
            "flows.service.report.local_url", lambda: f"http://127.0.0.1:{port - 1}/api"
        )
        with report_served() as served:
            assert served.startswith("http://127.0.0.1:") and not served.endswith(f":{port}")
            assert ask(served).status_code == 404
        with pytest.raises(httpx.ConnectError):
            ask(served)
