"""Pictures of the report: the reliability diagram, and accuracy under corruptions."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from tasks.evaluate.intervals import wilson
from tasks.evaluate.metrics import Outcomes, bin_numbers
from tasks.train.curves import STYLE, as_svg


def reliability_table(outcomes: Outcomes, bins: int) -> pd.DataFrame:
    """Of each bin of confidence that holds images: images, confidence and accuracy, low, high."""
    numbers = bin_numbers(outcomes.confidence, bins)
    rows = pd.DataFrame(
        {"bin": numbers, "confidence": outcomes.confidence, "accuracy": outcomes.correct}
    )
    table = rows.groupby("bin").agg(
        images=("bin", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    ends = wilson(table["accuracy"].to_numpy(), table["images"].to_numpy())
    return table.assign(low=ends.low, high=ends.high)


def reliability_diagram(before: Outcomes, after: Outcomes, bins: int) -> str:
    """Accuracy over confidence, without and with the temperature, as an SVG element."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
        titles = ("as the network says", "with the temperature")
        for panel, outcomes, title in zip(axes, (before, after), titles, strict=True):
            table = reliability_table(outcomes, bins)
            middle, share = table["confidence"], table["accuracy"]
            errors = np.maximum([share - table["low"], table["high"] - share], 0)
            panel.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
            panel.errorbar(middle, share, errors, fmt="o", markersize=4, linewidth=1)
            sizes = table["images"] / table["images"].sum()
            panel.bar(middle, sizes, width=0.6 / bins, color="C0", alpha=0.2)
            panel.set(xlabel="confidence", title=title, xlim=(0, 1.02), ylim=(0, 1.02))
            panel.spines[["top", "right"]].set_visible(False)
        axes[0].set(ylabel="accuracy; bars: share of the images")
        return as_svg(figure)


def robustness_picture(rows: pd.DataFrame, trained: tuple[str, ...]) -> str:
    """Accuracy over severity, a line for each corruption, as an SVG element.

    Args:
        rows: see robustness.curves().
        trained: the corruptions that are not held out: dashed.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
        for number, name in enumerate(rows.columns[2:]):
            seen = name in trained
            label = f"{name.replace('_', ' ')}{' (in the policy)' if seen else ''}"
            style = "--" if seen else "-"
            axes.plot(
                rows["severity"], rows[name], style, color=f"C{number}", linewidth=1, label=label
            )
        axes.plot(rows["severity"], rows["mean"], color="black", linewidth=2.5, label="mean")
        axes.set(xlabel="severity; 0: clean", ylabel="accuracy", ylim=(0, 1.02))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        return as_svg(figure)
