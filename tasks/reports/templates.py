"""Templates of reports: one frame for all, with their colours and the way to the pages."""

from pathlib import Path
from typing import Any

import jinja2

from tasks.common.texts import counted, noun
from tasks.dataset.paths import NAVIGATION, PAGES


def environment(*folders: Path, **options: Any) -> jinja2.Environment:
    """What renders the templates of folders, which may extend those beside this module.

    `options`: more of jinja2.Environment.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    made.globals |= PAGES | {"navigation": NAVIGATION, "counted": counted, "noun": noun}
    return made
