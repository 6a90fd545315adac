"""The commands that run tests: each test belongs to exactly one of them."""

import re
from collections import Counter

import pytest
from _pytest.mark.expression import Expression

from tests.conftest import ROOT

TARGET = re.compile(r"^(test[a-z-]*): .*\n\t@.*(?:pytest|\$\(TEST\)) (.*)$", re.MULTILINE)


class Collector:
    """A plugin of pytest that keeps the marks of every test, by the test's id."""

    def __init__(self) -> None:
        self.marks: dict[str, set[str]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            self.marks[item.nodeid] = {mark.name for mark in item.iter_markers()}


@pytest.fixture(scope="module")
def marks() -> dict[str, set[str]]:
    """The marks of every test there is."""
    collector = Collector()
    options = ["--collect-only", "-qqq", "-p", "no:xdist", "-p", "no:cacheprovider", str(ROOT)]
    assert pytest.main(options, plugins=[collector]) == pytest.ExitCode.OK
    return collector.marks


@pytest.fixture(scope="module")
def selections(marks: dict[str, set[str]]) -> dict[str, set[str]]:
    """The tests of each target of the Makefile that runs some."""
    chosen = {}
    for target, options in TARGET.findall((ROOT / "Makefile").read_text()):
        found = re.search(r'-m "(.*?)"', options)
        assert found is not None
        matches = Expression.compile(found[1]).evaluate
        tests = {test for test, own in marks.items() if matches(own.__contains__)}
        faults = {test for test in tests if test.startswith("tests/faults/")}
        if options.endswith("--ignore tests/faults"):
            tests -= faults
        elif options.endswith("tests/faults"):
            tests = faults
        chosen[target] = tests
    return chosen


def test_every_test_belongs_to_one_target(
    marks: dict[str, set[str]], selections: dict[str, set[str]]
) -> None:
    unit = selections.pop("test-unit")
    assert set(selections) == {"test", "test-services", "test-slow", "test-faults"}
    times = Counter(test for tests in selections.values() for test in tests)
    assert {test for test in marks if times[test] != 1} == set()
    assert unit < selections["test"]
    assert all(selections.values())


def test_continuous_integration_runs_what_is_not_slow() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert re.findall("^make .*$", script, re.MULTILINE) == ["make test", "make test-services"]
