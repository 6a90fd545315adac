"""The lines of a text file: UTF-8, or what its byte order mark names.

What is no text is an error that names its line, in whichever reader.
"""

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path

from tasks.common.errors import UserError

START_BYTES = 2**14
SHOWN = 20  # characters before a bad byte
BYTE_ORDER_MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def lines_of(path: Path) -> Iterator[str]:
    """The lines, each with its end. They end as editors count them: at LF, CR LF or CR.

    Raises:
        UserError: at a byte that is no text in the file's encoding, with its line.
    """
    start = _first_bytes(path)
    encoding = _encoding_of(start)
    if _is_bare_utf16(start):
        raise UserError(f"{path}: is in UTF-16 without a byte order mark: save it as UTF-8")
    try:
        with path.open(encoding=encoding, newline="") as file:
            for number, line in enumerate(file, 1):
                if "\0" in line:
                    before = line.partition("\0")[0][-SHOWN:]
                    found = f"found a NUL byte after {before!r}"
                    raise UserError(f"{path} line {number}: needs text, {found}")
                yield line
    except UnicodeDecodeError:
        raise UserError(_where_it_is_no_text(path, encoding)) from None


def first_lines(path: Path) -> list[str]:
    """The lines that the first 16 KiB hold whole; what is no text in them is replaced."""
    start = _first_bytes(path)
    text = start.decode(_encoding_of(start), "replace").removeprefix("\ufeff")
    # without the zeros of UTF-16: such a table is found, and then told
    lines = list(io.StringIO(text.replace("\0", ""), newline=""))
    return lines[:-1] if len(start) == START_BYTES and len(lines) > 1 else lines


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(START_BYTES)


def _encoding_of(start: bytes) -> str:
    marks = BYTE_ORDER_MARKS.items()
    return next((encoding for mark, encoding in marks if start.startswith(mark)), "utf-8")


def _is_bare_utf16(start: bytes) -> bool:
    """Whether many of every other byte, and none of those between, are zero."""
    if _encoding_of(start) != "utf-8":
        return False
    even, odd = start[::2].count(0), start[1::2].count(0)
    return min(even, odd) == 0 and max(even, odd) > len(start) / 8


def _where_it_is_no_text(path: Path, encoding: str) -> str:
    """The line of the first byte that cannot be decoded. (The decoder of an open file reads ahead.)

    A file that has no such byte any more was changed.
    """
    data = path.read_bytes()
    name = encoding.removesuffix("-sig").upper()
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace").removeprefix("\ufeff")
        lines = re.split("\r\n|\r|\n", before)
        found = f"found the byte 0x{data[error.start]:02x} after {lines[-1][-SHOWN:]!r}"
        hint = "" if name == "UTF-8" else f", as its byte order mark says {name}"
        return f"{path} line {len(lines)}: needs text in {name}, {found}; save it as UTF-8{hint}"
    return f"{path}: changed while it was read; run again"
