"""What pages have in common: escaped text, numbers, errors of an address in words."""

import re
from typing import Any

import pytest
from jinja2 import UndefinedError

from flows.explorer import rendering
from flows.explorer.rendering import TEMPLATES, number, render, sentence_of


def test_numbers_are_for_people() -> None:
    assert number(1_234_567) == "1,234,567"
    assert number(0.12345) == "0.123" and number(99.96, 1) == "100.0"
    assert number(15714.3) == "15,714" and number(-100.0) == "-100"
    assert number(None) == number(float("nan")) == ""
    assert number(0) == "0"


def test_what_a_template_is_given_is_text_and_no_markup() -> None:
    page = render("message.html.j2", heading="<b>", text="<img src=x onerror=alert(1)>\n'\"&")
    assert "<h1>&lt;b&gt;</h1>" in page and "<img" not in page
    assert "<p>&#39;&#34;&amp;</p>" in page


def test_what_a_template_was_not_given_fails() -> None:
    with pytest.raises(UndefinedError):
        render("message.html.j2")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            {"loc": ("query", "page"), "msg": "Input should be a valid integer", "input": "x"},
            "page: Input should be a valid integer; found 'x'",
        ),
        (
            {"loc": ("query", "to"), "msg": "Value error, needs a number", "input": "1" * 999},
            f"to: needs a number; found {'1' * 199!r}"[:-1],
        ),
    ],
)
def test_what_cannot_be_asked_is_told_by_field(error: dict[str, Any], sentence: str) -> None:
    assert sentence_of(error) == sentence


@pytest.mark.parametrize("name", sorted(path.name for path in TEMPLATES.glob("*.j2")))
def test_no_template_needs_what_the_policy_of_pages_forbids(name: str) -> None:
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", source)
    assert not re.search(r"<script(?! src=\"/static/)", source)
    assert "| safe" not in source and "Markup" not in source
    assert not re.search(r"(?:href|src|action)=[\"']?(?:https?:)?//", source)


def test_static_files_ask_nothing_of_another_host() -> None:
    for path in (rendering.TEMPLATES.parent / "static").iterdir():
        assert "//" not in re.sub(r"^\s*//.*$|\s//\s.*$", "", path.read_text(), flags=re.MULTILINE)
        assert "@import" not in path.read_text() and "url(" not in path.read_text()
