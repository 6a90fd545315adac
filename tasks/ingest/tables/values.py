"""Labels, splits, groups and names as text: one form of a value, whatever the table's format."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

MAX_CHARACTERS = 1000  # of a name or label
WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.0+)?|-?\d(?:\.\d+)?e\+\d\d+")


class Annotation(NamedTuple):
    """What one source of labels says of an image; None where it says nothing."""

    label: str | None = None
    split: str | None = None
    group_id: str | None = None


def text_of(value: Any) -> str | None:
    """A value of its own as text; None where it is empty. The numbers 3 and 3.0 are `3`.

    Raises:
        ValueError: see text_in_column().
    """
    text = text_in_column(value)
    return _whole(text) if text and isinstance(value, float) else text


def text_in_column(value: Any) -> str | None:
    """A value of a column as text, before normal_forms(); None where it is empty.

    Raises:
        ValueError: where it is neither text, number nor boolean, is too long, or no valid Unicode.
    """
    text = value.strip() if isinstance(value, str) else _written(value)
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"needs at most {MAX_CHARACTERS:,} characters, found {len(text):,}")
    if not text.isascii() and re.search("[\ud800-\udfff]", text):
        raise ValueError(f"needs text in UTF-8, found {text!r}")
    if "\0" in text:
        raise ValueError(f"needs text, found a NUL byte in {text!r}")
    return text or None


def _written(value: Any) -> str:
    """A value that is no text as text."""
    if value is None or value != value:  # NaN differs from itself
        return ""
    if isinstance(value, bytes):
        return _decoded(value).strip()
    if not isinstance(value, int | float | Decimal):
        raise ValueError(f"needs text or a number, found {type(value).__name__}")
    if isinstance(value, float) and value.is_integer():
        return f"{int(value)}.0"  # all its digits: Python writes 1e+16
    return str(value)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError(f"needs text in UTF-8, found {value!r}") from None


def normal_forms(texts: Iterable[str | None]) -> dict[str, str]:
    """What the texts of one column become, for those that change.

    A missing value makes floats of a column of integers (3 becomes 3.0), and every program writes
    booleans in a way of its own. Where all of a column are whole numbers, they are integers again;
    where all are booleans, they are `True` and `False`. In every other column, text stays as it is:
    1.0 beside 1.5 may be a version, and 007 is no number.
    """
    distinct = {text for text in texts if text is not None}
    if all(map(WHOLE_NUMBER.fullmatch, distinct)):
        forms = {text: _whole(text) for text in distinct}
    elif all(text.lower() in ("true", "false") for text in distinct):
        forms = {text: text.capitalize() for text in distinct}
    else:
        forms = {}
    return {text: form for text, form in forms.items() if text != form}


def _whole(text: str) -> str:
    """`3` of `3.0`, and all digits of `1e+16`; other text as it is."""
    if not WHOLE_NUMBER.fullmatch(text):
        return text
    return str(int(float(text))) if "e" in text else text.partition(".")[0]
