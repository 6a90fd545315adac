"""Options that commands of several modules have."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Budget = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="How long it may take, as 10m: as much as fits into that."),
]


def check_budget(budget: str | None, other: str = "", given: object = None) -> None:
    """Raises UserError, before any work, for a time that is none, or another option beside it."""
    from tasks.common.errors import UserError
    from tasks.studies.durations import seconds_of

    if budget is None:
        return
    seconds_of(budget)
    if given is not None:
        raise UserError(f"--budget: needs to be without {other}, which it decides, found both")
