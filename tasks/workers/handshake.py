"""What a client and the workers of a cluster have to agree on: libraries, code, project folder."""

from typing import NamedTuple


class Agreement(NamedTuple):
    """What the client has, by names that people know."""

    libraries: dict[str, str]
    code: str
    folder: str


def agreement() -> Agreement:
    """What this process, the client, has."""
    return Agreement({}, "", "")


def require(agreement: Agreement) -> None:
    """Check that this process, a worker, has the same, and be in the project's folder.

    Raises:
        UserError: the first difference, in one line with both values.
    """
