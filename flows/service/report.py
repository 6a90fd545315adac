"""Web server of the report: the files of reports/, on loopback, beside the dashboard."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from flows.service.environment import HOST
from flows.service.server import local_url

REPORTS = Path("reports")
HOSTS = (HOST, "localhost")
NO_CACHE = {"Cache-Control": "no-cache"}  # the next run writes another report
SECONDS_TO_END = 1  # for answers under way


@contextmanager
def report_served() -> Iterator[str]:
    """Serve reports/ at the port after the Prefect server's, or at a free one where it is taken.

    Gives the report's URL. Ends with the block.
    """
    with _listen(int(local_url().rpartition(":")[2].removesuffix("/api")) + 1) as listening:
        files = _ReportFiles(directory=REPORTS.resolve(), html=True, check_dir=False)
        config = uvicorn.Config(
            Starlette(routes=[Mount("/", files)]),
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
        try:
            yield f"http://{HOST}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(2 * SECONDS_TO_END)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError:
        return socket.create_server((HOST, 0))


class _ReportFiles(StaticFiles):
    """Files of a folder; a folder itself is its index.html, or not found.

    A request has to name this host: a page of another site whose name resolves to 127.0.0.1 gets
    nothing (DNS rebinding).
    """

    async def check_config(self) -> None:
        """No check of the folder at the first request: a run may still have to write it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if Headers(scope=scope).get("host", "").rpartition(":")[0] not in HOSTS:
            raise HTTPException(403, headers=NO_CACHE)
        if path == "." and not (REPORTS / "index.html").is_file():
            raise HTTPException(404, "no report yet: variegate run writes it", NO_CACHE)
        if "\0" in path:
            raise HTTPException(404, headers=NO_CACHE)
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            raise HTTPException(error.status_code, headers=NO_CACHE) from None
        response.headers.update(NO_CACHE)
        return response
