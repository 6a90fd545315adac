"""Run the train stage: train, validate after each epoch, keep the weights of the best epoch.

Deterministic for one machine and device: seeds, thread count and algorithms are fixed. Another CPU
may take sums in another order, so weights may differ there in their last digits, and what follows
from them.
"""

import numpy as np
import torch
from torch import Tensor, nn

from tasks.common import errors, workers
from tasks.common.machine import gpu_lock
from tasks.common.params import read_params
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.selections import class_names
from tasks.model import image_array
from tasks.model.calibration import fit_temperature
from tasks.model.device import choose_device, fix_randomness, gpu_of
from tasks.model.inference import Normalise, predict
from tasks.model.networks import build_model, set_dropout
from tasks.model.weights import Pretrained, find_weights, load_weights
from tasks.train import exposure
from tasks.train.balance import class_weights
from tasks.train.feed import Feed
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.checkpoint_key import checkpoint_key
from tasks.train.loop.fit import channel_statistics, fit
from tasks.train.loop.frozen import Images, assemble, learner
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


def main() -> None:
    """Run the stage."""
    params = read_params("train", TrainParams)
    augment = read_params("augment", AugmentParams)
    if params.augmentation in ("online", "both"):
        workers.start_early("tasks.train.online")
    fix_randomness(params.seed, params.threads)
    device = choose_device()
    validated, ledger = read_validated(), read_ledger()
    classes = class_names(validated)
    samples = training_samples(validated, ledger, params.augmentation)
    numbers = class_numbers(samples, classes).numpy()
    validation = image_array.split_files(validated, "validation")
    pretrained = find_weights(params.model, params.weights)
    known = pretrained.known if pretrained else None
    form = input_form(validated, params)
    on_device = device_recipe(params, form, classes)
    core = initial_network(params, pretrained, len(classes), form.size)
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
        mean, std = (known.mean, known.std) if known else channel_statistics(train_array)
        hashes = {pretrained.name: pretrained.sha256} if pretrained else {}
        checkpoint = Checkpoint(checkpoint_key(params, augment, device, hashes))
        with (
            gpu_lock(gpu_of(device)),
            learner(
                assemble(Normalise(mean, std), core, params),
                Images(train_array[: len(stored)], stored, form),
                Images(validation_array, validation, form),
                params,
                device,
            ) as part,
        ):
            feed = Feed(
                image_array.in_memory_if_small(part.training),
                torch.from_numpy(numbers),
                online_batches(validated, ledger, params, form),
                on_device.augmentation(validated) if on_device else None,
                balanced=params.balance == "sampler",
                name_of=lambda number: sample_name(samples.iloc[number]),
            )
            held_out = (
                image_array.in_memory_if_small(part.validation),
                class_numbers(validation, classes),
            )
            weights = loss_weights(params, numbers, len(classes))
            fitted = fit(
                part.network, feed, held_out, params, device, checkpoint, weights, write_history
            )
            part.network[-1].load_state_dict(fitted.weights)
            temperature = fit_temperature(predict(part.network, held_out[0], device), held_out[1])
            fitted = fitted._replace(weights=part.whole_weights(fitted.weights))
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
    write_model(fitted, params, card, recipe_hash)
    report_history(fitted)
    counted = samples.assign(number=numbers, **feed.counts())
    by_class = exposure.presentations_by_class(counted, feed.online_classes, classes)
    write_exposure(counted, by_class, ledger, params, len(fitted.history))
    checkpoint.remove()


def initial_network(
    params: TrainParams, pretrained: Pretrained | None, classes: int, size: int
) -> nn.Module:
    """The network that training begins with: random weights, or pretrained ones and a new head."""
    core = build_model(params.model, classes, size)
    if params.dropout is not None:
        set_dropout(core, params.dropout, params.model)
    if pretrained:
        load_weights(core, params.model, pretrained)
    return core


def loss_weights(params: TrainParams, numbers: np.ndarray, classes: int) -> Tensor | None:
    """By which the losses of each class count, float (classes,); None: all equally."""
    if params.balance != "weights":
        return None
    return torch.from_numpy(class_weights(numbers, classes))


if __name__ == "__main__":
    errors.run(main)
