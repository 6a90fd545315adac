"""Exposure: what the model really saw, counted for each source and held against the plan."""

from typing import Any

import pandas as pd

COLUMNS = ("original", "stored", "online", "replaced", "left_out")


def per_source(places: pd.DataFrame) -> pd.DataFrame:
    """Presentations of each source over all epochs.

    Args:
        places: a row per place of the feed: source_id, label, kind (original, stored, online), and its counts shown,
            replaced and left_out.

    Returns:
        source_id, label; original, stored, online: presentations of itself, its stored variants, and variants made on
        the fly; replaced: times it stood in for a variant that was rejected; left_out: presentations that a last batch
        of one image cost; presentations: all but left_out.
    """
    counted = places.assign(
        **{kind: places["shown"] * (places["kind"] == kind) for kind in ("original", "stored")}
    )
    counted["online"] = counted["shown"] * (counted["kind"] == "online") - counted["replaced"]
    counted["presentations"] = counted["shown"]
    return (
        counted.groupby(["source_id", "label"], sort=False)[[*COLUMNS, "presentations"]]
        .sum()
        .reset_index()
    )


def reconcile(seen: pd.DataFrame, augmentation: str, epochs: int, written: pd.Series) -> None:
    """Raise RuntimeError unless each source was shown as often as the plan says, but for what was left out.

    `written`: its stored variants, on source_id. An epoch shows, offline, it and these; online, one variant; both, all.
    """
    stored = 1 + written.loc[seen["source_id"]].to_numpy()
    expected = epochs * (stored * (augmentation != "online") + (augmentation != "offline"))
    wrong = seen[seen["presentations"] + seen["left_out"] != expected]
    if len(wrong):
        raise RuntimeError(f"source {wrong['source_id'].iloc[0]} was not shown as often as planned")


def distinct_images(places: pd.DataFrame) -> int:
    """How many different images were among those shown, where `distinct` held while they were made."""
    online = places["kind"] == "online"
    kept = int((places["shown"][~online] > 0).sum())
    made = int((places["shown"] - places["replaced"])[online].sum())
    # a source that stood in for its variant is an image too, unless it is shown as itself anyway
    stood_in = 0 if "original" in set(places["kind"]) else int((places["replaced"] > 0).sum())
    return kept + made + stood_in


def summary(
    seen: pd.DataFrame, augmentation: str, epochs: int, distinct: int | None
) -> dict[str, Any]:
    """The content of metrics/exposure.json; `distinct`: distinct_images(), None where nobody looked for equal ones."""
    totals = {name: int(seen[name].sum()) for name in (*COLUMNS, "presentations")}
    classes = seen.groupby("label")["presentations"].sum()
    return {
        "augmentation": augmentation,
        "epochs": epochs,
        "sources": len(seen),
        "samples_per_epoch": (totals["presentations"] + totals["left_out"]) // epochs,
        **totals,
        "distinct_images": distinct,
        "presentations_of_a_source": {
            "least": int(seen["presentations"].min()),
            "most": int(seen["presentations"].max()),
        },
        "presentations_of_a_class": {str(label): int(count) for label, count in classes.items()},
    }
