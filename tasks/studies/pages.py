"""Pages of studies: self-contained HTML, by one template of styles and charts for all."""

from pathlib import Path
from typing import Any

import jinja2

from tasks.common.temporary import atomic_write
from tasks.reports.templates import environment
from tasks.studies import numbers


def render(template: Path, **values: Any) -> str:
    """A page, as HTML. `template`: extends or imports those that lie beside this module."""
    folders = (template.parent, Path(__file__).parent)
    templates = environment(*folders, undefined=jinja2.StrictUndefined)
    templates.filters |= {
        "percent": numbers.percent,
        "points": numbers.points,
        "interval": numbers.interval,
        "ratio": numbers.ratio,
    }
    return templates.get_template(template.name).render(values)


def write(path: Path, page: str) -> None:
    """Write a page, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
