"""The worst wrong predictions, each with the training image that is nearest to it."""

from typing import Any

import numpy as np
import pandas as pd

from tasks.dataset import image_bytes
from tasks.evaluate.nearest import Nearest
from tasks.model.image_array import read_bytes
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.pixels.thumbnails import picture

THUMBNAIL = 96  # pixels a side


def worst_rows(predictions: pd.DataFrame, limit: int) -> np.ndarray:
    """The rows of the worst wrong predictions: least probability of the true label first."""
    places = predictions.reset_index(drop=True)
    wrong = places[places["label"] != places["predicted"]]
    ordered = wrong.sort_values(["probability_of_label", "file_name"], kind="stable")
    return ordered.index[:limit].to_numpy()


def find_mistakes(
    predictions: pd.DataFrame,
    validated: pd.DataFrame,
    limit: int,
    preprocessing: Preprocessing = AS_DECODED,
    nearest: Nearest | None = None,
) -> list[dict[str, Any]]:
    """The worst wrong predictions as the report shows them.

    Args:
        predictions: see prediction_rows().
        validated: the manifest.
        limit: how many at most.
        preprocessing: of all images.
        nearest: the training images nearest to them, in this order; None: not known.

    Returns:
        Rows of `predictions`, each with its `picture`, a `data:` URI, and `nearest`: None, or the
        picture, label, file_name and cosine of a training image.
    """
    worst = predictions.iloc[worst_rows(predictions, limit)]
    names = validated.set_index("file_name").loc[worst["file_name"]].reset_index()
    located = image_bytes.locate_images(names)
    pictures = [
        picture(image_bytes.read_row(row), THUMBNAIL, preprocessing) for row in located.itertuples()
    ]
    return [
        {**row, "picture": shown, "nearest": _neighbour(number, validated, preprocessing, nearest)}
        for number, (row, shown) in enumerate(zip(worst.to_dict("records"), pictures, strict=True))
    ]


def _neighbour(
    number: int, validated: pd.DataFrame, preprocessing: Preprocessing, nearest: Nearest | None
) -> dict[str, Any] | None:
    if nearest is None:
        return None
    row = nearest.of.iloc[int(nearest.rows[number])]
    usable = validated[(validated["source_id"] == row["source_id"]) & (validated["status"] == "ok")]
    return {
        "picture": picture(read_bytes(row), THUMBNAIL, preprocessing),
        "label": row["label"],
        "file_name": usable["file_name"].iloc[0],
        "cosine": float(nearest.cosines[number]),
    }
