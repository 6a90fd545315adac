"""The samples of training: a row for each image that an epoch shows."""

from functools import partial

import pandas as pd
import torch
from torch import Tensor

from tasks.common.machine import worker_count
from tasks.common.params import read_params
from tasks.dataset.manifests import read_preprocessing
from tasks.dataset.selections import class_names, originals, planned_variants, usable
from tasks.model import image_array
from tasks.model.images import InputForm, as_input
from tasks.model.networks import choose_size
from tasks.model.weights import known_weights
from tasks.train.device_augmentation.mixing import Mixing
from tasks.train.device_augmentation.recipe import DeviceRecipe
from tasks.train.online import OnlineBatches, OnlineVariants
from tasks.train.params import TrainParams
from tasks.variants.label_checks import check_label_rules
from tasks.variants.originals import read_originals
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tasks.variants.sources import policy_input_sizes, to_sources, training_sources


def training_samples(
    validated: pd.DataFrame, ledger: pd.DataFrame, augmentation: str
) -> pd.DataFrame:
    """A row for each image that an epoch shows: those that lie on disk first, in the feed's order.

    Returns:
        The columns of image_array.training_files(), of an online variant those of its source; and
        `kind`: original, stored (a written variant), online (a variant made on the fly) or device
        (its source, augmented on the device).
    """
    files = image_array.training_files(validated, ledger)
    of_kind = {
        "original": originals(files),
        "stored": planned_variants(files),
        "online": originals(files),
        "device": originals(files),
    }
    kinds = {
        "offline": ("original", "stored"),
        "online": ("online",),
        "both": ("original", "stored", "online"),
        "device": ("device",),
    }
    parts = [of_kind[kind].assign(kind=kind) for kind in kinds[augmentation]]
    return pd.concat(parts, ignore_index=True)


def sample_name(sample: pd.Series) -> str:
    """What people know a row of training_samples() by: a file, or a stored variant's id."""
    if sample["kind"] == "stored":
        return f"{sample['source_id']}-v{sample['variant_index']:03}"
    return str(sample["path"])


def class_numbers(rows: pd.DataFrame, classes: list[str]) -> Tensor:
    """The index of each row's label in `classes`: int64 (rows,)."""
    numbers = {label: number for number, label in enumerate(classes)}
    return torch.tensor([numbers[label] for label in rows["label"]], dtype=torch.int64)


def input_form(validated: pd.DataFrame, params: TrainParams) -> InputForm:
    """The form of the images that the network takes; see choose_size()."""
    preprocessing = read_preprocessing()
    sizes = policy_input_sizes(usable(validated, "train"), preprocessing)
    longer_sides = sizes[["width", "height"]].max(axis=1)
    sides = [int(side) for side in longer_sides]
    known = known_weights(params.model) if params.weights != "none" else None
    size = choose_size(params.model, params.image_size, sides, known.size if known else None)
    return InputForm(size, params.fit, preprocessing)


def device_recipe(params: TrainParams, form: InputForm, classes: list[str]) -> DeviceRecipe | None:
    """The recipe of device augmentation; None where train.augmentation is another."""
    if params.augmentation != "device":
        return None
    mixup, cutmix = (None if alpha == "none" else alpha for alpha in (params.mixup, params.cutmix))
    augment = read_params("augment", AugmentParams)
    return DeviceRecipe.from_params(augment, form, Mixing(mixup, cutmix), classes)


def online_batches(
    validated: pd.DataFrame,
    ledger: pd.DataFrame,
    params: TrainParams,
    form: InputForm,
    processes: int = 1,
) -> OnlineBatches | None:
    """The variants made on the fly, of each training source one per epoch; None where none are.

    With `online`, epoch k shows variant k; with `both`, the k-th after the stored ones.
    `processes`: how many of this machine make them, with workers of their own.
    """
    if params.augmentation not in ("online", "both"):
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
    return OnlineBatches(dataset, max(worker_count() // processes, 1))
