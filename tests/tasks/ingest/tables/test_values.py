import math
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ingest.tables.values import normal_forms, text_in_column, text_of


def column(values: list[Any]) -> list[str | None]:
    texts = [text_in_column(value) for value in values]
    forms = normal_forms(texts)
    return [forms.get(text or "", text) for text in texts]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, math.nan, 10.0], ["3", None, "10"]),
        (["3.0", "", "10.0"], ["3", None, "10"]),
        (["3", "4.0"], ["3", "4"]),
        ([1.0, 1.5], ["1.0", "1.5"]),
        (["1.0", "1.5"], ["1.0", "1.5"]),
        ([1, 1.5], ["1", "1.5"]),
        (["007", "8"], ["007", "8"]),
        (["007", "8.0"], ["007", "8.0"]),
        (["3.0", "cat"], ["3.0", "cat"]),
        ([-1.0, 0.0], ["-1", "0"]),
        ([2**63 - 1, 2**64 - 1], ["9223372036854775807", "18446744073709551615"]),
        ([1e16, 2.0], ["10000000000000000", "2"]),
        (["1e+16", "2.0"], ["10000000000000000", "2"]),
        (["1e5", "2e3"], ["1e5", "2e3"]),  # hexadecimal names
        ([Decimal("3.00"), Decimal("4.00")], ["3", "4"]),
        ([True, False], ["True", "False"]),
        (["true", "false", None], ["True", "False", None]),
        (["TRUE", "FALSE"], ["True", "False"]),
        (["true", "maybe"], ["true", "maybe"]),
        ([b"cat", " dog "], ["cat", "dog"]),
        ([None, None], [None, None]),
    ],
)
def test_one_form_whatever_wrote_the_column(values: list[Any], expected: list[str | None]) -> None:
    assert column(values) == expected


@given(st.lists(st.integers()))
def test_integers_that_became_floats_are_themselves_again(numbers: list[int]) -> None:
    assert column([f"{number}.0" for number in numbers]) == list(map(str, numbers))


@given(st.lists(st.text("01.eE+-x", max_size=5)))
def test_the_normal_form_is_its_own(texts: list[str]) -> None:
    once = column(texts)
    assert column(once) == once


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (1.5, "1.5"), ("3.0", "3.0"), (True, "True"), ("", None)]
)
def test_values_that_stand_alone(value: Any, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (["a"], "needs text or a number, found list"),
        ("x" * 1001, "needs at most 1,000 characters, found 1,001"),
        ("\ud800", "needs text in UTF-8, found '\\ud800'"),
        (b"\xe4", "needs text in UTF-8, found b'\\xe4'"),
        ("a\0b", "needs text, found a NUL byte in 'a\\x00b'"),
    ],
)
def test_what_is_no_text_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        text_of(value)
