"""Images that are in another split than after the last run."""

import pandas as pd

from tasks.common.errors import UserError
from tasks.dataset.manifests import read_validated
from tasks.dataset.selections import usable


def splits_of_images() -> pd.DataFrame:
    """The usable images of the last run, by their bytes: file_name, label, split; none where there was no run."""
    columns = ["sha256", "file_name", "label", "split", "status"]
    try:
        rows = read_validated(columns)
    except UserError:
        rows = pd.DataFrame(columns=columns)
    return usable(rows).set_index("sha256")[["file_name", "label", "split"]]


def moved_between(before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, str]]:
    """The images that are in another split than before: file_name, before, after. See splits_of_images()."""
    both = after.join(before["split"].rename("before"), how="inner")
    moved = both[both["split"] != both["before"]].rename(columns={"split": "after"})
    return moved[["file_name", "before", "after"]].sort_values("file_name").to_dict("records")
