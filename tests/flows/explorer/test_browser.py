"""What a person sees of the pages in a browser, on what two real runs left.

Every test ends with the same question: did a page ask another host, open a dialog, or do anything
that its policy forbids?
"""

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pandas as pd
import pytest

from flows.explorer import grid, server
from tasks.dataset.manifests import read_ledger, read_validated
from tests.browser import HOSTILE, chromium, new_page
from tests.conftest import Project, commit, copy_of, wait_until

pytestmark = pytest.mark.services
playwright = pytest.importorskip("playwright.sync_api")

A_PAGE = 24
NARROW, USUAL, WIDE = 360, 1400, 3840
PAGES = {
    "images": "/images",
    "images set aside": "/images?status=quarantined",
    "variants": "/images?kind=variant&sort=sharpness",
    "counts": "/images/counts",
    "image": f"/image?{urlencode({'file': f'{HOSTILE}/0002.png'})}",
    "image set aside": f"/image?{urlencode({'file': '0/broken.png'})}",
    "classes": "/classes",
    "class": f"/class?{urlencode({'name': HOSTILE})}",
    "operations": "/operations",
    "operation": "/operation?name=Affine",
    "versions": "/versions",
    "message": "/image?file=nothing",
}
BAD = [
    ("/image?file=../../params.yaml", 404),
    ("/picture/original?file=/etc/passwd", 404),
    ("/picture/original?file=0/%2e%2e/%2e%2e/params.yaml", 404),
    ("/images?sort=nothing", 400),
    ("/images?sort=label;DROP%20TABLE%20manifest", 400),
    ("/images?shape=round", 400),
    ("/images?page=999999", 404),
    ("/images?page=1e9", 400),
    ("/images?page=-1", 400),
    ("/images?measure=sharpness&from=NaN", 400),
    ("/images?measure=sharpness&from=2&to=1", 400),
    ("/images?kind=variant&prediction=wrong", 400),
    ("/image?source=0000000000000000", 404),
    ("/image?source=x", 400),
    ("/picture/variant?id=0000000000000000-v001", 404),
    ("/picture/made?source=0000000000000000&index=1", 404),
    ("/class?name=nothing", 404),
    ("/operation?name=nothing", 404),
    ("/versions?before=--output=x", 400),
    ("/versions?before=nothing", 404),
    ("/%2e%2e/params.yaml", 404),
    ("/static/%2e%2e/server.py", 404),
]


@pytest.fixture(scope="module")
def dataset(finished_once: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A dataset of two versions, with a class whose name is markup, a copy and a broken file."""
    project = copy_of(finished_once, tmp_path_factory.mktemp("browser"))
    commit(project, "the first version")
    project.write_digits(per_class=40)
    raw = project.path("data/raw")
    (raw / "2").rename(raw / HOSTILE)
    shutil.copy(raw / "0/0000.png", raw / "1/same.png")  # a conflict
    shutil.copy(raw / "1/0001.png", raw / "1/copy.png")
    (raw / "0/broken.png").write_bytes((raw / "0/0010.png").read_bytes()[:60])
    (raw / "0/0020.png").unlink()
    project.run("dvc", "repro")
    return project


@pytest.fixture(scope="module")
def url(dataset: Project) -> Iterator[str]:
    """The address of the pages of it; of the grid, few pictures make a page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with dataset.here() as patched:
        patched.setattr(server, "usual_port", lambda: port)
        patched.setattr(grid, "IMAGES_A_PAGE", A_PAGE)
        with server.pages_served() as served:
            yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    with checked_page(browser, url) as opened:
        yield opened


@contextmanager
def checked_page(browser: Any, url: str, width: int = USUAL, **options: Any) -> Iterator[Any]:
    """A page that is asked at the end what it should not have done."""
    with new_page(browser, width, base_url=url, **options) as page:
        yield page
        assert page.hosts - {""} <= {"127.0.0.1"}
        assert page.dialogs == []
        assert page.errors == []


def follow(page: Any, locator: Any) -> None:
    """Click, and wait for the page that it leads to: lists of what is on it do not wait."""
    with page.expect_navigation(wait_until="domcontentloaded"):
        locator.click()


def total(page: Any) -> int:
    """How many rows the grid says that there are."""
    said = page.locator(".chosen strong").inner_text()
    return 0 if said == "none" else int(said.rpartition(" of ")[2].replace(",", ""))


def counts(page: Any) -> Any:
    """The part with the counts, which comes after the page."""
    part = page.locator("[data-fetch]")
    playwright.expect(part.locator(".facets")).to_be_visible()
    return part


def show_all_pictures(page: Any) -> None:
    """Let pictures be loaded that are not so before they are scrolled to."""
    page.evaluate("document.querySelectorAll('img').forEach((each) => { each.loading = 'eager'; })")
    loaded = "[...document.images].every((each) => each.complete)"
    wait_until(lambda: page.evaluate(loaded), 30)  # the policy forbids Playwright's own waiting


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.getAttribute('href')")


# --- what is seen -----------------------------------------------------------------------------


@pytest.mark.parametrize("width", [NARROW, USUAL, WIDE])
@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_the_window_and_show_all_pictures(
    name: str, width: int, browser: Any, url: str
) -> None:
    with checked_page(browser, url, width) as page:
        page.goto(PAGES[name])
        page.wait_for_load_state("networkidle")
        show_all_pictures(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        broken = "[...document.images].filter((each) => !each.naturalWidth).map((each) => each.src)"
        assert page.evaluate(broken) == []
        assert page.locator("h1").count() == 1
        if name == "message":  # Chromium calls the status of the page an error
            page.errors.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_light_and_dark(scheme: str, browser: Any, url: str) -> None:
    with checked_page(browser, url, color_scheme=scheme) as page:
        page.goto("/classes")
        colours = page.evaluate(
            """() => ['body', '.quiet', 'td a', 'nav button']
                .map((each) => getComputedStyle(document.querySelector(each)).color)
                .concat(getComputedStyle(document.body).backgroundColor)"""
        )
        *inks, paper = map(rgb, colours)
        assert (sum(paper) < 200) == (scheme == "dark")
        for ink in inks:
            assert contrast(ink, paper) >= 4.5


COLOURS_OF_TEXTS = """
() => [...document.querySelectorAll("body *")].flatMap((each) => {
    const has = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const style = getComputedStyle(each);
    const shaded = each.closest(".confusion td");
    if (!has || shaded || !each.getClientRects().length || each.tagName === "TITLE") return [];
    return [each instanceof SVGElement ? style.fill : style.color];
})
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("report", ["/", "/data.html"])
def test_reports_can_be_read_in_light_and_dark(
    report: str, scheme: str, browser: Any, url: str
) -> None:
    with checked_page(browser, url, color_scheme=scheme) as page:
        page.goto(report)
        paper = rgb(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert (sum(paper) < 200) == (scheme == "dark")
        found = page.evaluate(COLOURS_OF_TEXTS)
        assert len(found) > 50
        for colour in set(found):
            assert contrast(rgb(colour), paper) >= 4.5, colour
        lines = page.eval_on_selector_all(
            ".chart path, .chart use", "all => all.map((each) => getComputedStyle(each).stroke)"
        )
        for colour in set(lines) - {"none"}:  # Matplotlib's own, but for black
            assert contrast(rgb(colour), paper) >= 1.5, colour


@pytest.mark.parametrize("report", ["/", "/data.html"])
def test_reports_lead_back_to_the_pages(report: str, page: Any) -> None:
    for name in ("Images", "Variants", "Classes", "Operations", "Versions"):
        page.goto(report)
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        assert page.locator("nav [aria-current=page]").inner_text() == name
    page.goto(report)
    page.get_by_role("navigation").get_by_role("link", name="Report", exact=True).click()
    playwright.expect(page.get_by_role("heading", name="Variegate", exact=True)).to_be_visible()


def rgb(colour: str) -> tuple[int, ...]:
    """The numbers of `rgb(1, 2, 3)`."""
    return tuple(map(int, re.findall(r"\d+", colour)[:3]))


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The contrast ratio of two colours, as WCAG 2 defines it."""
    lights = sorted(luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: tuple[int, ...]) -> float:
    shares = [value / 255 for value in colour]
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_class_whose_name_is_markup_is_text_on_every_page(page: Any) -> None:
    for name in ("images", "variants", "image", "classes", "class", "versions"):
        page.goto(PAGES[name])
        page.wait_for_load_state("networkidle")
        playwright.expect(page.get_by_text(HOSTILE).first).to_be_attached()
        assert page.locator("img[onerror]").count() == 0


def test_the_navigation_leads_everywhere_and_says_where_one_is(page: Any) -> None:
    page.goto("/images")
    for name in ("Variants", "Classes", "Operations", "Versions", "Images"):
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        assert page.locator("nav [aria-current=page]").inner_text() == name
    page.get_by_role("navigation").get_by_role("link", name="Report", exact=True).click()
    playwright.expect(page.get_by_role("heading", name="Variegate", exact=True)).to_be_visible()


# --- the grid ---------------------------------------------------------------------------------


def test_filters_can_be_sent_from_wherever_one_is_among_them(page: Any) -> None:
    page.set_viewport_size({"width": USUAL, "height": 700})
    page.goto("/images")
    show = page.get_by_role("button", name="Show")
    box = show.bounding_box()
    assert box["y"] + box["height"] <= 700
    page.mouse.wheel(0, 300)
    playwright.expect(show).to_be_in_viewport()


def test_on_few_pixels_a_link_leads_to_the_counts(browser: Any, url: str) -> None:
    with checked_page(browser, url, NARROW) as page:
        page.goto("/images")
        counts(page)
        page.get_by_role("link", name="counts", exact=True).click()
        playwright.expect(page.get_by_role("heading", name="Counts")).to_be_in_viewport()


@pytest.mark.parametrize("kind", ["original", "variant"])
def test_each_count_leads_to_as_many_images(kind: str, page: Any, url: str) -> None:
    start = f"/images?kind={kind}"
    page.goto(start)
    found = [
        (link.inner_text(), link.get_attribute("href"), link.locator("xpath=../span").inner_text())
        for link in counts(page).locator(".facets li a").all()
    ]
    assert len(found) > 5
    for text, address, count in found:
        page.goto(address)
        assert total(page) == int(count.replace(",", "")), (text, address)
        assert page.locator(".filter").count() == 1
        follow(page, page.locator(".filter"))
        assert page.url == url + start.removesuffix("?kind=original")


@pytest.mark.parametrize("kind", ["original", "variant"])
def test_each_choice_of_the_form_can_be_made_and_taken_away(kind: str, page: Any) -> None:
    page.goto(f"/images?kind={kind}")
    everything = total(page)
    names = [each.get_attribute("name") for each in page.locator(".filters select").all()]
    for name in set(names) - {"measure", "sort", "order"}:
        values = page.locator(f"select[name={name}] option").all_inner_texts()[1:]
        assert values, name
        for value in values:
            page.locator(f"select[name={name}]").select_option(value)
            follow(page, page.get_by_role("button", name="Show"))
            asked = parse_qs(urlsplit(page.url).query, keep_blank_values=True)
            assert asked[name] == [value] and [""] not in asked.values()
            assert page.locator(f"select[name={name}]").input_value() == value
            assert total(page) <= everything
            follow(page, page.locator(".filter").first)
            assert total(page) == everything


@pytest.mark.parametrize("kind", ["original", "variant"])
def test_each_sort_is_as_the_manifest_says(kind: str, page: Any, dataset: Project) -> None:
    with dataset.here():
        table = read_validated() if kind == "original" else read_ledger()
    if kind == "variant":
        table = table[table["variant_index"] > 0]
    page.goto(f"/images?kind={kind}")
    listed = [each.get_attribute("value") for each in page.locator("[name=sort] option").all()]
    assert len(listed) > 20
    shown = "file_name" if kind == "original" else "variant_id"
    for name in listed[1:]:
        for order in ("asc", "desc"):
            page.locator("[name=sort]").select_option(name)
            page.locator("[name=order]").select_option(order)
            follow(page, page.get_by_role("button", name="Show"))
            if name not in table:
                continue  # of another file
            ordered = table.sort_values(
                name, ascending=order == "asc", kind="stable", na_position="last"
            )
            addresses = [each.get_attribute("href") for each in page.locator(".grid > a").all()]
            first = [named(address, kind) for address in addresses]
            assert first == ordered[shown].head(A_PAGE).tolist(), (name, order)


def named(address: str, kind: str) -> str:
    """The file, or the variant, to which a picture of the grid leads."""
    parts = urlsplit(address)
    return parts.fragment if kind == "variant" else parse_qs(parts.query)["file"][0]


def test_a_range_of_a_measure_leaves_what_lies_in_it(page: Any, dataset: Project) -> None:
    page.goto("/images?kind=variant")
    page.locator("[name=measure]").select_option("sharpness")
    page.locator("[name=from]").fill("0.5")
    page.locator("[name=to]").fill("0.9")
    page.locator("[name=to]").press("Enter")
    with dataset.here():
        sharpness = read_ledger()["sharpness"]
    assert total(page) == int(sharpness.between(0.5, 0.9).sum()) > 0
    playwright.expect(page.locator(".filter")).to_contain_text("sharpness from 0.5 to 0.9")


def test_pages_hold_every_image_once(page: Any, dataset: Project) -> None:
    page.goto("/images")
    seen: list[str] = []
    while True:
        links = page.locator(".grid > a")
        seen += [named(link.get_attribute("href"), "original") for link in links.all()]
        if page.locator("a[rel=next]").count() == 0:
            break
        page.keyboard.press("n")
        page.wait_for_url(f"**page={len(seen) // A_PAGE + 1}")
    with dataset.here():
        assert seen == read_validated()["file_name"].tolist()
    page.keyboard.press("p")
    page.wait_for_url(f"**page={len(seen) // A_PAGE}")


def test_what_is_chosen_downloads_as_csv(page: Any, tmp_path: Path) -> None:
    page.goto("/images?status=quarantined&sort=file_name&order=desc")
    expected = total(page)
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^CSV")).click()
    download.value.save_as(tmp_path / "images.csv")
    rows = pd.read_csv(tmp_path / "images.csv")
    assert len(rows) == expected == 3 and set(rows["status"]) == {"quarantined"}
    assert rows["file_name"].is_monotonic_decreasing


# --- keys -------------------------------------------------------------------------------------


def test_keys_lead_from_picture_to_picture_and_into_one(page: Any, url: str) -> None:
    page.goto("/images")
    links = [link.get_attribute("href") for link in page.locator(".grid > a").all()]
    columns = len(
        page.evaluate(
            "getComputedStyle(document.querySelector('.grid')).gridTemplateColumns"
        ).split()
    )
    for key, place in (
        ("ArrowRight", 0),
        ("j", 1),
        ("ArrowRight", 2),
        ("k", 1),
        ("ArrowLeft", 0),
        ("ArrowLeft", 0),  # there is none before
        ("ArrowDown", columns),
        ("j", columns + 1),
        ("ArrowUp", 1),
    ):
        page.keyboard.press(key)
        assert focused(page) == links[place], key
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(url + links[1])


def test_a_dialog_shows_the_keys_and_fields_take_letters(page: Any) -> None:
    page.goto("/images")
    dialog = page.get_by_role("dialog")
    for opens in (lambda: page.keyboard.press("?"), page.get_by_role("button", name="Keys").click):
        opens()
        playwright.expect(dialog).to_be_visible()
        page.keyboard.press("j")  # does nothing behind it
        page.keyboard.press("Escape")
        playwright.expect(dialog).to_be_hidden()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "name"
    page.locator("[name=cluster]").press_sequentially("jknp?/")
    assert page.locator("[name=cluster]").input_value() == "jknp?/"
    playwright.expect(dialog).to_be_hidden()


def test_the_first_key_leads_to_the_content(page: Any) -> None:
    page.goto("/classes")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    playwright.expect(page.locator(".skip")).to_be_in_viewport()


# --- an image ---------------------------------------------------------------------------------


def test_the_slider_makes_variants(page: Any, dataset: Project) -> None:
    with dataset.here():
        ledger = read_ledger()
        source = ledger["source_id"].iloc[0]
    page.set_viewport_size({"width": USUAL, "height": 400})
    page.goto(f"/image?source={source}")
    slider, picture = page.locator("[data-slider]"), page.locator("[data-slider-picture]")
    playwright.expect(picture).to_be_hidden()  # none is made before somebody looks there
    slider.scroll_into_view_if_needed()
    facts = page.locator("[data-slider-facts]")
    playwright.expect(facts).to_contain_text(f"{source}-v001", timeout=30_000)
    playwright.expect(picture).to_be_visible()
    ends = page.locator("#made .range span").all_inner_texts()
    assert ends == [slider.get_attribute("min"), slider.get_attribute("max")] == ["1", "20"]
    slider.focus()
    seen = set()
    for index in (2, 3):
        page.keyboard.press("ArrowRight")
        playwright.expect(facts).to_contain_text(f"{source}-v{index:03d}", timeout=30_000)
        playwright.expect(picture).to_be_visible()
        wait_until(lambda: picture.evaluate("each => each.complete"), 30)
        seen.add(picture.get_attribute("src"))
        assert picture.evaluate("each => each.naturalWidth") > 0
    assert len(seen) == 2


def test_an_address_leads_to_one_variant(page: Any, dataset: Project) -> None:
    with dataset.here():
        variant = read_ledger()["variant_id"].iloc[3]
    page.goto(f"/image?source={variant.partition('-')[0]}#{variant}")
    assert page.evaluate("document.querySelector(':target').id") == variant
    playwright.expect(page.locator(":target")).to_be_in_viewport()


def test_without_scripts_pages_work(browser: Any, url: str) -> None:
    with checked_page(browser, url, java_script_enabled=False) as page:
        page.goto("/images")
        page.get_by_role("link", name="How many there are of each").click()
        playwright.expect(page.get_by_role("heading", name="Counts")).to_be_visible()
        page.locator(".facets li a").first.click()
        page.locator(".grid > a").first.click()
        playwright.expect(page.locator("[data-with-slider]")).to_be_hidden()
        page.locator("#made [name=index]").fill("2")
        page.locator("#made button").first.click()
        playwright.expect(page.locator("[data-slider-facts]")).to_contain_text("-v002")


# --- four questions ---------------------------------------------------------------------------


def test_the_blurriest_variant_of_a_class_is_two_clicks_away(page: Any, dataset: Project) -> None:
    page.goto("/classes")
    page.get_by_role("link", name=HOSTILE, exact=True).click()
    row = page.locator("section", has=page.get_by_role("heading", name="Blurriest variants"))
    with dataset.here():
        ledger = read_ledger()
    its = ledger[(ledger["source_label"] == HOSTILE) & (ledger["variant_index"] > 0)]
    worst = its.loc[its["sharpness"].idxmin(), "variant_id"]
    row.locator("figure a").first.click()
    assert urlsplit(page.url).fragment == worst
    playwright.expect(page.locator(":target")).to_contain_text("sharpness")


def test_why_a_file_is_not_used_stands_on_its_page(page: Any) -> None:
    page.goto("/images?status=quarantined")
    page.locator(".grid > a", has_text="broken.png").click()
    playwright.expect(page.get_by_text("It was set aside: corrupt")).to_be_visible()
    page.goto("/images?status=duplicate")
    page.locator(".grid > a", has_text="copy.png").click()
    said = page.get_by_text("its pixels are equal to those of 1/0001.png")
    playwright.expect(said).to_be_visible()
    said.get_by_role("link").click()
    playwright.expect(page.get_by_role("heading", name="1/0001.png")).to_be_visible()


def test_the_surest_mistake_comes_first(page: Any, dataset: Project) -> None:
    page.goto("/")
    page.get_by_role("link", name="All mistakes, the surest first").click()
    with dataset.here():
        predictions = pd.read_csv("reports/predictions.csv", dtype={"label": str, "predicted": str})
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    assert total(page) == len(wrong) > 0
    first = page.locator(".grid > a").first
    assert named(first.get_attribute("href"), "original") in set(
        wrong.loc[wrong["probability"] == wrong["probability"].max(), "file_name"]
    )


def test_what_changed_since_the_last_version_is_shown_with_pictures(page: Any) -> None:
    page.goto("/images")
    page.get_by_role("navigation").get_by_role("link", name="Versions").click()
    for kind in ("added", "removed", "relabelled"):
        playwright.expect(
            page.get_by_role("heading", name=re.compile(f"^{kind}", re.I))
        ).to_be_visible()
    show_all_pictures(page)
    assert page.locator(".grid img").count() > 6


# --- links from elsewhere, and requests that cannot be ----------------------------------------


@pytest.mark.parametrize("report", ["index.html", "data.html"])
def test_every_link_of_a_report_leads_to_a_page(report: str, page: Any, url: str) -> None:
    page.goto(f"/{report}")
    links = page.eval_on_selector_all("a[href^='/']", "all => all.map((each) => each.href)")
    assert len(links) > 10
    for link in sorted(set(links)):
        found = httpx.get(link, follow_redirects=True, trust_env=False)
        assert found.status_code == 200, (link, found.text)
    assert page.locator("svg, img").count() > 4


def test_bad_requests_get_one_clear_line_and_change_nothing(url: str, dataset: Project) -> None:
    before = dataset.data_hashes()
    for path, status in BAD:
        found = httpx.get(url + path, trust_env=False, follow_redirects=True)
        assert found.status_code == status, path
        assert "Traceback" not in found.text and "root:" not in found.text, path
        assert "augment:" not in found.text and "pages_served" not in found.text, path
        assert len(re.findall(r"<p(?: class=\"warning\")?>(?!<a)", found.text)) <= 2, found.text
    assert dataset.data_hashes() == before
    assert httpx.get(f"{url}/images", trust_env=False).status_code == 200


def test_files_that_change_underneath_are_told(url: str, dataset: Project) -> None:
    manifest = dataset.path("data/validated/manifest.parquet")
    whole = manifest.read_bytes()
    away = manifest.with_name("away.parquet")
    manifest.rename(away)
    try:
        missing = httpx.get(f"{url}/images", trust_env=False)
        assert "variegate run" in missing.text and missing.status_code == 200
        manifest.write_bytes(whole[:1000])
        damaged = httpx.get(f"{url}/images", trust_env=False)
        assert damaged.status_code == 404 and "cannot be read as a manifest" in damaged.text
    finally:
        away.replace(manifest)
    assert httpx.get(f"{url}/images", trust_env=False).status_code == 200
