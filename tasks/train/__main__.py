"""Run the train stage: train, validate after each epoch, keep the weights of the best epoch.

Deterministic for one machine, kind of device and number of devices: seeds, thread count and
algorithms are fixed. Another CPU may take sums in another order, so weights may differ there in
their last digits, and what follows from them.
"""

from functools import partial

import numpy as np
import pandas as pd

from tasks.common import errors
from tasks.common.params import read_params
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.selections import class_names
from tasks.model.calibration import fit_temperature
from tasks.model.device import fix_randomness
from tasks.model.image_array import decoded_images, in_memory_if_small, split_files
from tasks.model.inference import Normalise
from tasks.model.weights import find_weights
from tasks.train import exposure
from tasks.train.distributed.devices import device_of, locked_devices
from tasks.train.distributed.group import Group
from tasks.train.distributed.launch import launch
from tasks.train.distributed.rank import is_rank, joined
from tasks.train.feed import Feed
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.checkpoint_key import checkpoint_key, require_same_key
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
    """Run the stage, on several devices in a process for each."""
    params = read_params("train", TrainParams)
    if params.devices > 1 and not is_rank():
        launch("tasks.train", params.devices)
        return
    with joined(params.devices) as group:
        run(params, group)


def run(params: TrainParams, group: Group) -> None:
    """Train, alone or as a process of `group`, of which the first writes and reports."""
    augment = read_params("augment", AugmentParams)
    if params.augmentation in ("online", "both"):
        processes.start_early("tasks.train.online")
    fix_randomness(params.seed, params.threads)
    device = device_of(group)
    validated, ledger = read_validated(), read_ledger()
    classes = class_names(validated)
    samples = training_samples(validated, ledger, params.augmentation)
    numbers = class_numbers(samples, classes)
    validation = split_files(validated, "validation")
    labels = class_numbers(validation, classes)
    pretrained = group.after_first(lambda: find_weights(params.model, params.weights))
    known = pretrained.known if pretrained else None
    hashes = {pretrained.name: pretrained.sha256} if pretrained else {}
    checkpoint = Checkpoint(checkpoint_key(params, augment, device, hashes))
    require_same_key(checkpoint.key, group)
    form = input_form(validated, params)
    on_device = device_recipe(params, form, classes)
    core = initial_network(params, pretrained, len(classes), form.size)
    announce(core, params.model, form.size, len(classes), device, group.size)

    def feed_of(shown: np.ndarray) -> Feed:
        return Feed(
            shown,
            numbers,
            online_batches(validated, ledger, params, form, group.local_size),
            on_device.augmentation(validated) if on_device else None,
            balanced=params.balance == "sampler",
            name_of=lambda number: sample_name(samples.iloc[number]),
            group=group,
        )

    stored = samples[samples["kind"] != "online"]
    # where nothing stored is shown, the originals give the mean and deviation of the channels
    decoded = stored if len(stored) else split_files(validated, "train")
    with (
        group.shared(decoded_images(decoded, form, "decoding training images")) as train_array,
        group.shared(
            decoded_images(validation, form, "decoding validation images")
        ) as validation_array,
    ):
        mean, std = (
            (known.mean, known.std)
            if known
            else group.from_first(lambda: channel_statistics(train_array))
        )
        with locked_devices(group, device):
            ended = train(
                assemble(Normalise(mean, std), core, params),
                Images(train_array[: len(stored)], stored, form),
                HeldOut(Images(validation_array, validation, form), labels, len(classes)),
                feed_of,
                params,
                device,
                checkpoint,
                write_history if group.is_first else lambda _: None,
                partial(in_memory_if_small, copies=group.local_size),
                group,
            )
            temperature = fit_temperature(ended.logits, labels)
    if not group.is_first:
        return
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
