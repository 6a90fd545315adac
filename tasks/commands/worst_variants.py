"""The worst stored variants of a ledger, by each measure, as one picture."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.augment.contact_sheet import Cell, draw_rows, row_texts, variant_name
from tasks.dataset import image_bytes
from tasks.dataset.columns import MEASURES
from tasks.dataset.manifests import read_preprocessing, read_validated
from tasks.dataset.selections import usable
from tasks.dataset.variant_measures import Measured, read_rows
from tasks.pixels.decode import decode
from tasks.variants.sources import COLUMNS as SOURCE_COLUMNS

WORST_SHOWN = 3  # of each measure
COLUMNS = [
    "source_id",
    "variant_index",
    "label",
    "source_label",
    "operations",
    "segment",
    "offset",
    "length",
    *MEASURES,
]


def stored_worst_sheet(ledger: Path, measured: Measured) -> np.ndarray | None:
    """A row for each measure: the worst variants, each beside its source; None without any.

    Args:
        ledger: of data/augmented, where the variants lie.
        measured: its measures.

    Returns:
        uint8 (height, width, 3).
    """
    worst = measured.worst_rows(WORST_SHOWN)
    numbers = sorted(set(chain.from_iterable(worst.values())))
    if not numbers:
        return None
    rows = read_rows(ledger, numbers, COLUMNS).set_axis(numbers)
    pictures = before_and_after(rows)
    return draw_rows([list(_cells(name, rows.loc[its], pictures)) for name, its in worst.items()])


def before_and_after(rows: pd.DataFrame) -> dict[Any, tuple[np.ndarray, np.ndarray]]:
    """The pixels of the source, preprocessed, and of the variant of each row of the ledger."""
    validated = usable(read_validated(SOURCE_COLUMNS), "train")
    needed = validated[validated["source_id"].isin(rows["source_id"])]
    sources = image_bytes.locate_images(needed).set_index("source_id")
    preprocessing = read_preprocessing()
    return {
        row.Index: (
            preprocessing.read(image_bytes.read_row(sources.loc[row.source_id])),
            decode(image_bytes.read_row(row)).pixels,
        )
        for row in image_bytes.locate_variants(rows).itertuples()
    }


def _cells(
    measure: str, rows: pd.DataFrame, pictures: dict[Any, tuple[np.ndarray, np.ndarray]]
) -> Iterator[Cell]:
    for number, row in rows.to_dict("index").items():
        before, after = pictures[number]
        yield Cell(before, [row["source_label"], row["source_id"]])
        yield Cell(after, [f"{variant_name(row)}, worst by {measure}", *row_texts(row)])
