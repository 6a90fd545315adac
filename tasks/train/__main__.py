"""Run the train stage: train, validate after each epoch, keep the weights of the best epoch.

Deterministic for one machine and device: seeds, thread count and algorithms are fixed. Another CPU
may take sums in another order, so weights may differ there in their last digits, and what follows
from them.
"""

from torch import nn

from tasks.common import errors, workers
from tasks.common.machine import gpu_lock
from tasks.common.params import read_params
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.selections import class_names
from tasks.model import image_array
from tasks.model.device import choose_device, fix_randomness, gpu_of
from tasks.model.inference import Normalise
from tasks.model.networks import build_model
from tasks.train import exposure
from tasks.train.feed import Feed
from tasks.train.loop.checkpoint import Checkpoint, checkpoint_key, checkpoint_path
from tasks.train.loop.fit import channel_statistics, fit
from tasks.train.outputs import announce, report_history, write_exposure, write_model
from tasks.train.params import TrainParams
from tasks.train.samples import class_numbers, input_form, online_batches, training_samples
from tasks.variants.recipe import overall_hash


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
        checkpoint = Checkpoint(checkpoint_path(), checkpoint_key(params, device))
        with gpu_lock(gpu_of(device)):
            fitted = fit(network, feed, held_out, params, device, checkpoint)
    card = {"classes": classes, **form.to_card(), "mean": mean, "std": std}
    write_model(fitted, params, card, overall_hash(ledger["recipe_hash"]))
    report_history(fitted.history, params)
    counted = samples.assign(shown=feed.shown, replaced=feed.replaced, left_out=feed.left_out)
    by_class = exposure.presentations_by_class(counted, feed.online_classes, classes)
    write_exposure(counted, by_class, ledger, params)
    checkpoint.remove()


if __name__ == "__main__":
    errors.run(main)
