"""Texts for people: counts with their nouns, and Markdown with names that others chose."""

import re


def counted(count: int, one: str, more: str | None = None) -> str:
    """A count with its noun, as `1 image` or `1,234 images`; `more`: the plural, if not with -s."""
    return f"{count:,} {noun(count, one, more)}"


def noun(count: int, one: str, more: str | None = None) -> str:
    """The noun of a count that stands elsewhere; see counted()."""
    return one if count == 1 else more or f"{one}s"


def code_span(text: str) -> str:
    """A name that others chose, as a span of code.

    There it is neither a mention nor a link nor markup, whatever it contains.
    """
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    padded = f" {shown} " if "`" in shown or not shown.strip() else shown
    return f"{fence}{padded}{fence}"


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table, after an empty one."""
    lines = [""]
    for cells in (heads, ["---"] * len(heads), *rows):
        escaped = " | ".join(map(_escape_bar, cells))
        lines.append(f"| {escaped} |")
    return lines


def _escape_bar(cell: str) -> str:
    return cell.replace("|", "\\|")
