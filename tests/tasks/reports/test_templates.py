"""Reports have one frame: it follows the system's colours, and leads to the pages."""

import re
from pathlib import Path

import pytest

from tasks.dataset.paths import NAVIGATION, page_of_images
from tasks.reports.templates import environment
from tests.conftest import ROOT
from tests.tasks.studies.elements import Elements, needs_nothing

OWN_COLOURS = ROOT / "tasks/studies/page.html.j2"  # of lines in charts, for both schemes
REPORTS = [path for path in (ROOT / "tasks").rglob("*.html.j2") if "{% extends" in path.read_text()]


def page(folder: Path, source: str) -> str:
    (folder / "one.html.j2").write_text(source)
    return environment(folder).get_template("one.html.j2").render(name="<b>")


def test_a_report_leads_to_every_page_and_says_where_one_is(tmp_path: Path) -> None:
    html = page(tmp_path, '{% extends "frame.html.j2" %}{% set here = "Report" %}')
    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?>(\w+)</a>', html)
    shown = {name: address.replace("&amp;", "&") for address, _, name in links}
    assert shown == NAVIGATION and shown["Variants"] == page_of_images(kind="variant")
    assert [name for _, here, name in links if here] == ["Report"]
    assert "aria-current=" not in page(tmp_path, '{% extends "frame.html.j2" %}')
    assert Elements(html).names.count("nav") == 1 and needs_nothing(html)


def test_names_are_escaped_and_counts_have_their_nouns(tmp_path: Path) -> None:
    frame = '{% extends "frame.html.j2" %}{% block body %}'
    html = page(tmp_path, f'{frame}{{{{ name }}}} {{{{ counted(1, "copy") }}}}{{% endblock %}}')
    assert "&lt;b&gt; 1 copy" in html


@pytest.mark.parametrize("template", REPORTS, ids=lambda path: path.name)
def test_colours_of_reports_are_those_of_the_scheme(template: Path) -> None:
    """A colour stands in the frame, which has it for light and for dark; elsewhere its name."""
    assert len(REPORTS) >= 5
    colours = re.findall(r"#[0-9a-f]{3,6}\b", template.read_text())
    allowed = {"#fff"} if template != OWN_COLOURS else set(colours)  # on cells of a strong colour
    assert set(colours) <= allowed


def test_both_schemes_have_the_same_colours() -> None:
    for template in (ROOT / "tasks/reports/frame.html.j2", OWN_COLOURS):
        style = template.read_text()
        light, dark = re.findall(r":root \{([^}]+)\}", style)
        named = [re.findall(r"(--\w+):", scheme) for scheme in (light, dark)]
        assert named[0] == named[1] and len(named[0]) > 3
    assert "color-scheme: light dark" in (ROOT / "tasks/reports/frame.html.j2").read_text()
