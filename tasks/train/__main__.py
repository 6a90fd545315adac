"""Run the train stage: train, validate after each epoch, keep the weights of the best epoch.

Deterministic for one machine and device: seeds, thread count and algorithms are fixed. Another CPU
may take sums in another order, so weights may differ there in their last digits, and what follows
from them.
"""

import numpy as np
import pandas as pd

from tasks.common import errors
from tasks.common.machine import gpu_lock
from tasks.common.params import read_params
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.selections import class_names
from tasks.model.calibration import fit_temperature
from tasks.model.device import choose_device, fix_randomness, gpu_of
from tasks.model.image_array import decoded_images, split_files
from tasks.model.inference import Normalise
from tasks.model.weights import find_weights
from tasks.train import exposure
from tasks.train.feed import Feed
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.checkpoint_key import checkpoint_key
from tasks.train.loop.fit import channel_statistics
from tasks.train.loop.frozen import Images, assemble
from tasks.train.loop.training import Ended, HeldOut, initial_network, train
from tasks.train.outputs import (
    announce,
    announce_temperature,
    report_history,
    write_exposure,
    write_history,
    write_model,
)
from tasks.train.params import TrainParams
from tasks.train.samples import (
    class_numbers,
    device_recipe,
    input_form,
    online_batches,
    sample_name,
    training_samples,
)
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import overall_hash
from tasks.workers import processes


def main() -> None:
    """Run the stage."""
    params = read_params("train", TrainParams)
    augment = read_params("augment", AugmentParams)
    if params.augmentation in ("online", "both"):
        processes.start_early("tasks.train.online")
    fix_randomness(params.seed, params.threads)
    device = choose_device()
    validated, ledger = read_validated(), read_ledger()
    classes = class_names(validated)
    samples = training_samples(validated, ledger, params.augmentation)
    numbers = class_numbers(samples, classes)
    validation = split_files(validated, "validation")
    labels = class_numbers(validation, classes)
    pretrained = find_weights(params.model, params.weights)
    known = pretrained.known if pretrained else None
    form = input_form(validated, params)
    on_device = device_recipe(params, form, classes)
    core = initial_network(params, pretrained, len(classes), form.size)
    announce(core, params.model, form.size, len(classes), device)

    def feed_of(shown: np.ndarray) -> Feed:
        return Feed(
            shown,
            numbers,
            online_batches(validated, ledger, params, form),
            on_device.augmentation(validated) if on_device else None,
            balanced=params.balance == "sampler",
            name_of=lambda number: sample_name(samples.iloc[number]),
        )

    stored = samples[samples["kind"] != "online"]
    # where nothing stored is shown, the originals give the mean and deviation of the channels
    decoded = stored if len(stored) else split_files(validated, "train")
    with (
        decoded_images(decoded, form, "decoding training images") as train_array,
        decoded_images(validation, form, "decoding validation images") as validation_array,
    ):
        mean, std = (known.mean, known.std) if known else channel_statistics(train_array)
        hashes = {pretrained.name: pretrained.sha256} if pretrained else {}
        checkpoint = Checkpoint(checkpoint_key(params, augment, device, hashes))
        with gpu_lock(gpu_of(device)):
            ended = train(
                assemble(Normalise(mean, std), core, params),
                Images(train_array[: len(stored)], stored, form),
                HeldOut(Images(validation_array, validation, form), labels, len(classes)),
                feed_of,
                params,
                device,
                checkpoint,
                write_history,
            )
            temperature = fit_temperature(ended.logits, labels)
    announce_temperature(temperature)
    card = {
        "classes": classes,
        **form.to_card(),
        "mean": mean,
        "std": std,
        "weights": pretrained.to_card() if pretrained else None,
        "temperature": temperature.value,
    }
    recipe_hash = on_device.hash if on_device else overall_hash(ledger["recipe_hash"])
    write_model(ended.fitted, params, card, recipe_hash)
    report_history(ended.fitted)
    report_exposure(samples.assign(number=numbers.numpy()), ended, classes, ledger, params)
    checkpoint.remove()


def report_exposure(
    samples: pd.DataFrame,
    ended: Ended,
    classes: list[str],
    ledger: pd.DataFrame,
    params: TrainParams,
) -> None:
    """Write how often each source was shown; `samples`: with the `number` of their class."""
    counted = samples.assign(**ended.feed.counts())
    by_class = exposure.presentations_by_class(counted, ended.feed.online_classes, classes)
    write_exposure(counted, by_class, ledger, params, len(ended.fitted.history))


if __name__ == "__main__":
    errors.run(main)
