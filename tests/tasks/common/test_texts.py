"""Counts have the noun that they need."""

import re

import pytest

from tasks.common.texts import counted, noun
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 copies"), (1, "1 copy"), (2, "2 copies"), (1_000_000, "1,000,000 copies")],
)
def test_one_is_singular_and_all_else_plural(count: int, said: str) -> None:
    assert counted(count, "copy", "copies") == said
    assert said.endswith(noun(count, "copy", "copies"))


def test_examples_in_the_documentation_have_no_plural_of_one() -> None:
    of_one = re.compile(r"(?<![\d.,-])1 (?:duplicate|image|file|variant|pair|row|label|epoch)s\b")
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        assert not of_one.search(path.read_text(encoding="utf-8")), path.name


def test_most_plurals_need_not_be_given() -> None:
    assert [counted(count, "test image") for count in (1, 2)] == ["1 test image", "2 test images"]
