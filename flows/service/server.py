"""The Prefect server that runs report to: an existing one, or one of our own on 127.0.0.1."""

import contextlib
import ipaddress
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from flows.service.environment import (
    HOST,
    NO_PROXY,
    entries,
    is_this_machine,
    loopback_without_proxy,
    proxies,
)
from flows.service.lookup import local_port, no_server
from flows.service.processes import end_with_this_process, process_group
from tasks.common.errors import UserError

SECONDS_TO_START = 90.0
SECONDS_TO_ANSWER = 5.0
SECONDS_BETWEEN_QUESTIONS = 2.0
SECONDS_OF_SILENCE = 30.0
KEPT = "what was finished is kept, and the next run goes on from there"


# --- an existing server -----------------------------------------------------------------------


def find_server() -> str:
    """The API's URL of the server that runs report to; "" where there is none.

    It is the one that PREFECT_API_URL or Prefect's profile names, else the local one, if it is up.

    Raises:
        UserError: where the one that is named does not answer.
    """
    if no_server():
        ask_no_proxy("")
        return ""
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value() or ""
    ask_no_proxy(url)
    if not url:
        return local_url() if is_up(local_url()) else ""
    try:
        httpx.get(f"{url}/health", timeout=SECONDS_TO_ANSWER).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise _no_server(url, f"HTTP status {error.response.status_code}") from None
    # the latter two for a proxy in the environment that httpx cannot use
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:
        raise _no_server(url, str(error) or type(error).__name__) from None
    return url


def ask_no_proxy(url: str) -> None:
    """Let this process and its children ask a server of this machine without a proxy.

    A proxy that httpx cannot use, as `socks5://...`, would stop it though it is not to be asked: it
    is left out. Stages and DVC cannot use such a proxy either. So is what it cannot read of
    NO_PROXY, whatever the server.

    Args:
        url: of the server, "" for one of our own; one elsewhere changes nothing.
    """
    os.environ.update(readable_exceptions(os.environ))
    if url and not is_this_machine(urlsplit(url).hostname or ""):
        return
    os.environ.update(loopback_without_proxy(os.environ, url))
    for name in proxies(os.environ):
        if not httpx_takes(os.environ[name]):
            del os.environ[name]


def readable_exceptions(environment: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY and no_proxy, where they are set, without the entries that httpx cannot read."""
    return {
        name: ",".join(filter(httpx_reads, entries(environment[name])))
        for name in NO_PROXY
        if name in environment
    }


def httpx_reads(entry: str) -> bool:
    """Whether httpx can read this entry of NO_PROXY: neither `[::1]`, nor a network of IPv6."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(entry))
    try:
        httpx.URL(entry if "://" in entry else f"all://*{entry}")
    except httpx.InvalidURL:
        return False
    return True


def httpx_takes(proxy: str) -> bool:
    """Whether httpx can ask this proxy."""
    try:
        httpx.Client(proxy=proxy if "://" in proxy else f"http://{proxy}", trust_env=False).close()
    except (httpx.InvalidURL, ImportError, ValueError):
        return False
    return True


def _no_server(url: str, found: str) -> UserError:
    example = "http://127.0.0.1:4200/api"
    need = f"needs a Prefect server that answers, as {example}: `variegate ui`, or unset it"
    return UserError(f"PREFECT_API_URL {without_secrets(url)}: {need}; found: {found}")


def without_secrets(url: str) -> str:
    """The URL without a user's name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def dashboard_page(url: str) -> str:
    """The URL of the dashboard of the server whose API is at `url`."""
    return without_secrets(url).removesuffix("/api")


def local_url() -> str:
    """The API of the local server; PREFECT_SERVER_API_PORT says its port, 4200 by default."""
    return f"http://{HOST}:{local_port()}/api"


def is_up(url: str) -> bool:
    """Whether a Prefect server answers at this URL of loopback; no proxy is asked."""
    try:
        response = httpx.get(f"{url}/health", timeout=SECONDS_TO_ANSWER, trust_env=False)
        return response.status_code == 200 and response.json() is True
    except (httpx.HTTPError, ValueError):
        return False


def report_to(url: str) -> None:
    """Let this process, its threads and its children report to the API at `url`; "" for no change.

    Set in the environment: threads of Prefect do not see temporary settings of its context.
    """
    from prefect.context import refresh_global_settings_context

    ask_no_proxy(url)
    if url:
        os.environ["PREFECT_API_URL"] = url
        # Prefect prints the dashboard's URL, and would take it from the API's, password included
        os.environ.setdefault("PREFECT_UI_URL", dashboard_page(url))
        refresh_global_settings_context()


# --- a server of our own ----------------------------------------------------------------------


@contextmanager
def server_ensured() -> Iterator[str]:
    """The API's URL of a server: find_server()'s, or of one that lives as long as the block.

    Raises:
        UserError: where neither answers.
    """
    url = find_server()
    if url:
        yield url
        return
    url = local_url()
    with server_started(url):
        yield url


@contextmanager
def server_started(url: str) -> Iterator[None]:
    """Start a server at `url`, on loopback, that lives as long as the block.

    Pages of other sites in the same browser cannot use it: it allows requests of its own origin
    (CORS), and asks for a token before it changes anything (CSRF).

    Raises:
        UserError: where it does not answer within SECONDS_TO_START.
    """
    address = urlsplit(url)
    settings = {
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{address.scheme}://{address.netloc}",
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_UI_API_URL": url,
        # in memory, its default, a server that was killed forgets who holds a slot, not that it is
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
    }
    command = [sys.executable, "-m", "prefect", "server", "start"]
    command += ["--host", HOST, "--port", str(address.port)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with process_group(command, env={**os.environ, **settings}, **streams) as process:
        end_with_this_process(-process.pid)
        last_line = _LastLine(process)
        end = time.monotonic() + SECONDS_TO_START
        while not is_up(url):
            if process.poll() is not None or time.monotonic() > end:
                found = last_line.text or "no answer"
                need = f"needs to become a Prefect server, found: {found}"
                raise UserError(f"{url}: {need}; is the port in use?")
            time.sleep(0.2)
        yield


def wait_until_silent(url: str) -> None:
    """Return when the server has not answered for SECONDS_OF_SILENCE."""
    answered = time.monotonic()
    while time.monotonic() - answered < SECONDS_OF_SILENCE:
        time.sleep(SECONDS_BETWEEN_QUESTIONS)
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/health", timeout=SECONDS_TO_ANSWER)
            answered = time.monotonic()


def exit_when_silent(url: str) -> None:
    """Watch the server in a thread, and end this process, exit code 2, when it is silent.

    Prefect itself would ask on for a minute at each step. Stages end with this process: see
    flows/run/child.py.
    """

    def wait_and_exit() -> None:
        wait_until_silent(url)
        server = f"the Prefect server at {without_secrets(url)}"
        silent = f"{server} has not answered for {SECONDS_OF_SILENCE:g} s"
        print(f"error: {silent}; {KEPT}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(2)

    threading.Thread(target=wait_and_exit, daemon=True).start()


class _LastLine:
    """Reads the standard error of a process in a thread; `text` is the last line so far."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.text = ""
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.text = line.decode("utf-8", "replace").strip() or self.text
