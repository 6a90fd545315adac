"""What training writes and reports: the model, its history, and how often each source was shown."""

import pandas as pd
import torch
from safetensors.torch import save
from torch import nn

from tasks.common import events, tables
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write
from tasks.dataset.paths import CARD, EXPOSURE, EXPOSURE_METRICS, HISTORY, TRAIN_METRICS, WEIGHTS
from tasks.dataset.selections import written_variants
from tasks.pixels.thumbnails import data_uri
from tasks.train import exposure
from tasks.train.history import Fitted, best_epoch
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams


def announce(core: nn.Module, model: str, size: int, classes: int, device: torch.device) -> None:
    """Say what is trained, before it takes its time."""
    weights = sum(weight.numel() for weight in core.parameters())
    events.say(
        f"{model}, {weights:,} weights, {size} x {size} pixels, {classes} classes, on {device}"
    )


def write_model(fitted: Fitted, params: TrainParams, card: dict, recipe_hash: str) -> None:
    """Write the weights, and the card: how to use them, and their recipe and epoch."""
    with atomic_write(WEIGHTS) as temporary:
        temporary.write_bytes(save(fitted.weights))
    provenance = {
        "recipe_hash": recipe_hash,
        "epoch": int(best_epoch(fitted.history.to_dict("records"))["epoch"]),
    }
    tables.write_json(CARD, {"model": params.model, **card, **provenance})


def report_history(history: pd.DataFrame, params: TrainParams) -> None:
    """Write the history of all epochs and the numbers of the best one; report both to the flow."""
    tables.write_csv(HISTORY, history.round(6))
    best = best_epoch(history.to_dict("records"))
    names = ("validation_accuracy", "validation_loss", "train_loss")
    numbers = {name: round(float(best[name]), 6) for name in names}
    epoch = int(best["epoch"])
    tables.write_json(TRAIN_METRICS, {"best_epoch": epoch, "epochs": params.epochs, **numbers})
    events.report_counts(best_epoch=epoch, validation_accuracy=numbers["validation_accuracy"])
    if events.has_listener():
        from tasks.train.curves import training_curves  # matplotlib takes half a second

        picture = training_curves(history, transparent=False).encode()
        events.emit("picture", text="training curves", uri=data_uri(picture, "svg+xml"))


def write_exposure(
    counted: pd.DataFrame, by_class: dict[str, int], ledger: pd.DataFrame, params: TrainParams
) -> None:
    """Write how often each source was shown, once that is known to be what was planned.

    Args:
        counted: training_samples() with the feed's counts `shown`, `replaced` and `left_out`.
        by_class: see exposure.presentations_by_class().
        ledger: of the stored variants.
        params: of the training.
    """
    sources = exposure.exposure_by_source(counted)
    written = written_variants(ledger).groupby("source_id").size()
    written = written.reindex(sources["source_id"], fill_value=0)
    exposure.reconcile(sources, params.augmentation, params.epochs, written)
    tables.write_csv(EXPOSURE, sources)
    distinct = read_params("augment", AugmentParams).distinct
    images = exposure.distinct_images(counted) if distinct else None
    numbers = exposure.summary(sources, params.augmentation, params.epochs, images, by_class)
    tables.write_json(EXPOSURE_METRICS, numbers)
    events.report_counts(presentations=numbers["presentations"], left_out=numbers["left_out"])
