"""Package the trained model for elsewhere: a folder that needs nothing of this project."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.commands.package import exports, model_card
from tasks.commands.package.agreement import (
    Checked,
    Outputs,
    outputs_of,
    require_agreement,
    require_same_pixels,
    spread,
)
from tasks.common import events, tables
from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.common.temporary import atomic_folder
from tasks.dataset.manifests import read_validated
from tasks.dataset.paths import CARD, EVALUATE_METRICS, HISTORY, RAW, REPORT, WEIGHTS
from tasks.dataset.selections import example_rows, usable
from tasks.model import image_array
from tasks.model.device import fix_randomness
from tasks.model.images import InputForm
from tasks.model.saved_model import load_model
from tasks.pixels.hashing import sha256
from tasks.train.params import TrainParams

MOST_IMAGES = 4096  # that exports are compared on
GOLDEN = 16  # images in golden.npz
PIPELINES = (RAW.parent, CARD.parent, EVALUATE_METRICS.parent, HISTORY.parent, REPORT.parent)
HERE = Path(__file__).parent


class Model(NamedTuple):
    """The trained model: the network with its temperature, its card, and how many threads."""

    classifier: exports.Classifier
    card: dict[str, Any]
    threads: int


class Images(NamedTuple):
    """Real images to compare on: `files`, see image_array.split_files(); uint8 `array` of them."""

    files: pd.DataFrame
    array: np.ndarray


def package(folder: Path) -> Checked:
    """Write the trained model and all that it takes to use it into `folder`.

    Raises:
        UserError: where there is no model, `folder` is not empty, or an export cannot be made.
        CheckFailedError: where an export or preprocess.py does not agree with the model.
    """
    require_own_folder(folder)
    model = read_model()
    split, files = images_to_check(read_validated(), model.card)
    form = InputForm.from_card(model.card)
    with (
        atomic_folder(folder, "a package") as temporary,
        image_array.decoded_images(files, form, f"decoding {split} images") as array,
    ):
        images = Images(files, array)
        done = write_package(temporary, model, images, split)
        weights = sum(weight.numel() for weight in model.classifier.parameters())
        text = model_card.render(temporary, model.card, weights, done)
        tables.write_text(temporary / "README.md", text)
    return done


def require_own_folder(folder: Path) -> None:
    """Raises UserError where `folder` lies in one that stages write, or in the user's images."""
    for owned in PIPELINES:
        if folder.resolve().is_relative_to(owned.resolve()):
            raise UserError(f"{folder}: needs a folder outside {owned}, which the pipeline owns")


def read_model() -> Model:
    """The trained model, ready to be run and exported on the CPU."""
    params = read_params("train", TrainParams)
    fix_randomness(params.seed, params.threads)
    network, card = load_model()
    card = {"temperature": 1.0, "weights": None, **card}
    classifier = exports.Classifier(network, card["temperature"]).eval()
    return Model(classifier.requires_grad_(False), card, params.threads)


def images_to_check(validated: pd.DataFrame, card: dict[str, Any]) -> tuple[str, pd.DataFrame]:
    """The split that exports are compared on, test if it has images, and those images.

    Raises:
        UserError: where the dataset is not the model's.
    """
    rows = usable(validated)
    unknown = sorted(set(rows["label"]) - set(card["classes"]))
    if unknown:
        raise UserError(
            f"{CARD}: needs to be trained on the images of data/validated, found no class "
            f"{unknown[0]!r} in it; run `variegate run --until train`"
        )
    odd = rows[(rows["bits"] == 16) & (rows["channels"] == 3)]
    if len(odd) and card["preprocessing"]["range"] != "depth":
        raise UserError(
            "params.yaml ingest.range: needs depth for a package, as Pillow reads colours of 16 "
            f"bits as 8; found {len(odd):,} such images, {odd['file_name'].min()} for one"
        )
    split = next(name for name in ("test", "validation", "train") if name in set(rows["split"]))
    files = image_array.split_files(validated, split)
    chosen = files.iloc[spread(len(files), MOST_IMAGES)].reset_index(drop=True)
    return split, chosen


# --- the files ------------------------------------------------------------------------------------


def write_package(folder: Path, model: Model, images: Images, split: str) -> Checked:
    """Write and check all but README.md; what does not agree is never put in place."""
    expected = outputs_of(
        partial(exports.run_torch, model.classifier), images.array, "running the weights"
    )
    names = images.files["path"].tolist()
    write_usage(folder, model.card)
    write_golden(folder / "golden.npz", images, expected)
    write_weights(folder / WEIGHTS.name)
    onnx = write_onnx(folder / "model.onnx", model, images)
    worst_onnx = require_agreement("model.onnx", onnx, expected, names)
    program = write_program(folder / "model.pt2", model, images)
    worst_program = require_agreement("model.pt2", program, expected, names)
    targets = images.files["label"].map(model.card["classes"].index).to_numpy()
    return Checked(
        images=len(names),
        split=split,
        worst={"model.onnx": worst_onnx, "model.pt2": worst_program},
        preprocessed=require_same_pixels(images.files, images.array, model.card),
        accuracy=float((expected.logits.argmax(axis=1) == targets).mean()),
    )


def write_usage(folder: Path, card: dict[str, Any]) -> None:
    """Write what image files become the model's input with, and how the folder is checked."""
    for name in ("preprocess.py", "check.py"):
        shutil.copyfile(HERE / name, folder / name)
    tables.write_json(folder / CARD.name, card)


def write_golden(path: Path, images: Images, expected: Outputs) -> None:
    """Write a few images, each class in turn, and the outputs of the weights for them."""
    files = images.files
    chosen = example_rows(files.assign(row=range(len(files))), GOLDEN)["row"].to_numpy()
    outputs = {name: values[chosen] for name, values in expected._asdict().items()}
    np.savez(path, images=images.array[chosen], **outputs)


def write_weights(path: Path) -> None:
    """Copy the weights; the copy's bytes are compared."""
    shutil.copyfile(WEIGHTS, path)
    if sha256(path.read_bytes()) != sha256(WEIGHTS.read_bytes()):
        raise UserError(f"{WEIGHTS}: changed while it was copied; run again")


def write_onnx(path: Path, model: Model, images: Images) -> Outputs:
    """Write model.onnx; what it gives, run from its file."""
    events.say(f"exporting {path.name}")
    exports.write_onnx(model.classifier, model.card, path)
    session = exports.open_onnx(path, model.threads)
    run = partial(exports.run_onnx, session)
    return outputs_of(run, images.array, f"checking {path.name}")


def write_program(path: Path, model: Model, images: Images) -> Outputs:
    """Write model.pt2; what it gives, run from its file."""
    events.say(f"exporting {path.name}")
    exports.write_program(model.classifier, model.card, path)
    run = partial(exports.run_torch, exports.open_program(path))
    return outputs_of(run, images.array, f"checking {path.name}")
