"""Web server of the pages and of the report, on loopback, beside Prefect's dashboard."""

import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.explorer import classes, grid, image, operations, pictures, rendering, versions
from flows.service.environment import HOST
from flows.service.pages import usual_port, written_down
from tasks.common.errors import UserError, one_line

REPORTS = Path("reports")
STATIC = Path(__file__).parent / "static"
HOSTS = (HOST, "localhost")
METHODS = ("GET", "HEAD")
POLICY = "Content-Security-Policy"
# Of our pages: no script, style or request but of this server, and in no frame of another page.
PAGES_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Of reports and studies: pages that carry their styles and pictures in them, and no script.
REPORTS_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    POLICY: PAGES_POLICY,
    "Cache-Control": "no-cache",  # the next run writes other files
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MOST_SHOWN = 200  # characters of an address or an error
SECONDS_TO_END = 1  # for answers under way


@contextmanager
def pages_served() -> Iterator[str]:
    """Serve the pages at the port after the Prefect server's, or at a free one where it is taken.

    Gives the address, as `http://127.0.0.1:4201`. Ends with the block.
    """
    with _listen(usual_port()) as listening:
        config = uvicorn.Config(
            create_app(),
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        try:
            with written_down(url):
                yield url
        finally:
            server.should_exit = True
            thread.join(2 * SECONDS_TO_END)


def _listen(port: int) -> socket.socket:
    try:
        listening = socket.create_server((HOST, port))
    except (OSError, OverflowError):
        listening = socket.create_server((HOST, 0))
    # asyncio sets it only on sockets that name their protocol; each answer would wait 40 ms
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def create_app() -> ASGIApp:
    """The application: pages under /images and beside it, files of reports/ at all other paths."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for page in (grid, image, classes, operations, versions, pictures):
        app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.mount("/", _ReportFiles(directory=REPORTS.resolve(), html=True, check_dir=False))
    app.add_exception_handler(UserError, _on_user_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_defect)
    return OwnHostOnly(app)


# --- what is answered at all ------------------------------------------------------------------


class OwnHostOnly:
    """Refuses what is for another host, what another site asks, and what would change something.

    A page of another site whose name resolves to 127.0.0.1 gets nothing (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = _refusal(Headers(scope=scope), scope["method"])
        # a HEAD is answered as a GET, whose body uvicorn leaves out
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        await (refused or self.app)(asked, receive, send_with_headers)


def _refusal(headers: Headers, method: str) -> Response | None:
    """The answer to what is not answered; None for all else."""
    host = headers.get("host", "")
    name, _, port = host.rpartition(":")
    if name not in HOSTS or not port.isdecimal():
        return PlainTextResponse("this server answers to its own names alone", 403)
    if _is_of_another_site(headers, host):
        return PlainTextResponse("this server answers to its own pages alone", 403)
    if method not in METHODS:
        text = f"{method:.{MOST_SHOWN}}: these pages are for reading; they answer GET and HEAD"
        answer = _page("Nothing can be changed here", text, HTTPStatus.METHOD_NOT_ALLOWED)
        answer.headers["Allow"] = ", ".join(METHODS)
        return answer
    return None


def _is_of_another_site(headers: Headers, host: str) -> bool:
    """Whether a page that is not ours asks for a part of itself: a picture, a script, a frame.

    A link to a page is no such thing, wherever it stands. Programs that are no browsers send none
    of these headers.
    """
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return True
    own = headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    return not own and headers.get("sec-fetch-dest") != "document"


# --- errors -----------------------------------------------------------------------------------


def _on_user_error(request: Request, error: Exception) -> Response:
    return _page("That is not here", str(error), HTTPStatus.NOT_FOUND)


def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    lines = [rendering.sentence_of(found) for found in error.errors()]
    return _page("That cannot be asked", "\n".join(lines), HTTPStatus.BAD_REQUEST)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        text = f"{request.url.path:.{MOST_SHOWN}}: no page and no file of reports/ has this address"
        return _page("That is not here", text, HTTPStatus.NOT_FOUND)
    return _page("That cannot be asked", str(error.detail), HTTPStatus(error.status_code))


def _on_defect(request: Request, error: Exception) -> Response:
    """Tell the terminal what went wrong, and the page that something did."""
    if isinstance(error.__cause__, UserError):  # an answer had begun, and broke off
        error = error.__cause__
    line = one_line(error) or f"{type(error).__name__}: {error}"
    shown = "".join(filter(str.isprintable, " ".join(line.split())))
    address = f"{quote(request.url.path):.{MOST_SHOWN}}"
    print(f"error: {address}: {shown:.{MOST_SHOWN}}", file=sys.stderr, flush=True)
    if os.environ.get("VARIEGATE_DEBUG") == "1":
        traceback.print_exception(error)
    text = "This page could not be made; the terminal of `variegate ui` says why."
    return _page("That failed", text, HTTPStatus.INTERNAL_SERVER_ERROR)


def _page(heading: str, text: str, status: HTTPStatus) -> HTMLResponse:
    page = rendering.render("message.html.j2", heading=heading, text=text)
    return HTMLResponse(page, status)


# --- files of reports/ ------------------------------------------------------------------------


class _ReportFiles(StaticFiles):
    """Files of a folder; a folder itself is its index.html, or not found."""

    async def check_config(self) -> None:
        """No check of the folder at the first request: a run may still have to write it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path == "." and not (REPORTS / "index.html").is_file():
            return PlainTextResponse("no report yet: variegate run writes it", 404)
        if "\0" in path:
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers[POLICY] = REPORTS_POLICY
        return response
