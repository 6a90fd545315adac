"""Contact sheet: sources and their variants as one picture, with what was done to each below it."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from tasks.augment.expand import expand_source
from tasks.dataset.captions import (
    WHOLE,
    measures_in_words,
    operations_in_words,
    relabelled_in_words,
)
from tasks.dataset.selections import example_rows
from tasks.pixels.decode import decode
from tasks.pixels.thumbnails import thumbnail
from tasks.variants.make import Encoded, Row
from tasks.variants.originals import Originals
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source, read_pixels, to_sources

CELL = 160  # pixels a side
LINE = 13  # pixels from one line of text to the next
FONT_SIZE = 11
MOST_LINES = 12  # below a picture
GAP = 8
SHEET_QUALITY = 80  # on the dashboard: as PNG, photos are more than Prefect takes
MOST_SHOWN = 8  # variants of one source
NO_PICTURE = np.full((1, 1), 230, np.uint8)


class Cell(NamedTuple):
    """A picture and what is written below it, a paragraph for each text."""

    pixels: np.ndarray
    texts: list[str]


def sample_sheet(
    rows: pd.DataFrame, counts: pd.Series, recipes: Recipes, originals: Originals, sources: int
) -> tuple[np.ndarray, int, int]:
    """The contact sheet of some training rows, and how many sources and variants it shows.

    Args:
        rows: see training_sources().
        counts: the variants planned of each.
        recipes: what makes them.
        originals: which no variant may equal.
        sources: the most to show.
    """
    chosen = example_rows(rows, sources)
    shown = counts[chosen.index].clip(upper=MOST_SHOWN)
    sheet = contact_sheet(list(to_sources(chosen, shown)), recipes, originals)
    return sheet, len(chosen), int(shown.sum())


def contact_sheet(sources: list[Source], recipes: Recipes, originals: Originals) -> np.ndarray:
    """A row per source: itself, then its planned variants. uint8 (height, width, 3), RGB."""
    rows = []
    for source in sources:
        recipe = recipes.of(source.label)
        encoded = expand_source(source, recipe)
        judged = [originals.judge(variant, source.label, recipes) for variant in encoded]
        rows.append([source_cell(source, recipes), *map(variant_cell, judged)])
    return draw_rows(rows)


def source_cell(source: Source, recipes: Recipes) -> Cell:
    """A source, preprocessed, below which stand its class and its id."""
    pixels = read_pixels(source, recipes.of(source.label).preprocessing)
    return Cell(pixels, [source.label, source.source_id])


def variant_cell(variant: Encoded) -> Cell:
    """A variant as it is stored, below which stand its measures and operations."""
    row, data = variant
    name = variant_name(row)
    if data is None:
        return Cell(NO_PICTURE, [f"{name} rejected: {row['reason']}"])
    return Cell(decode(data).pixels, [name, *row_texts(row)])


def variant_name(row: Row) -> str:
    """As `v002`; of a variant that shows another class than its source `v002 left -> right`."""
    name, change = f"v{row['variant_index']:03d}", relabelled_in_words(row)
    return f"{name} {change}" if change else name


def row_texts(row: Row) -> list[str]:
    """The measures of a row of the ledger, then its operations."""
    measures = measures_in_words(row)
    operations = operations_in_words(json.loads(row["operations"]))
    return [measures, *operations] if measures else operations


def draw_rows(rows: list[list[Cell]]) -> np.ndarray:
    """Rows of cells, each as high as it needs to be. uint8 (height, width, 3), RGB."""
    columns = max(map(len, rows), default=0)
    strips = [np.full((GAP, GAP + columns * (CELL + GAP), 3), 255, np.uint8)]
    strips += [draw_row(row, columns) for row in rows]
    return np.concatenate(strips)


def draw_row(row: list[Cell], columns: int) -> np.ndarray:
    """One row of a sheet of so many columns."""
    texts = [list(wrapped(cell.texts)) for cell in row]
    tallest = max(height_of(cell.pixels) for cell in row)
    above = (CELL - tallest) // 2  # of a thumbnail, which is a square
    size = (GAP + columns * (CELL + GAP), tallest + LINE * max(map(len, texts)) + GAP)
    strip = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(FONT_SIZE)
    for column, (cell, lines) in enumerate(zip(row, texts, strict=True)):
        left = GAP + column * (CELL + GAP)
        picture = thumbnail(cell.pixels, CELL)[above : above + tallest]
        strip.paste(Image.fromarray(picture), (left, 0))
        for number, line in enumerate(lines):
            draw.text((left, tallest + number * LINE), line, "black", font)
    return np.asarray(strip)


def height_of(pixels: np.ndarray) -> int:
    """The height of an image's thumbnail without what is white above and below it."""
    height, width = pixels.shape[:2]
    return max(1, round(CELL * height / max(height, width)))


def wrapped(texts: list[str]) -> Iterator[str]:
    """The lines of some texts, each at most as wide as a cell; what is too much is cut."""
    lines = list(chain.from_iterable(map(_lines_of, texts)))
    yield from lines[:MOST_LINES]
    if len(lines) > MOST_LINES:
        yield "…"


def _lines_of(text: str) -> Iterator[str]:
    line = ""
    for word in normalize("NFC", text).split(" "):  # the font has no accents by themselves
        word = word.replace(WHOLE, " ")  # the font has no other space
        longer = f"{line} {word}" if line else word
        if line and _width(longer) > CELL:
            yield _cut(line)
            longer = word
        line = longer
    yield _cut(line)


def _cut(line: str) -> str:
    """A line that fits into a cell; where it does not, its beginning and an ellipsis."""
    if _width(line) <= CELL:
        return line
    while line and _width(f"{line}…") > CELL:
        line = line[:-1]
    return f"{line}…"


def _width(line: str) -> float:
    return ImageFont.load_default(FONT_SIZE).getlength(line)
