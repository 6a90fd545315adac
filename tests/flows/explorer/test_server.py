"""The web server of pages and report: for this machine, for reading, and no way out of reports/."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from flows.explorer import rendering, server
from flows.explorer.server import PAGES_POLICY, REPORTS_POLICY, pages_served
from tasks.common.errors import UserError

OWN = "http://127.0.0.1:4201"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server, begun before reports/ is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "usual_port", free)
    (tmp_path / "params.yaml").write_text("secret")
    with pages_served() as served:
        yield served


def free() -> int:
    """A port before a free one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1] - 1


def ask(url: str, path: str = "/", host: str = "", method: str = "GET") -> httpx.Response:
    headers = {"Host": host} if host else {}
    return httpx.request(method, url + path, headers=headers, trust_env=False)


@pytest.mark.services
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


@pytest.mark.services
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


@pytest.mark.services
def test_another_name_of_this_machine_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "index.html").write_text("report")
    port = url.rpartition(":")[2]
    hosts = ("elsewhere.example", f"elsewhere.example:{port}", f"127.0.0.1.example:{port}")
    for host in (*hosts, "127.0.0.1:x@elsewhere.example"):
        for method in ("GET", "HEAD"):
            assert ask(url, host=host, method=method).status_code == 403
    assert ask(url, host=f"localhost:{port}").text == "report"


@pytest.mark.services
def test_it_listens_on_loopback_and_ends_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(server, "usual_port", lambda: port)
        with pages_served() as served:
            assert served.startswith("http://127.0.0.1:") and not served.endswith(f":{port}")
            assert ask(served).status_code == 404
        with pytest.raises(httpx.ConnectError):
            ask(served)


@pytest.mark.services
def test_the_last_port_has_no_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "usual_port", lambda: 65536)
    with pages_served() as served:
        assert ask(served).status_code == 404


# --- what needs no socket ---------------------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Asks the application of an empty project, as a program that sends no header of a browser."""
    monkeypatch.chdir(tmp_path)
    return client_of(server.create_app())


def client_of(app: server.ASGIApp) -> TestClient:
    return TestClient(app, base_url=OWN, raise_server_exceptions=False, follow_redirects=False)


def failing(error: Exception) -> server.FastAPI:
    """A router whose one page, /fails, raises."""
    router = server.FastAPI().router

    @router.get("/fails")
    def fails() -> None:
        raise error

    return router


def heading(page: httpx.Response) -> str:
    return page.text.partition("<h1>")[2].partition("</h1>")[0]


def line(page: httpx.Response) -> str:
    return page.text.partition("<p>")[2].partition("</p>")[0]


def test_pages_may_load_nothing_from_elsewhere_and_reports_keep_their_styles(
    client: TestClient, tmp_path: Path
) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "index.html").write_text("<style>p { color: red }</style>")
    assert client.get("/nothing").headers["content-security-policy"] == PAGES_POLICY
    assert client.get("/").headers["content-security-policy"] == REPORTS_POLICY
    for policy in (PAGES_POLICY, REPORTS_POLICY):
        said = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert said["default-src"] == said["base-uri"] == said["frame-ancestors"] == "'none'"
        assert said.get("script-src", "'none'") in ("'self'", "'none'")
        assert "http" not in policy and "*" not in policy and "unsafe-eval" not in policy
    assert "unsafe-inline" not in PAGES_POLICY and "script-src" not in REPORTS_POLICY
    for path in ("/", "/nothing", "/static/style.css", "/static/explorer.js"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"


def test_what_is_not_there_is_a_page_with_one_line(client: TestClient) -> None:
    page = client.get("/<b>%20x")
    assert (page.status_code, heading(page)) == (404, "That is not here")
    assert line(page) == "/&lt;b&gt; x: no page and no file of reports/ has this address"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert len(client.get("/" + "x" * 5_000).text) < 5_000


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
def test_nothing_can_be_changed(method: str, client: TestClient) -> None:
    for path in ("/", "/images", "/static/style.css"):
        page = client.request(method, path)
        assert (page.status_code, page.headers["allow"]) == (405, "GET, HEAD")
        assert line(page) == f"{method}: these pages are for reading; they answer GET and HEAD"


def test_a_head_has_the_headers_of_the_page(client: TestClient) -> None:
    for path in ("/nothing", "/static/style.css"):
        page, head = client.get(path), client.head(path)
        assert (head.status_code, head.text) == (page.status_code, "")
        assert head.headers["content-length"] == page.headers["content-length"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}, 200),  # typed, or a bookmark
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "image"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "document"}, 200),  # the dashboard
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}, 200),  # a link in a chat
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "script"}, 403),  # another local port
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": OWN}, 200),
        ({"Origin": "http://127.0.0.1:8888"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "127.0.0.1.example:4201"}, 403),
        ({"Host": "localhost:4201"}, 200),
    ],
    ids=str,
)
def test_other_sites_get_no_part_of_a_page(
    headers: dict[str, str], status: int, client: TestClient
) -> None:
    found = client.get("/static/style.css", headers=headers)
    assert (found.status_code, "body" in found.text) == (status, status == 200)


def test_a_defect_is_told_in_the_terminal_and_not_in_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server.grid, "router", failing(ValueError("secret\x1b[31m\nplace")))
    page = client_of(server.create_app()).get("/fails")
    assert (page.status_code, heading(page)) == (500, "That failed")
    assert "secret" not in page.text and "Traceback" not in page.text
    assert page.headers["content-security-policy"] == PAGES_POLICY
    assert capsys.readouterr().err == "error: /fails: ValueError: secret[31m place\n"


def test_why_an_answer_broke_off_is_told_in_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines() -> Iterator[bytes]:
        yield b"a\n"
        raise UserError("replaced")

    router = server.FastAPI().router
    router.get("/fails")(lambda: StreamingResponse(lines()))
    monkeypatch.setattr(server.grid, "router", router)
    client_of(server.create_app()).get("/fails")
    assert capsys.readouterr().err == "error: /fails: replaced\n"


def test_with_debug_the_terminal_has_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VARIEGATE_DEBUG", "1")
    monkeypatch.setattr(server.grid, "router", failing(KeyError("secret")))
    assert "Traceback" not in client_of(server.create_app()).get("/fails").text
    assert "Traceback" in capsys.readouterr().err


def test_an_error_that_the_user_can_mend_is_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    error = UserError("a.jpg: needs an image of the manifest, found <none>")
    monkeypatch.setattr(server.grid, "router", failing(error))
    page = client_of(server.create_app()).get("/fails")
    assert page.status_code == 404
    assert line(page) == "a.jpg: needs an image of the manifest, found &lt;none&gt;"


def test_pages_lead_to_the_dashboard_once_it_is_up(client: TestClient) -> None:
    assert "Runs" not in client.get("/nothing").text
    rendering.link_to_dashboard("http://127.0.0.1:4200")
    try:
        assert '<a href="http://127.0.0.1:4200/runs">Runs</a>' in client.get("/nothing").text
    finally:
        rendering.environment.cache_clear()
