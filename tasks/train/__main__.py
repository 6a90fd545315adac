"""Run the stage: train, validate after each epoch, keep the best weights.

Deterministic for one machine and device: seeds, thread count and algorithms are fixed. Another CPU may take sums in
another order, so weights may differ there in their last digits, and what follows from them.
"""

from functools import partial

import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor, nn

from tasks.common import errors, events, tables, workers
from tasks.common.machine import alone_on, worker_count
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.paths import CARD, EXPOSURE, EXPOSURE_METRICS, HISTORY, TRAIN_METRICS, WEIGHTS
from tasks.dataset.selections import (
    class_names,
    originals,
    planned_variants,
    usable,
    written_variants,
)
from tasks.pixels.thumbnails import data_uri
from tasks.train import exposure, image_array
from tasks.train.feed import Feed
from tasks.train.fit import channel_statistics, fit
from tasks.train.inference import Normalise, choose_device, fix_randomness, gpu_of
from tasks.train.model import build_model, choose_size
from tasks.train.online import OnlineBatches, OnlineVariants
from tasks.train.params import TrainParams
from tasks.variants.make import Recipe
from tasks.variants.params import AugmentParams
from tasks.variants.sources import to_sources, training_sources


def main() -> None:
    """Run the stage."""
    params = read_params("train", TrainParams)
    if params.augmentation != "offline":
        workers.start_early("tasks.train.online")
    fix_randomness(params.seed, params.threads)
    device = choose_device()
    validated = read_validated()
    variants = read_ledger()
    places = feed_places(validated, variants, params.augmentation)
    validation = image_array.split_files(validated, "validation")
    classes = class_names(validated)
    sides = usable(validated, "train")[["width", "height"]].max(axis=1)
    size = choose_size(params.model, params.image_size, [int(side) for side in sides])
    core = build_model(params.model, len(classes), size)
    weights = sum(weight.numel() for weight in core.parameters())
    events.say(
        f"{params.model}, {weights:,} weights, {size} x {size} pixels, {len(classes)} classes, on {device}"
    )
    stored = places[places["kind"] != "online"]
    # without stored images the originals still say what the channels' mean and deviation are
    decoded = stored if len(stored) else image_array.split_files(validated, "train")
    with (
        image_array.decoded(decoded, size, "decoding training images") as train_array,
        image_array.decoded(validation, size, "decoding validation images") as validation_array,
    ):
        mean, std = channel_statistics(train_array)
        network = nn.Sequential(Normalise(mean, std), core)
        numbers = [
            torch.tensor([classes.index(label) for label in rows["label"]])
            for rows in (places, validation)
        ]
        feed = Feed(
            image_array.usable_memory(train_array[: len(stored)]),
            numbers[0],
            online_batches(validated, variants, params, size)
            if params.augmentation != "offline"
            else None,
        )
        held_out = (image_array.usable_memory(validation_array), numbers[1])
        with alone_on(gpu_of(device)):
            best, history = fit(network, feed, held_out, params, device)
    write(
        best,
        history,
        params,
        {"classes": classes, "image_size": size, "mean": mean, "std": std},
        variants,
    )
    account(
        places.assign(shown=feed.shown, replaced=feed.replaced, left_out=feed.left_out),
        variants,
        params,
    )


def feed_places(validated: pd.DataFrame, variants: pd.DataFrame, augmentation: str) -> pd.DataFrame:
    """A row for each image that an epoch shows: its `kind` (original, stored, online) and training_files() of it."""
    files = image_array.training_files(validated, variants)
    kinds = {
        "original": originals(files),
        "stored": planned_variants(files),
        "online": originals(files),
    }
    shown = {
        "offline": ("original", "stored"),
        "online": ("online",),
        "both": ("original", "stored", "online"),
    }
    return pd.concat(
        [kinds[kind].assign(kind=kind) for kind in shown[augmentation]], ignore_index=True
    )


def online_batches(
    validated: pd.DataFrame, variants: pd.DataFrame, params: TrainParams, size: int
) -> OnlineBatches:
    """The variants made on the fly: in place of the stored ones, or, with `both`, those that would come after them."""
    recipe = Recipe.from_params(read_params("augment", AugmentParams))
    rows = training_sources(validated)
    new = planned_variants(variants)
    planned = rows["source_id"].map(new.groupby("source_id").size()).fillna(0).astype(int)
    counts = planned if params.augmentation == "both" else planned * 0
    dataset = OnlineVariants(
        list(to_sources(rows, counts)),
        recipe,
        params.epochs,
        partial(image_array.as_input, size=size),
    )
    if params.augmentation == "both":
        dataset.remember(new)
    return OnlineBatches(dataset, worker_count())


def account(places: pd.DataFrame, variants: pd.DataFrame, params: TrainParams) -> None:
    """Write what each source was shown, once it is known to be what was planned."""
    stored = written_variants(variants)
    written = stored.groupby("source_id").size().reindex(places["source_id"].unique(), fill_value=0)
    seen = exposure.per_source(places)
    exposure.reconcile(seen, params.augmentation, params.epochs, written)
    tables.write_csv(EXPOSURE, seen)
    distinct = (
        exposure.distinct_images(places) if read_params("augment", AugmentParams).distinct else None
    )
    numbers = exposure.summary(seen, params.augmentation, params.epochs, distinct)
    tables.write_json(EXPOSURE_METRICS, numbers)
    events.report_counts(presentations=numbers["presentations"], left_out=numbers["left_out"])


def write(
    best: dict[str, Tensor],
    history: pd.DataFrame,
    params: TrainParams,
    card: dict,
    variants: pd.DataFrame,
) -> None:
    """Write the weights, what is needed to use them, the history and the best epoch's numbers."""
    chosen = history.sort_values(
        ["validation_accuracy", "validation_loss"], ascending=[False, True], kind="stable"
    ).iloc[0]
    with atomic_write(WEIGHTS) as temporary:
        temporary.write_bytes(save(best))
    recipe_hash = variants["recipe_hash"].iloc[0]
    tables.write_json(
        CARD,
        {"model": params.model, **card, "recipe_hash": recipe_hash, "epoch": int(chosen["epoch"])},
    )
    tables.write_csv(HISTORY, history.round(6))
    numbers = {
        name: round(float(chosen[name]), 6)
        for name in ("validation_accuracy", "validation_loss", "train_loss")
    }
    tables.write_json(
        TRAIN_METRICS, {"best_epoch": int(chosen["epoch"]), "epochs": params.epochs, **numbers}
    )
    events.report_counts(
        best_epoch=int(chosen["epoch"]), validation_accuracy=numbers["validation_accuracy"]
    )
    if events.has_listener():
        from tasks.train.curves import training_curves  # matplotlib takes half a second

        picture = training_curves(history, transparent=False).encode()
        events.emit("picture", text="training curves", uri=data_uri(picture, "svg+xml"))


if __name__ == "__main__":
    errors.run(main)
