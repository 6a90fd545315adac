"""A headless Chromium for tests: its pages remember what they asked for and what went wrong."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
HOSTILE = "<img src=x onerror=alert(1)>"  # a class


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    with playwright.sync_playwright() as started:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def new_page(browser: Any, width: int = 1400, height: int = 1000, **options: Any) -> Iterator[Any]:
    """A page in a profile of its own.

    In it are `hosts`, which it asked for anything; `dialogs`, which scripts opened; and `errors`:
    what the console calls an error, such as what a page's policy forbids, and scripts that failed.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.hosts, page.dialogs, page.errors = set(), [], []
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname or ""))
    page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.errors.append(said.text))
    try:
        yield page
    finally:
        context.close()
