"""What a person sees in a browser: the run's page, its artifacts, the report.

Skipped where there is no Chromium.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import HOSTILE, chromium, new_page
from tests.conftest import Project, commit
from tests.flows.service.test_server import dashboard

pytestmark = pytest.mark.services
playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture
def page() -> Iterator[Any]:
    with chromium() as browser, new_page(browser) as page:
        yield page


def open_artifact(page: Any, server: str, key: str) -> Any:
    """The latest artifact of that key, in its own page."""
    page.goto(f"{server}/artifacts/key/{key}")
    page.locator("a[href*='/artifacts/artifact/']").first.click()
    page.wait_for_url("**/artifacts/artifact/**")
    return page


@pytest.mark.slow
def test_the_dashboard_shows_the_run_and_the_report(
    finished: Project, page: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    commit(finished, "what changes are told against")
    finished.path("data/raw/2").rename(finished.path("data/raw") / HOSTILE)
    with dashboard(finished, tmp_path_factory.mktemp("home")) as (_, environment, report):
        finished.variegate("run", **environment)
        server = f"http://127.0.0.1:{environment['PREFECT_SERVER_API_PORT']}"
        expect = playwright.expect

        page.goto(f"{server}/runs")
        page.locator("a[href*='flow-run/']").first.click()
        expect(page.get_by_text("Completed").first).to_be_visible(timeout=20_000)
        for line in ("planned 48, written 48", "epoch 2: train loss", "test images 3, accuracy"):
            expect(page.get_by_text(line).first).to_be_attached(timeout=20_000)
        page.get_by_text("Task Runs", exact=True).first.click()
        for stage in ("ingest", "validate", "augment", "train", "evaluate"):
            expect(page.get_by_role("link", name=stage, exact=True).first).to_be_visible(
                timeout=20_000
            )

        for key in ("contact-sheet", "training-curves"):
            picture = open_artifact(page, server, key).locator("img[src^='data:image']").first
            expect(picture).to_be_visible(timeout=20_000)
            assert picture.evaluate("image => image.naturalWidth") > 300
        for key in ("images-per-class", "changes"):
            expect(open_artifact(page, server, key).get_by_text(HOSTILE).first).to_be_visible(
                timeout=20_000
            )
        link = open_artifact(page, server, "images-per-class").get_by_text(HOSTILE).first
        with page.context.expect_page() as opened:  # Prefect opens links in a new tab
            link.click()
        tab = opened.value
        tab.wait_for_url(f"{report}/class?name=*")
        expect(tab.get_by_role("heading", name=HOSTILE)).to_be_visible()
        tab.get_by_role("link", name="Runs", exact=True).click()
        expect(tab.locator("a[href*='flow-run/']").first).to_be_visible(timeout=20_000)
        tab.close()
        for key, text in (("augment-counts", "written"), ("evaluate-counts", "accuracy")):
            expect(
                open_artifact(page, server, key).get_by_text(text, exact=True).first
            ).to_be_visible(timeout=20_000)

        page.goto(report)
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
        expect(page.locator("svg").first).to_be_visible()
        assert page.hosts - {""} == {"127.0.0.1"}
        assert page.dialogs == []
