"""What is in a page of a study, and whether it needs anything else."""

import re
from html.parser import HTMLParser

ATTACK = "<img src=x onerror=alert(1)>"  # a name that must be shown, and not run


class Elements(HTMLParser):
    """The elements of a page, whether all are closed, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def needs_nothing(page: str) -> bool:
    """Whether a page loads nothing, runs nothing and links to nothing but pages of one server."""
    loaded = re.findall(r"""(?:src|action|data)=["'](?!data:image/)([^"']*)""", page)
    links = loaded + re.findall(r"""href=["'](?!data:,|/(?!/))([^"']*)""", page)
    foreign = ("http", "url(", "@import", "javascript:")
    return (
        not links
        and "script" not in Elements(page).names
        and not any(word in page for word in foreign)
    )


def rows_of(page: str, table: int) -> list[list[str]]:
    """The cells of a table of the page, as text; its head comes first."""
    text = page.split("<table>")[table + 1].split("</table>")[0]
    cells = r"<t[hd][^>]*>(.*?)</t[hd]>"
    return [
        [re.sub(r"<svg.*?</svg>", "", cell, flags=re.DOTALL) for cell in re.findall(cells, row)]
        for row in text.replace("\n", "").split("<tr>")[1:]
    ]
