"""An S3 server for tests, and an HTTP proxy that fails some of the requests that go through it."""

import http.client
import random
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import httpx

from tests.waiting import wait_until

PROGRAM = Path(__file__).parent.parent / ".venv/s3-server/bin/moto_server"
NO_FILE = "/nonexistent"  # DVC fails where /dev/null is the file of AWS's settings
ACCESS_KEY, SECRET_KEY = "tests-access-key", "tests-secret-key"
# what the server takes for a signed request: it compares no signature
LOGIN = {
    "Authorization": "AWS4-HMAC-SHA256 "
    f"Credential={ACCESS_KEY}/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=none"
}
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Store:
    """An S3 server on loopback, or a proxy before it."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use it, whatever the user's own settings are."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": NO_FILE,
            "AWS_SHARED_CREDENTIALS_FILE": NO_FILE,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def make_bucket(self, name: str) -> str:
        """Create an empty bucket; its name."""
        httpx.put(f"{self.url}/{name}", headers=LOGIN).raise_for_status()
        return name

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Write an object."""
        url = f"{self.url}/{bucket}/{key}"
        httpx.put(url, content=data, headers=LOGIN).raise_for_status()

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        httpx.delete(f"{self.url}/{bucket}/{key}", headers=LOGIN).raise_for_status()

    def keys(self, bucket: str) -> list[str]:
        """The keys of all objects of a bucket of at most 1,000."""
        answer = httpx.get(f"{self.url}/{bucket}?list-type=2", headers=LOGIN)
        answer.raise_for_status()
        assert "<IsTruncated>false" in answer.text
        return [part.partition("</Key>")[0] for part in answer.text.split("<Key>")[1:]]


@contextmanager
def running_server(log: Path) -> Iterator[Store]:
    """Moto's server, which keeps objects in memory, on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [PROGRAM, "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    try:
        wait_until(lambda: listens(port) or server.poll() is not None, seconds=60)
        assert server.poll() is None, log.read_text()
        yield Store(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


# --- faults -------------------------------------------------------------------------------------

# `unavailable`: 503, and the server gets nothing. `cut request`: the connection ends in the middle
# of what is sent. `cut answer`: the server does it, and half of its answer arrives.
Fault = Literal["unavailable", "cut request", "cut answer"]
FAULTS: tuple[Fault, ...] = ("unavailable", "cut request", "cut answer")


@dataclass(frozen=True)
class Request:
    """A request, and how many equal ones came before it."""

    method: str
    path: str
    before: int


Choose = Callable[[Request], Fault | None]


def one_in(number: int, seed: int) -> Choose:
    """Fail one request in `number`: the same ones each time, in whatever order they come."""

    def choose(request: Request) -> Fault | None:
        draw = random.Random(f"{seed} {request}")
        return draw.choice(FAULTS) if draw.randrange(number) == 0 else None

    return choose


@dataclass
class Proxy:
    """What a proxy has seen and done. `choose` may be replaced while it runs."""

    store: Store
    choose: Choose
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[tuple[Request, Fault]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, method: str, path: str) -> Fault | None:
        """Count the request, and say what becomes of it."""
        with self.lock:
            request = Request(method, path, self.requests[method, path])
            self.requests[method, path] += 1
            fault = self.choose(request)
            self.faults += [(request, fault)] if fault else []
        return fault


@contextmanager
def failing(store: Store, choose: Choose) -> Iterator[Proxy]:
    """A proxy before `store` that fails what `choose` says, in threads of this process."""

    class Handler(ProxyHandler):
        target = urlsplit(store.url).netloc

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy = Proxy(Store(f"http://127.0.0.1:{server.server_port}"), choose)
        Handler.proxy = proxy
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class ProxyHandler(BaseHTTPRequestHandler):
    """Passes one request on, or fails it."""

    protocol_version = "HTTP/1.1"
    target: ClassVar[str]
    proxy: ClassVar[Proxy]

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # a client that went away
            self.close_connection = True

    def pass_on(self) -> None:
        fault = self.proxy.decide(self.command, self.path)
        if fault == "cut request":
            self.rfile.read(int(self.headers.get("Content-Length", 0)) // 2)
            self.cut()
            return
        body = b"".join(self.body())
        if fault == "unavailable":
            self.send_error(503, "Slow Down")
            return
        self.send(body, half=fault == "cut answer")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815  # http.server's names

    def send(self, body: bytes, half: bool) -> None:
        """Ask the server, and give its answer, or the first half of it."""
        connection = http.client.HTTPConnection(self.target, timeout=60)
        headers = without(HOP_BY_HOP, self.headers)
        if body or self.command in ("PUT", "POST"):
            headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body=body or None, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        if half and not content:
            self.cut()
            return
        self.send_response_only(answer.status)
        for name, value in without({*HOP_BY_HOP, "content-length"}, answer.headers).items():
            self.send_header(name, value)
        length = answer.headers.get("Content-Length", len(content))
        self.send_header("Content-Length", str(length if self.command == "HEAD" else len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self.cut()

    def body(self) -> Iterator[bytes]:
        """What the request carries."""
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass

    def cut(self) -> None:
        """End the connection in both directions, without a goodbye of HTTP's."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *arguments: object) -> None:
        """Nothing: the proxy's own lists say what happened."""


def without(names: set[str], headers: Mapping[str, str]) -> dict[str, str]:
    """The headers but for those named."""
    return {name: value for name, value in headers.items() if name.lower() not in names}
