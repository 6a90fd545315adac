"""Render pages from templates: escaped text, numbers and links in one form everywhere."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.dataset.paths import PAGES

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """The page of a template of this folder; every value is escaped."""
    return environment().get_template(template).render(values)


def link_to_dashboard(address: str) -> None:
    """Let every page lead to the runs on Prefect's dashboard, which is at this address by now."""
    environment().globals["runs_page"] = f"{address}/runs"


def sentence_of(error: dict[str, Any]) -> str:
    """What is wrong with a value of an address: its name, what is needed, what was found."""
    name = ".".join(str(part) for part in error["loc"][1:])
    return f"{name}: {error['msg'].removeprefix('Value error, ')}; found {error['input']!r:.200}"


def number(value: float | int | None, digits: int = 3) -> str:
    """A number for people: thousands parted, so many digits after the point; "" for None.

    From a hundred on there are none after the point: nobody reads so many.
    """
    if value is None or value != value:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{0 if abs(value) >= 100 else digits}f}"


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.globals |= PAGES | {"runs_page": ""}  # see link_to_dashboard()
    return made
