"""Where `variegate ui` serves the pages of the dataset: written down for runs, which link there."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flows.service.environment import HOST
from flows.service.lookup import local_port
from tasks.common import machine
from tasks.common.temporary import atomic_write

FILE = "pages"  # in the private cache: the project's folder and the address, which may be shared


def usual_port() -> int:
    """The port after the Prefect server's."""
    return local_port() + 1


def pages_url() -> str:
    """Where this project's pages are served; where they would be by default, if they are not."""
    with suppress(OSError, ValueError):
        folder, url = (machine.cache_folder() / FILE).read_text().splitlines()
        if folder == str(Path.cwd()):
            return url
    return f"http://{HOST}:{usual_port()}"


@contextmanager
def written_down(url: str) -> Iterator[None]:
    """Let pages_url() of other processes give `url`, as long as the block lasts.

    Nothing is written where the private cache cannot be: pages are for reading.
    """
    with suppress(OSError), atomic_write(machine.cache_folder() / FILE) as path:
        path.write_text(f"{Path.cwd()}\n{url}\n")
    try:
        yield
    finally:
        with suppress(OSError):
            if pages_url() == url:
                (machine.cache_folder() / FILE).unlink()
