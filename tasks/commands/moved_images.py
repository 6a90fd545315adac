"""Find the images that are in another split than after the last run."""

import pandas as pd

from tasks.common.errors import UserError
from tasks.dataset.manifests import read_validated
from tasks.dataset.selections import usable


def splits_of_images() -> pd.DataFrame:
    """The usable images of the last run; no rows where there was no run.

    Returns:
        file_name, label and split; the index is the SHA-256 of the image's bytes.
    """
    columns = ["sha256", "file_name", "label", "split", "status"]
    try:
        rows = read_validated(columns)
    except UserError:
        rows = pd.DataFrame(columns=columns)
    return usable(rows).set_index("sha256")[["file_name", "label", "split"]]


def moved_between(before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, str]]:
    """The images that are in another split than before.

    Args:
        before: see splits_of_images().
        after: the same, later.

    Returns:
        file_name and the splits `before` and `after` of each, in the order of file_name.
    """
    both = after.join(before["split"].rename("before"), how="inner")
    moved = both[both["split"] != both["before"]].rename(columns={"split": "after"})
    return moved[["file_name", "before", "after"]].sort_values("file_name").to_dict("records")
