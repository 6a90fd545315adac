"""Run the stage: train, validate after each epoch, keep the best weights.

Deterministic for one machine and device: seeds, thread count and algorithms are fixed. Another CPU may take sums in
another order, so weights may differ there in their last digits, and what follows from them.
"""

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tasks import errors, manifest, progress, validate
from tasks.augment import ledger
from tasks.params import read_params
from tasks.train import CARD, HISTORY, METRICS, WEIGHTS, images
from tasks.train.fit import channel_statistics, fit
from tasks.train.inference import Normalise, choose_device, fix_randomness
from tasks.train.model import build_model, choose_size
from tasks.train.params import TrainParams


def main() -> None:
    """Run the stage."""
    params = read_params("train", TrainParams)
    fix_randomness(params.seed, params.threads)
    device = choose_device()
    validated = validate.read()
    variants = ledger.read()
    training = images.training_files(validated, variants)
    validation = images.split_files(validated, "validation")
    classes = sorted(validated.loc[validated["status"] == "ok", "label"].unique())
    sides = validated.loc[validated["split"] == "train", ["width", "height"]].max(axis=1)
    size = choose_size(params.model, params.image_size, [int(side) for side in sides])
    core = build_model(params.model, len(classes), size)
    weights = sum(weight.numel() for weight in core.parameters())
    progress.say(f"{params.model}, {weights:,} weights, {size} x {size} pixels, {len(classes)} classes, on {device}")
    with (
        images.decoded(training, size, "decoding training images") as train_array,
        images.decoded(validation, size, "decoding validation images") as validation_array,
    ):
        mean, std = channel_statistics(train_array)
        network = nn.Sequential(Normalise(mean, std), core)
        targets = [torch.tensor([classes.index(label) for label in files["label"]]) for files in (training, validation)]
        best, history = fit(
            network,
            (images.usable_memory(train_array), targets[0]),
            (images.usable_memory(validation_array), targets[1]),
            params,
            device,
        )
    write(best, history, params, {"classes": classes, "image_size": size, "mean": mean, "std": std}, variants)


def write(
    best: dict[str, Tensor], history: pd.DataFrame, params: TrainParams, card: dict, variants: pd.DataFrame
) -> None:
    """Write the weights, what is needed to use them, the history and the best epoch's numbers."""
    chosen = history.sort_values(
        ["validation_accuracy", "validation_loss"], ascending=[False, True], kind="stable"
    ).iloc[0]
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    save_file(best, WEIGHTS)
    recipe_hash = variants["recipe_hash"].iloc[0]
    manifest.write_json(
        CARD, {"model": params.model, **card, "recipe_hash": recipe_hash, "epoch": int(chosen["epoch"])}
    )
    manifest.write_csv(HISTORY, history.round(6))
    numbers = {name: round(float(chosen[name]), 6) for name in ("validation_accuracy", "validation_loss", "train_loss")}
    manifest.write_json(METRICS, {"best_epoch": int(chosen["epoch"]), "epochs": params.epochs, **numbers})
    progress.counts(best_epoch=int(chosen["epoch"]), validation_accuracy=numbers["validation_accuracy"])


if __name__ == "__main__":
    errors.run(main)
