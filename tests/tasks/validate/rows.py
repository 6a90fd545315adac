"""Rows of the validated manifest, as tests need them."""

import pandas as pd


def rows_of(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    """Rows (file name, pixels, label, given split) as they are before duplicates are marked."""
    table = pd.DataFrame(
        rows, columns=["file_name", "pixel_sha256", "label", "given_split"]
    ).astype(object)
    table["sha256"] = table["pixel_sha256"]
    table["source_id"] = table["file_name"]
    return table.assign(
        status="ok",
        reason=None,
        duplicate_of=None,
        group_id=None,
        sample=None,
        cluster=None,
        detail=None,
        split=None,
        lineage=range(len(table)),
    )
