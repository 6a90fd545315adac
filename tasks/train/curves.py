"""Loss and accuracy over the epochs, as a picture."""

import io
from typing import Any

import matplotlib
import pandas as pd

matplotlib.use("svg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

STYLE: Any = {"svg.hashsalt": "variegate", "svg.fonttype": "none", "font.size": 9}


def training_curves(history: pd.DataFrame, transparent: bool = True) -> str:
    """An SVG element: dark lines on nothing, or on white where the page around it may be dark.

    `history`: epoch, train_loss, validation_loss, validation_accuracy.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
        left.plot(history["epoch"], history["train_loss"], label="training")
        left.plot(history["epoch"], history["validation_loss"], label="validation")
        left.set(xlabel="epoch", ylabel="loss (cross-entropy)")
        left.legend(frameon=False)
        right.plot(history["epoch"], history["validation_accuracy"], color="C1")
        right.set(xlabel="epoch", ylabel="validation accuracy")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25)
        return as_svg(figure, transparent)


def as_svg(figure: Figure, transparent: bool = True) -> str:
    """An SVG element of a figure that was made in STYLE, which is closed; the same each time."""
    text = io.StringIO()
    with plt.rc_context(STYLE):
        figure.savefig(
            text, format="svg", metadata={"Date": None, "Creator": None}, transparent=transparent
        )
    plt.close(figure)
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
