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
