"""The recipe of device augmentation: all that decides its images, and the hash that names it."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import torch

from tasks.common import events
from tasks.model.images import InputForm
from tasks.pixels.decode import DECODING
from tasks.pixels.hashing import sha256
from tasks.train.device_augmentation.batches import DeviceAugmentation
from tasks.train.device_augmentation.mixing import Mixing
from tasks.train.device_augmentation.policy import check_device_policies
from tasks.variants.label_checks import check_label_rules
from tasks.variants.params import AugmentParams
from tasks.variants.policy import canonical_json, library_versions
from tasks.variants.recipe import Recipes
from tasks.variants.sources import training_sources

# Raise it where a change of the code in this folder gives other pixels for the same recipe.
DEVICE_VERSION = 1


@dataclass(frozen=True)
class DeviceRecipe:
    """What makes the images of device augmentation.

    `recipes`: the policies of the classes; of these gates, `distinct`, encoding and `fuse` have no
    part here. `classes`: of the dataset, by their numbers.
    """

    recipes: Recipes
    form: InputForm
    mixing: Mixing
    classes: tuple[str, ...]

    @classmethod
    def from_params(
        cls, augment: AugmentParams, form: InputForm, mixing: Mixing, classes: Sequence[str]
    ) -> "DeviceRecipe":
        """The recipe of these parameters; `classes`: of the dataset, sorted.

        Raises:
            UserError: for a policy that device augmentation has not, with its place.
        """
        check_label_rules(augment, classes)
        check_device_policies(augment)
        if augment.gates:
            events.say("augment.gates hold for stored variants: device augmentation has none")
        recipes = Recipes.from_params(augment, form.preprocessing, classes)
        return cls(recipes, form, mixing, tuple(classes))

    @cached_property
    def hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of everything that decides pixels and labels."""
        content = {
            "family": "device",
            "seed": self.recipes.general.seed,
            "policies": {label: self.recipes.of(label).policy for label in self.classes},
            "relabelled": {label: self.recipes.maps_of(label) for label in self.classes},
            "mixing": self.mixing._asdict(),
            "decoding": DECODING,
            "form": self.form.to_card(),
            "making": DEVICE_VERSION,
            "libraries": {**library_versions(), "torch": importlib.metadata.version("torch")},
        }
        return sha256(canonical_json(content).encode())[:16]

    def augmentation(self, validated: pd.DataFrame) -> DeviceAugmentation:
        """What augments the training sources of a validated manifest, in its order."""
        sources = training_sources(validated)
        numbers = {label: number for number, label in enumerate(self.classes)}
        labels = torch.tensor(sources["label"].map(numbers).to_numpy())
        hashes = sources["sha256"].tolist()
        size = self.form.size
        return DeviceAugmentation(hashes, labels, self.classes, self.recipes, size, self.mixing)
