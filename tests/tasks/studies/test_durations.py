"""Durations as people write and read them."""

import pytest

from tasks.common.errors import UserError
from tasks.studies.durations import in_words, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1.5h", 5400), (" 1m ", 60)]
)
def test_times_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["10", "m", "", "0s", "-1m", "10 m", "1h30m", "10M", "nan"])
def test_other_forms_are_one_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        seconds_of(text)
    assert str(caught.value) == f"--budget: needs a time such as 90s, 10m or 2h, found {text!r}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (120, "120 s"), (120.5, "3 min"), (540, "9 min"), (7201, "3 h")],
)
def test_how_long_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
