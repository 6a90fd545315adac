"""The Prefect server: the one that is up, or one of our own, on loopback; and the report, served beside it."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from flows.service.processes import end_with_this_process, group
from tasks.common.errors import UserError

HOST = "127.0.0.1"
REPORTS = Path("reports")
SECONDS_TO_START = 90.0
SECONDS_TO_ANSWER = 5.0
SECONDS_BETWEEN_QUESTIONS = 2.0
SECONDS_OF_SILENCE = 30.0


def find() -> str:
    """The API of the server that runs report to, "" for none: the one that PREFECT_API_URL or the profile names, else
    the local one where it is up.

    Raises:
        UserError: where the one that is named does not answer.
    """
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value() or ""
    if not url:
        return local_url() if answers(local_url()) else ""
    try:
        httpx.get(f"{url}/health", timeout=SECONDS_TO_ANSWER).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise _no_server(url, f"HTTP status {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _no_server(url, str(error) or type(error).__name__) from None
    return url


def _no_server(url: str, found: str) -> UserError:
    need = "needs a Prefect server that answers, as http://127.0.0.1:4200/api: `variegate ui`, or unset it"
    return UserError(f"PREFECT_API_URL {without_secrets(url)}: {need}; found: {found}")


def without_secrets(url: str) -> str:
    """The URL without a user's name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def page(url: str) -> str:
    """Where people look at the server of an API."""
    return without_secrets(url).removesuffix("/api")


def local_url() -> str:
    """The API of the local server; PREFECT_SERVER_API_PORT says its port, 4200 by default."""
    from prefect.settings import PREFECT_SERVER_API_PORT

    return f"http://{HOST}:{PREFECT_SERVER_API_PORT.value()}/api"


def answers(url: str) -> bool:
    """Whether a Prefect server answers there."""
    try:
        found = httpx.get(
            f"{url}/health", timeout=SECONDS_TO_ANSWER, trust_env=False
        )  # loopback needs no proxy
        return found.status_code == 200 and found.json() is True
    except (httpx.HTTPError, ValueError):
        return False


def use(url: str) -> None:
    """From here on Prefect, and the processes started here, report to `url`; "" changes nothing."""
    from prefect.context import refresh_global_settings_context

    if url:
        os.environ["PREFECT_API_URL"] = url
        os.environ.setdefault(
            "PREFECT_UI_URL", page(url)
        )  # Prefect would tell the password as well
        refresh_global_settings_context()  # its threads look there


@contextmanager
def ensured() -> Iterator[str]:
    """The API of a server: the one that is up, or one that lives as long as the block."""
    url = find()
    if url:
        yield url
        return
    url = local_url()
    with started(url):
        yield url


@contextmanager
def started(url: str) -> Iterator[None]:
    """A server of our own. Pages of other sites in the same browser cannot speak to it: it lets its own in alone, and
    asks for a token before it changes anything.

    Raises:
        UserError: where it does not come up.
    """
    address = urlsplit(url)
    settings = {
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{address.scheme}://{address.netloc}",
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_UI_API_URL": url,
    }
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        HOST,
        "--port",
        str(address.port),
    ]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with group(command, env={**os.environ, **settings}, **quiet) as process:
        end_with_this_process(-process.pid)
        last = _LastLine(process)
        end = time.monotonic() + SECONDS_TO_START
        while not answers(url):
            if process.poll() is not None or time.monotonic() > end:
                found = last.text or "no answer"
                raise UserError(
                    f"{url}: needs to become a Prefect server, found: {found}; is the port in use?"
                )
            time.sleep(0.2)
        yield


def watch(url: str) -> None:
    """Return when the server has been silent for SECONDS_OF_SILENCE."""
    heard = time.monotonic()
    while time.monotonic() - heard < SECONDS_OF_SILENCE:
        time.sleep(SECONDS_BETWEEN_QUESTIONS)
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/health", timeout=SECONDS_TO_ANSWER)
            heard = time.monotonic()


def end_with(url: str) -> None:
    """Let this process end when the server is gone: Prefect would go on asking it, for minutes at each step.

    Stages end with this process: see flows/run/child.py.
    """

    def end() -> None:
        watch(url)
        gone = f"the Prefect server at {without_secrets(url)} has not answered for {SECONDS_OF_SILENCE:g} s"
        print(
            f"error: {gone}; what was finished is kept, and the next run goes on from there",
            file=sys.stderr,
        )
        sys.stderr.flush()
        os._exit(2)

    threading.Thread(target=end, daemon=True).start()


class _LastLine:
    """Reads what a process says on standard error, and keeps the last line."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.text = ""
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.text = line.decode("utf-8", "replace").strip() or self.text


# --- the report ---------------------------------------------------------------------------------------------------


class _ReportHandler(SimpleHTTPRequestHandler):
    """The files of reports/, quietly. Folders are not listed, and other sites may not ask under a name of theirs."""

    def send_head(self) -> Any:  # of GET and HEAD
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            return self.send_error(403)
        if self.path == "/" and not (REPORTS / "index.html").is_file():
            return self.send_error(404, "no report yet", "variegate run writes it")
        if "\0" in unquote(self.path):
            return self.send_error(404)
        return super().send_head()

    def list_directory(self, path: object) -> None:
        self.send_error(404)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # the next run writes another
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def report_served() -> Iterator[str]:
    """Serve reports/ at the port after the server's, or at a free one where that is taken; gives its address."""
    port = int(local_url().rpartition(":")[2].removesuffix("/api")) + 1
    handler = partial(_ReportHandler, directory=str(REPORTS.resolve()))
    with contextlib.ExitStack() as stack:
        try:
            http = ThreadingHTTPServer((HOST, port), handler)
        except OSError:
            http = ThreadingHTTPServer((HOST, 0), handler)
        stack.enter_context(http)
        stack.callback(http.shutdown)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{http.server_port}"
