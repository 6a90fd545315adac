"""What is no text is told with its line, in every kind of table."""

import codecs

import pytest

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.ingest.tables.text_lines import lines_of
from tests.tasks.ingest.tables.found import find

ROWS = {
    "l.csv": "a.png,{}",
    "l.tsv": "a.png\t{}",
    "l.txt": "a.png {}",
    "l.jsonl": '{{"file_name": "a.png", "label": "{}"}}',
}
HEADERS = {"l.csv": "file_name,label\n", "l.tsv": "file_name\tlabel\n"}


def table(name: str, line: int, label: bytes, end: str = "\n") -> bytes:
    """A table of 900 lines, of which one has another label."""
    row = ROWS[name].format("cat") + end
    header = HEADERS[name].replace("\n", end) if name in HEADERS else row
    lines = [header.encode(), *[row.encode()] * 899]
    before, after = (ROWS[name] + end).format("K|fer").encode().split(b"|")
    lines[line - 1] = before + label + after
    return b"".join(lines)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("line", [2, 700])
@pytest.mark.parametrize("name", ROWS)
def test_a_byte_that_is_not_utf8_is_named_with_its_line(name: str, line: int, end: str) -> None:
    with pytest.raises(UserError) as caught:
        find({name: table(name, line, b"\xe4", end)})
    before = ROWS[name].format("K|").split("|")[0][-20:]
    assert str(caught.value) == (
        f"data/raw/{name} line {line}: needs text in UTF-8, found the byte 0xe4 "
        f"after {before!r}; save it as UTF-8"
    )


@pytest.mark.parametrize("name", ROWS)
def test_a_nul_byte_is_named_with_its_line(name: str) -> None:
    with pytest.raises(UserError) as caught:
        find({name: table(name, 700, b"\0")})
    before = ROWS[name].format("K|").split("|")[0][-20:]
    found = f"needs text, found a NUL byte after {before!r}"
    assert str(caught.value) == f"data/raw/{name} line 700: {found}"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ROWS)
def test_a_byte_order_mark_names_the_encoding(name: str, encoding: str) -> None:
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    text = table(name, 700, "\u00e4".encode()).decode()
    conflicts = find({name: mark + text.encode(encoding)}).tables[0].conflicts
    assert conflicts == {"a.png": f"{name} says cat and K\u00e4fer"}
    assert "".join(lines_of(RAW / name)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ROWS)
def test_utf16_without_a_mark_is_told(name: str, encoding: str) -> None:
    text = table(name, 2, "\u00e4".encode()).decode()
    with pytest.raises(UserError) as caught:
        find({name: text.encode(encoding)})
    need = "is in UTF-16 without a byte order mark: save it as UTF-8"
    assert str(caught.value) == f"data/raw/{name}: {need}"


def test_damaged_utf16_is_told_with_its_line() -> None:
    text = "file_name,label\na.png,x\n".encode("utf-16-le") + b"a\x00,\x00\x00\xd8b\x00"
    with pytest.raises(UserError) as caught:
        find({"l.csv": codecs.BOM_UTF16_LE + text})
    assert str(caught.value) == (
        "data/raw/l.csv line 3: needs text in UTF-16, found the byte 0x00 after 'a,'; "
        "save it as UTF-8, as its byte order mark says UTF-16"
    )
