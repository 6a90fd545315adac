"""The key of a training: everything that decides what it gives, as one hash."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import tasks
from tasks.common.code_hash import code_hash
from tasks.model.device import choose_device, hardware
from tasks.model.weights import find_weights
from tasks.pixels.hashing import sha256
from tasks.studies.trainings.arm import Arm, recipes_of
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.training import Training, params_of
from tasks.variants.policy import canonical_json, library_versions

# folders of code by which a training gives what it gives
CODE = ("pixels", "variants", "model", "train", "studies/trainings")


class Keys:
    """The keys of trainings of a study; what they share is hashed once."""

    def __init__(self, data: StudyData) -> None:
        self.data = data
        pretrained = find_weights(data.params.model, data.params.weights)
        folder = Path(tasks.__file__).parent
        shared = {
            "training": data.training[["sha256", "label"]].to_numpy().tolist(),
            "validation": data.validation[["sha256", "label"]].to_numpy().tolist(),
            "classes": data.classes,
            "form": data.form.to_card(),
            "weights": pretrained.sha256 if pretrained else None,
            "device": hardware(choose_device()),
            "libraries": {
                **library_versions(),
                "torch": str(torch.__version__),
                "torchvision": version("torchvision"),
            },
            "code": {name: code_hash(folder / name) for name in CODE},
        }
        self.shared = sha256(canonical_json(shared).encode())

    def of(self, training: Training) -> str:
        """The key of a training; equal keys give equal results, whatever arms are called."""
        params = params_of(training, self.data.params)
        return self._hash(params.model_dump(mode="json"), self.shows(training.arm, training.seed))

    def of_affinity(self, arm: Arm, clean: Training) -> str:
        """The key of what a model says of validation images as an arm shows them."""
        return self._hash(self.of(clean), self.shows(arm, clean.seed)["recipes"], "affinity")

    def shows(self, arm: Arm, seed: int) -> dict[str, Any]:
        """What decides the images of a training."""
        classes = self.data.classes
        recipes = recipes_of(arm, seed, self.data.form.preprocessing, classes)
        if recipes is None:
            return {"recipes": None}
        of_classes = {label: [recipes.of(label).hash, recipes.maps_of(label)] for label in classes}
        return {"recipes": of_classes, "variants": arm.variants}

    def _hash(self, *parts: Any) -> str:
        return sha256(canonical_json([self.shared, *parts]).encode())[:32]
