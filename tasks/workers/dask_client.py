"""Connect to a Dask scheduler, by Dask's own configuration; what is wrong is one line."""

import asyncio
import logging
import os
import ssl
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING

from tasks.common.errors import UserError

if TYPE_CHECKING:
    from distributed import Client, Security

SECONDS_TO_CONNECT = 10.0
EXAMPLE = "such as tcp://127.0.0.1:8786"
TLS = "Dask's configuration has to name them: distributed.comm.tls"


def address() -> str | None:
    """VARIEGATE_CLUSTER: where the scheduler listens, tcp:// or tls://; None: no cluster is used.

    Raises:
        UserError: where it is no such address.
    """
    text = os.environ.get("VARIEGATE_CLUSTER")
    if text and not text.startswith(("tcp://", "tls://")):
        raise _wrong_address(text)
    return text or None


def connect(place: str) -> "Client":
    """A client of the scheduler at `place`, which no other code of this process uses by default.

    Raises:
        UserError: where that cannot be.
    """
    try:
        from distributed import Client
    except ImportError:
        need = "needs the package distributed, found none: pip install 'variegate[cluster]'"
        raise UserError(f"VARIEGATE_CLUSTER: {need}") from None
    _quieten()
    # beforehand: a Client that finds it out by itself ends late, with tracebacks
    _check_address(place)
    security = _security(place)
    _require_scheduler(place, security)
    try:
        client = Client(place, security=security, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ImportError) as error:
        raise _no_scheduler(place, error) from None
    _check_version(client, place)
    return client


def _quieten() -> None:
    """Silence Dask on lost connections: what matters of them is a line of ours."""
    from distributed.versions import VersionMismatchWarning

    if os.environ.get("VARIEGATE_DEBUG") != "1":
        for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", category=VersionMismatchWarning)


def _check_address(place: str) -> None:
    from distributed.comm.addressing import parse_host_port

    try:
        parse_host_port(place)
    except ValueError:
        raise _wrong_address(place) from None


def _wrong_address(text: str) -> UserError:
    need = f"needs the address of a Dask scheduler, {EXAMPLE}"
    return UserError(f"VARIEGATE_CLUSTER: {need}, found {text!r}")


def _security(place: str) -> "Security":
    """What Dask's configuration says of TLS; DASK_DISTRIBUTED__COMM__TLS__... are part of it."""
    from distributed import Security

    try:
        security = Security()
        certificates = security.get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        found = f"found what cannot be read: {_last_words(error)}"
        raise UserError(f"VARIEGATE_CLUSTER: needs certificates for TLS, {found}") from None
    is_tls = place.startswith("tls://")
    if is_tls and certificates is None:
        need = f"{place} needs certificates for TLS, found none: {TLS}"
        raise UserError(f"VARIEGATE_CLUSTER: {need}")
    if security.require_encryption and not is_tls:
        need = "distributed.comm.require-encryption needs tls://"
        raise UserError(f"VARIEGATE_CLUSTER: {need}, found {place}")
    return security


def _require_scheduler(place: str, security: "Security") -> None:
    """Check that what listens at `place` speaks as Dask does: a Client would wait for it forever.

    Raises:
        UserError: where that is not so, or nothing listens.
    """
    try:
        asyncio.run(asyncio.wait_for(_greet(place, security), SECONDS_TO_CONNECT + 1))
    except UnicodeError:  # of a name that no host can have
        raise _wrong_address(place) from None
    except (OSError, ImportError) as error:
        raise _no_scheduler(place, error) from None
    except Exception:  # whatever comes of reading another protocol's bytes as lengths
        need = f"needs a scheduler at {place}, found something else there"
        raise UserError(f"VARIEGATE_CLUSTER: {need}") from None


async def _greet(place: str, security: "Security") -> None:
    """Connect to a scheduler, and leave."""
    from distributed.comm import connect

    arguments = security.get_connection_args("client")
    comm = await connect(place, timeout=SECONDS_TO_CONNECT, **arguments)
    await comm.close()


def _no_scheduler(place: str, error: BaseException) -> UserError:
    found = f"found none in {SECONDS_TO_CONNECT:.0f} s{_reason(error)}"
    return UserError(f"VARIEGATE_CLUSTER: needs a scheduler at {place}, {found}")


def _check_version(client: "Client", place: str) -> None:
    """Check that the scheduler speaks as this process does. Workers answer for themselves."""
    needed = version("distributed")
    found = client.sync(client.scheduler.versions)["packages"]["distributed"]
    if found != needed:
        client.close()
        need = f"the scheduler at {place} needs distributed {needed}, found {found}"
        raise UserError(f"VARIEGATE_CLUSTER: {need}")


def _reason(error: BaseException) -> str:
    """Why there is no connection; "" where the last attempt was only cut off."""
    if isinstance(error.__cause__, TimeoutError | asyncio.CancelledError):
        return ""
    return f": {_last_words(error)}"


def _last_words(error: BaseException) -> str:
    """What is at the bottom of an error, without the names of Dask's objects."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.rpartition(": ")[2].rpartition("] ")[2] or type(error).__name__
