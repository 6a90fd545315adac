"""Contact sheet: some sources, each followed by its variants, as one picture."""

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from tasks.augment.expand import expand_source
from tasks.dataset.selections import example_rows
from tasks.pixels.decode import decode
from tasks.pixels.thumbnails import thumbnail
from tasks.variants.originals import Originals
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source, read_pixels, to_sources

CELL = 128  # pixels a side
CAPTION = 14
GAP = 6
MOST_SHOWN = 8  # variants of one source


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
    columns = 1 + max((source.planned for source in sources), default=0)
    size = (GAP + columns * (CELL + GAP), GAP + len(sources) * (CELL + CAPTION + GAP))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for line, source in enumerate(sources):
        top = GAP + line * (CELL + CAPTION + GAP)
        recipe = recipes.of(source.label)
        pixels = read_pixels(source, recipe.preprocessing)
        cells = [(f"{source.label}  {source.source_id[:8]}", pixels)]
        for variant in expand_source(source, recipe):
            row, data = originals.judge(variant, source.label)
            if data is not None:
                cells.append((f"v{row['variant_index']:03d}", decode(data).pixels))
            else:
                cells.append(("rejected", np.full((1, 1), 230, np.uint8)))
        for column, (caption, pixels) in enumerate(cells):
            left = GAP + column * (CELL + GAP)
            sheet.paste(Image.fromarray(thumbnail(pixels, CELL)), (left, top))
            draw.text((left, top + CELL + 1), caption[:22], fill="black")
    return np.asarray(sheet)
