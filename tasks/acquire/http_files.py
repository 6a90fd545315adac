"""Files of web servers, for downloads that go on where they were."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from tasks.acquire.resumable import ChangedError, RemoteFile, Stream, TransientError
from tasks.common.errors import UserError

SECONDS = 30.0  # without a byte
MAY_PASS = {408, 425, 429}  # statuses below 500 that do
NEEDS_LOGIN = {401, 403, 407}
WITHOUT_PACKING = {"Accept-Encoding": "identity"}  # lengths and ranges are of the bytes sent


def shown(url: str) -> str:
    """An address without what may be secret: user, password, and the values of a signed link."""
    parts = urlsplit(url)
    query = "?..." if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def look(url: str) -> RemoteFile:
    """What the server says of a file, before any of its bytes are read.

    Raises:
        UserError: where it has none, or does not say where it ends.
        TransientError: where it does not answer.
    """
    with _answer_to(url) as answer:
        size, chunked = _size(answer), "transfer-encoding" in answer.headers
        version = _version(answer)
    if size is None and not chunked:
        need = "needs a server that says how long the file is, found one that does not"
        raise UserError(f"{shown(url)}: {need}: half of it would look like all of it")
    return RemoteFile(shown(url), size, version, partial(_open, url, version, size))


@contextmanager
def _open(url: str, version: str, size: int | None, start: int) -> Iterator[Stream]:
    wanted = {"Range": f"bytes={start}-", "If-Range": version} if start else {}
    with _answer_to(url, wanted) as answer:
        partly = answer.status_code == 206
        if _version(answer) != version or (size is not None and size != _size(answer)):
            raise ChangedError
        if partly and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise ChangedError
        yield Stream(start if partly else 0, answer.iter_raw())


@contextmanager
def _answer_to(url: str, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
    """The server's answer, after redirections.

    Raises:
        UserError: where it is a refusal, or no certificate vouches for the server.
        TransientError: where it is no answer, or one that may pass.
    """
    hooks: dict[str, list[Any]] = {"request": [partial(_require_web, url)]}
    try:
        with (
            httpx.Client(
                verify=_trusted(), follow_redirects=True, timeout=SECONDS, event_hooks=hooks
            ) as client,
            client.stream("GET", url, headers={**WITHOUT_PACKING, **(headers or {})}) as answer,
        ):
            _require_success(url, answer)
            yield answer
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
        raise UserError(f"{shown(url)}: needs an address of a file: {_words(error)}") from error
    except httpx.TransportError as error:
        problem = _lasting_problem(_cause(error))
        if problem:
            raise UserError(f"{shown(url)}: {problem}: {_words(error)}") from error
        raise TransientError(_words(error)) from error


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that vouch for servers; reading them takes a tenth of a second."""
    return httpx.create_ssl_context()


def _require_web(url: str, request: httpx.Request) -> None:
    """Raises UserError where a redirection leads out of the web, or out of an encrypted one."""
    allowed = ("https",) if url.lower().startswith("https:") else ("http", "https")
    if request.url.scheme not in allowed:
        place = f"{request.url.scheme}://{request.url.host}"
        need = f"needs redirections to {' or '.join(allowed)}"
        raise UserError(f"{shown(url)}: {need}, found one to {place}")


def _require_success(url: str, answer: httpx.Response) -> None:
    status = _in_words(answer.status_code)
    if answer.status_code in (200, 206):
        return
    # it is shorter than the part of it that is here
    if answer.status_code == 416 and "Range" in answer.request.headers:
        raise ChangedError
    if answer.status_code >= 500 or answer.status_code in MAY_PASS:
        raise TransientError(f"the server answers {status}")
    login = answer.status_code in NEEDS_LOGIN
    hint = ": it wants a login, or a link that has not expired" if login else ""
    raise UserError(f"{shown(url)}: needs a file, the server answers {status}{hint}")


def _size(answer: httpx.Response) -> int | None:
    """The size of the whole file."""
    if answer.status_code == 206:
        text = answer.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _version(answer: httpx.Response) -> str:
    """What tells the file from its successors: only a strong ETag, or a time."""
    etag = str(answer.headers.get("ETag", ""))
    if etag and not etag.startswith("W/"):
        found = etag
    else:
        found = str(answer.headers.get("Last-Modified", ""))
    return found if found.isascii() else ""  # httpx sends no other headers back


def _in_words(status: int) -> str:
    """A status, as `404 Not Found`. What the server itself calls it may be anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _lasting_problem(cause: BaseException) -> str:
    """Why trying again would not help; "" where it may."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "no certificate that this machine trusts vouches for the server"
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "needs a server that speaks https at this port, found another"
    # without a network the answer is EAI_AGAIN
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
        return "needs a host that exists"
    return ""


def _cause(error: BaseException) -> BaseException:
    """The first cause of an error."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return error


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
