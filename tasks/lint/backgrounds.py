"""Backgrounds: whether images have, at their edges, the colour that a border is filled with.

A black border takes nothing away from digits or scans on black, and does from photos.
"""

from typing import Any

import numpy as np
import pandas as pd

from tasks.lint.area_rules import evenly_spaced
from tasks.pixels.convert import to_rgb
from tasks.pixels.preprocess import Preprocessing
from tasks.variants.sources import read_pixels, to_sources

SAMPLED = 8  # images
NEAR = 10  # grey levels of 255: a scanner's black has noise
MOSTLY = 0.5  # of an image's edge, which what it shows may reach


def have_background(step: Any, rows: pd.DataFrame, preprocessing: Preprocessing) -> bool:
    """Whether at least half of a few images have the colour of a step's border at their edges.

    Args:
        step: with a constant border, whose `fill` is of 8 bits.
        rows: of the sources, as policy_inputs() gives them.
        preprocessing: of each.
    """
    if isinstance(step.fill, str) or rows.empty:
        return False
    chosen = rows.iloc[evenly_spaced(len(rows), SAMPLED)]
    sources = to_sources(chosen, pd.Series(0, chosen.index))
    shares = [edge_share(read_pixels(source, preprocessing), step.fill) for source in sources]
    return float(np.median(shares)) >= MOSTLY


def edge_share(pixels: np.ndarray, colour: float | tuple[float, ...]) -> float:
    """The share of the pixels at the four edges of an image that are near a colour.

    `pixels`: uint8 (height, width) or (height, width, 3).
    """
    rgb = to_rgb(pixels).astype(np.int16)
    edges = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    return float((np.abs(edges - np.asarray(colour)) <= NEAR).all(axis=1).mean())
