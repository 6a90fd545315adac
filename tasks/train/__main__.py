"""Run the train stage: train, validate after each epoch, keep the weights of the best epoch.

Deterministic for one machine and device: seeds, thread count and algorithms are fixed. Another CPU
may take sums in another order, so weights may differ there in their last digits, and what follows
from them.
"""

from functools import partial

import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor, nn

from tasks.common import errors, events, tables, workers
from tasks.common.machine import gpu_lock, worker_count
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write
from tasks.dataset.manifests import read_ledger, read_preprocessing, read_validated
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
from tasks.train.images import InputForm, as_input
from tasks.train.inference import Normalise, choose_device, fix_randomness, gpu_of
from tasks.train.model import build_model, choose_size
from tasks.train.online import OnlineBatches, OnlineVariants
from tasks.train.params import TrainParams
from tasks.variants.label_checks import check_label_rules
from tasks.variants.originals import read_originals
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes, overall_hash
from tasks.variants.sources import policy_input_sizes, to_sources, training_sources


def main() -> None:
    """Run the stage."""
    params = read_params("train", TrainParams)
    if params.augmentation != "offline":
        workers.start_early("tasks.train.online")
    fix_randomness(params.seed, params.threads)
    device = choose_device()
    validated, ledger = read_validated(), read_ledger()
    samples = training_samples(validated, ledger, params.augmentation)
    validation = image_array.split_files(validated, "validation")
    classes = class_names(validated)
    form = input_form(validated, params)
    core = build_model(params.model, len(classes), form.size)
    announce(core, params.model, form.size, len(classes), device)
    stored = samples[samples["kind"] != "online"]
    # where nothing stored is shown, the originals give the mean and deviation of the channels
    decoded = stored if len(stored) else image_array.split_files(validated, "train")
    with (
        image_array.decoded_images(decoded, form, "decoding training images") as train_array,
        image_array.decoded_images(
            validation, form, "decoding validation images"
        ) as validation_array,
    ):
        mean, std = channel_statistics(train_array)
        network = nn.Sequential(Normalise(mean, std), core)
        feed = Feed(
            image_array.in_memory_if_small(train_array[: len(stored)]),
            class_numbers(samples, classes),
            online_batches(validated, ledger, params, form),
        )
        held_out = (
            image_array.in_memory_if_small(validation_array),
            class_numbers(validation, classes),
        )
        with gpu_lock(gpu_of(device)):
            best_weights, history = fit(network, feed, held_out, params, device)
    card = {"classes": classes, **form.to_card(), "mean": mean, "std": std}
    write_model(best_weights, history, params, card, overall_hash(ledger["recipe_hash"]))
    report_history(history, params)
    counted = samples.assign(shown=feed.shown, replaced=feed.replaced, left_out=feed.left_out)
    by_class = exposure.presentations_by_class(counted, feed.online_classes, classes)
    write_exposure(counted, by_class, ledger, params)


# --- what is trained on ---------------------------------------------------------------------------


def training_samples(
    validated: pd.DataFrame, ledger: pd.DataFrame, augmentation: str
) -> pd.DataFrame:
    """A row for each image that an epoch shows: those that lie on disk first, in the feed's order.

    Returns:
        The columns of image_array.training_files(), of an online variant those of its source; and
        `kind`: original, stored (a written variant) or online (a variant made on the fly).
    """
    files = image_array.training_files(validated, ledger)
    of_kind = {
        "original": originals(files),
        "stored": planned_variants(files),
        "online": originals(files),
    }
    kinds = {
        "offline": ("original", "stored"),
        "online": ("online",),
        "both": ("original", "stored", "online"),
    }
    parts = [of_kind[kind].assign(kind=kind) for kind in kinds[augmentation]]
    return pd.concat(parts, ignore_index=True)


def class_numbers(rows: pd.DataFrame, classes: list[str]) -> Tensor:
    """The index of each row's label in `classes`: int64 (rows,)."""
    return torch.tensor([classes.index(label) for label in rows["label"]])


def input_form(validated: pd.DataFrame, params: TrainParams) -> InputForm:
    """The form of the images that the network takes."""
    preprocessing = read_preprocessing()
    sizes = policy_input_sizes(usable(validated, "train"), preprocessing)
    longer_sides = sizes[["width", "height"]].max(axis=1)
    size = choose_size(params.model, params.image_size, [int(side) for side in longer_sides])
    return InputForm(size, params.fit, preprocessing)


def online_batches(
    validated: pd.DataFrame,
    ledger: pd.DataFrame,
    params: TrainParams,
    form: InputForm,
) -> OnlineBatches | None:
    """The variants made on the fly, of each training source one per epoch; None where offline.

    With `online`, epoch k shows variant k; with `both`, the k-th after the stored ones.
    """
    if params.augmentation == "offline":
        return None
    augment = read_params("augment", AugmentParams)
    classes = class_names(validated)
    check_label_rules(augment, classes)
    recipes = Recipes.from_params(augment, form.preprocessing, classes)
    rows = training_sources(validated)
    stored = planned_variants(ledger)
    planned = rows["source_id"].map(stored.groupby("source_id").size()).fillna(0).astype(int)
    counts = planned if params.augmentation == "both" else planned * 0
    to_input = partial(as_input, size=form.size, fit=form.fit)
    dataset = OnlineVariants(
        list(to_sources(rows, counts)),
        recipes,
        params.epochs,
        to_input,
        read_originals(validated, form.preprocessing),
        classes,
    )
    if params.augmentation == "both":
        dataset.remember(stored)
    return OnlineBatches(dataset, worker_count())


# --- what is reported and written -----------------------------------------------------------------


def announce(core: nn.Module, model: str, size: int, classes: int, device: torch.device) -> None:
    """Say what is trained, before it takes its time."""
    weights = sum(weight.numel() for weight in core.parameters())
    events.say(
        f"{model}, {weights:,} weights, {size} x {size} pixels, {classes} classes, on {device}"
    )


def best_epoch(history: pd.DataFrame) -> pd.Series:
    """The row of the history with the best validation accuracy; among equals, the least loss."""
    keys = ["validation_accuracy", "validation_loss"]
    return history.sort_values(keys, ascending=[False, True], kind="stable").iloc[0]


def write_model(
    weights: dict[str, Tensor],
    history: pd.DataFrame,
    params: TrainParams,
    card: dict,
    recipe_hash: str,
) -> None:
    """Write the weights, and the card: how to use them, and their recipe and epoch."""
    with atomic_write(WEIGHTS) as temporary:
        temporary.write_bytes(save(weights))
    provenance = {"recipe_hash": recipe_hash, "epoch": int(best_epoch(history)["epoch"])}
    tables.write_json(CARD, {"model": params.model, **card, **provenance})


def report_history(history: pd.DataFrame, params: TrainParams) -> None:
    """Write the history of all epochs and the numbers of the best one; report both to the flow."""
    tables.write_csv(HISTORY, history.round(6))
    best = best_epoch(history)
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


if __name__ == "__main__":
    errors.run(main)
