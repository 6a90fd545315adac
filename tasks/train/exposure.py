"""Exposure: how often training showed each source and its variants, compared with the plan.

A sample is one image of an epoch, a presentation is one showing of it. With 3 variants of a source
stored, offline training shows it 4 samples of that source in each epoch: in 10 epochs, 40
presentations. The feed counts what it showed (feed.py); here the counts are summed for each source.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tasks.train.balance import balanced_presentations, class_weights

COLUMNS = ("original", "stored", "online", "device", "replaced", "left_out")


def exposure_by_source(samples: pd.DataFrame) -> pd.DataFrame:
    """Presentations of each source over all epochs.

    Args:
        samples: a row for each sample of the feed: source_id, source_label, kind (original,
            stored, online, device), and its counts shown, replaced, left_out and mixed_in.

    Returns:
        A row for each source, in the order of the samples: source_id; label, its own, whatever
        its variants show;
        original, stored, online: presentations of itself, of its stored variants, and of variants
        made on the fly;
        device: presentations of it augmented on the device;
        replaced: presentations of itself in place of a variant on the fly that was rejected;
        left_out: presentations missed because a last batch of one sample is left out;
        presentations: the sum of all but left_out;
        mixed_in: how often mixup and cutmix took it for the partner of another. It is no
        presentation: each image counts once, for the source that has the larger share.
    """
    shown, kind = samples["shown"], samples["kind"]
    counted = samples.assign(
        original=shown * (kind == "original"),
        stored=shown * (kind == "stored"),
        online=shown * (kind == "online") - samples["replaced"],
        device=shown * (kind == "device"),
        presentations=shown,
    )
    sources = counted.groupby(["source_id", "source_label"], sort=False)
    table = sources[[*COLUMNS, "presentations", "mixed_in"]].sum().reset_index()
    return table.rename(columns={"source_label": "label"})


def presentations_by_class(
    samples: pd.DataFrame, online_classes: Mapping[int, int], classes: list[str]
) -> dict[str, int]:
    """How often each class was shown over all epochs, by what images show, not by their sources.

    Args:
        samples: see exposure_by_source(), with their own `label`.
        online_classes: of samples made on the fly or on the device, see Feed.
        classes: by their numbers; those that were never shown are left out.
    """
    from_disk = samples[samples["kind"].isin(("original", "stored"))]
    shown = from_disk.groupby("label")["shown"].sum()
    return {
        label: int(shown.get(label, 0)) + online_classes.get(number, 0)
        for number, label in enumerate(classes)
        if label in shown.index or number in online_classes
    }


def plan(sources: pd.DataFrame, augmentation: str, epochs: int, written: pd.Series) -> np.ndarray:
    """How often each source is to be shown, itself and its variants: int64 (sources,).

    An epoch shows of each source, offline: itself and its stored variants; online: one variant made
    on the fly; both: all of these; device: itself, augmented on the device.

    Args:
        sources: see exposure_by_source().
        augmentation: offline, online, both or device.
        epochs: how many were trained.
        written: how many variants of each source are stored; its index is the source_id.
    """
    stored = 1 + written.loc[sources["source_id"]].to_numpy()
    from_disk = stored * (augmentation in ("offline", "both"))
    return epochs * (from_disk + (augmentation != "offline"))


def balanced_plan(samples: pd.DataFrame, seed: int, epochs: int) -> np.ndarray:
    """How often each source is to be shown in a balanced order, see balance.py.

    Args:
        samples: see exposure_by_source(), with the `number` of their class.
        seed: of the training.
        epochs: how many were trained.
    """
    due = balanced_presentations(samples["number"].to_numpy(), seed, epochs)
    return samples.assign(due=due).groupby("source_id", sort=False)["due"].sum().to_numpy()


def reconcile(sources: pd.DataFrame, planned: np.ndarray) -> None:
    """Compare what was shown with the plan.

    Args:
        sources: see exposure_by_source().
        planned: how often each was to be shown, see plan() and balanced_plan().

    Raises:
        RuntimeError: where a source was shown more or less often, but for what was left out.
    """
    wrong = sources[sources["presentations"] + sources["left_out"] != planned]
    if len(wrong):
        raise RuntimeError(f"source {wrong['source_id'].iloc[0]} was not shown as often as planned")


def weights_by_class(samples: pd.DataFrame) -> dict[str, float]:
    """By how much the loss of an image of each class counted, see balance.class_weights().

    `samples`: see exposure_by_source(), with their own `label` and its `number`.
    """
    labels = samples.drop_duplicates("number").sort_values("number")
    weights = class_weights(samples["number"].to_numpy(), int(labels["number"].max()) + 1)
    return {str(row.label): round(weights[row.number], 6) for row in labels.itertuples()}


def distinct_images(samples: pd.DataFrame) -> int:
    """How many different images were shown, if `distinct` held while the variants were made.

    `samples`: see exposure_by_source().
    """
    online = samples["kind"] == "online"
    from_disk = int((samples["shown"][~online] > 0).sum())
    made = int((samples["shown"] - samples["replaced"])[online].sum())
    if "original" in set(samples["kind"]):
        return from_disk + made
    # a source shown in place of its rejected variant is one more image
    return from_disk + made + int((samples["replaced"] > 0).sum())


def summary(
    sources: pd.DataFrame,
    augmentation: str,
    epochs: int,
    distinct: int | None,
    by_class: dict[str, int],
) -> dict[str, Any]:
    """The content of metrics/exposure.json.

    Args:
        sources: see exposure_by_source().
        augmentation: offline, online, both or device.
        epochs: how many were trained.
        distinct: see distinct_images(); None where variants may be equal to each other.
        by_class: see presentations_by_class().
    """
    counted = (*COLUMNS, "presentations", "mixed_in")
    totals = {name: int(sources[name].sum()) for name in counted}
    return {
        "augmentation": augmentation,
        "epochs": epochs,
        "sources": len(sources),
        "samples_per_epoch": (totals["presentations"] + totals["left_out"]) // epochs,
        **totals,
        "distinct_images": distinct,
        "presentations_of_a_source": {
            "least": int(sources["presentations"].min()),
            "most": int(sources["presentations"].max()),
        },
        "presentations_of_a_class": by_class,
    }
