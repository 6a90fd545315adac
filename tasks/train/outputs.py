"""What training writes and reports: the model, its history, and how often each source was shown."""

import pandas as pd
import torch
from safetensors.torch import save
from torch import nn

from tasks.common import events, tables
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write
from tasks.dataset.paths import (
    CARD,
    CURVES,
    EXPOSURE,
    EXPOSURE_METRICS,
    HISTORY,
    TRAIN_METRICS,
    WEIGHTS,
)
from tasks.dataset.selections import written_variants
from tasks.model.calibration import Temperature
from tasks.pixels.thumbnails import data_uri
from tasks.train import exposure
from tasks.train.history import Fitted, best_epoch
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams


def announce(
    core: nn.Module,
    model: str,
    size: int,
    classes: int,
    device: torch.device,
    devices: int = 1,
) -> None:
    """Say what is trained, before it takes its time; `devices`: how many train together."""
    weights = sum(weight.numel() for weight in core.parameters())
    where = device if devices == 1 else f"{devices} devices ({device.type})"
    events.say(
        f"{model}, {weights:,} weights, {size} x {size} pixels, {classes} classes, on {where}"
    )


def announce_temperature(found: Temperature) -> None:
    """Say what was fitted, or why nothing was."""
    why = f": not fitted: {found.reason}" if found.reason else ", fitted on the validation split"
    events.say(f"temperature {found.value:g}{why}")


def write_model(fitted: Fitted, params: TrainParams, card: dict, recipe_hash: str) -> None:
    """Write the weights, and the card: how to use them, and their recipe and epoch."""
    with atomic_write(WEIGHTS) as temporary:
        temporary.write_bytes(save(fitted.weights))
    provenance = {
        "recipe_hash": recipe_hash,
        "epoch": int(best_epoch(fitted.history.to_dict("records"))["epoch"]),
    }
    tables.write_json(CARD, {"model": params.model, **card, **provenance})


def write_history(history: list[dict[str, float]], images_at_once: int | None = None) -> None:
    """Write the history of the epochs that are done, and the numbers of the best of them.

    After each epoch, so that `dvc metrics show` and `dvc plots show` follow a running training.

    Args:
        history: see Fitted.
        images_at_once: see Fitted; the parts of a batch decide in which order sums are taken.
    """
    tables.write_csv(HISTORY, pd.DataFrame(history).round(6))
    best = best_epoch(history)
    names = ("validation_accuracy", "validation_loss", "train_loss")
    numbers = {name: round(float(best[name]), 6) for name in names}
    content = {"best_epoch": int(best["epoch"]), "epochs": len(history), **numbers}
    if images_at_once is not None:
        content["images_at_once"] = images_at_once
    tables.write_json(TRAIN_METRICS, content)


def report_history(fitted: Fitted) -> None:
    """Write the history, its curves and the numbers of the best epoch; report all to the flow."""
    history = fitted.history.to_dict("records")
    write_history(history, fitted.images_at_once)
    best = best_epoch(history)
    events.report_counts(
        epochs=len(history),
        best_epoch=int(best["epoch"]),
        validation_accuracy=round(float(best["validation_accuracy"]), 6),
    )
    from tasks.train.curves import training_curves  # matplotlib takes half a second

    picture = training_curves(fitted.history, transparent=False)
    tables.write_text(CURVES, picture)
    events.emit("picture", text="training curves", uri=data_uri(picture.encode(), "svg+xml"))


def write_exposure(
    counted: pd.DataFrame,
    by_class: dict[str, int],
    ledger: pd.DataFrame,
    params: TrainParams,
    epochs: int,
) -> None:
    """Write how often each source was shown, once that is known to be what was planned.

    Args:
        counted: training_samples() with the `number` of their class, and the feed's counts.
        by_class: see exposure.presentations_by_class().
        ledger: of the stored variants.
        params: of the training.
        epochs: that were trained.
    """
    sources = exposure.exposure_by_source(counted)
    if params.balance == "sampler":
        planned = exposure.balanced_plan(counted, params.seed, epochs)
    else:
        written = written_variants(ledger).groupby("source_id").size()
        written = written.reindex(sources["source_id"], fill_value=0)
        planned = exposure.plan(sources, params.augmentation, epochs, written)
    exposure.reconcile(sources, planned)
    tables.write_csv(EXPOSURE, sources)
    # a balanced order shows a source several times in an epoch, and its variant of that epoch;
    # on the device nothing sees to it that images differ
    repeats = params.balance == "sampler" and params.augmentation != "offline"
    may_repeat = repeats or params.augmentation == "device"
    distinct = read_params("augment", AugmentParams).distinct and not may_repeat
    images = exposure.distinct_images(counted) if distinct else None
    numbers = exposure.summary(sources, params.augmentation, epochs, images, by_class)
    numbers["balance"] = params.balance
    if params.balance == "weights":
        numbers["class_weights"] = exposure.weights_by_class(counted)
    tables.write_json(EXPOSURE_METRICS, numbers)
    events.report_counts(presentations=numbers["presentations"], left_out=numbers["left_out"])
