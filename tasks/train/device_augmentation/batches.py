"""What an epoch shows of some sources: each augmented, and mixed with another where that is asked.

An image depends on the seed, its source, the epoch, the recipe, and with mixup or cutmix on the set
of all training sources: not on its batch, the order, the number of threads or the device.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tasks.model.device import on_device
from tasks.train.device_augmentation import mixing, philox
from tasks.train.device_augmentation.draws import ELEMENT_NAMES, Drawn, draw_steps
from tasks.train.device_augmentation.mixing import Mixing
from tasks.train.device_augmentation.operations import (
    Operation,
    apply_operations,
    operations_of,
    rounded,
)
from tasks.train.device_augmentation.policy import Step, Symmetry, device_steps
from tasks.variants.policy import LOCATION
from tasks.variants.recipe import Recipes
from tasks.variants.relabelling import MOVES, TURN
from tasks.variants.transforms import OF_ELEMENTS

PLANNED_AT_ONCE = 4096  # images
QUARTER_TURNS = {"e": 0, "r90": 1, "r180": 2, "r270": 3}


class Program(NamedTuple):
    """The steps of some classes, and whether a class is among them: bool (classes,)."""

    steps: tuple[Step, ...]
    of_class: np.ndarray


class Part(NamedTuple):
    """Images that one program makes: which of a batch, in ascending order, and what is done."""

    places: Tensor
    operations: list[Operation]


class Augmented(NamedTuple):
    """What is made of some sources in an epoch, before a pixel is touched.

    `sources`: their numbers, int64 (images,). `classes`: what each shows, int64 (images,).
    """

    sources: np.ndarray
    classes: Tensor
    parts: list[Part]

    def rows(self, start: int, end: int) -> "Augmented":
        """Some of the images."""
        parts = []
        for places, operations in self.parts:
            first, last = np.searchsorted(places.numpy(), (start, end))
            own = [Operation(each.run, each.values[first:last]) for each in operations]
            if last > first:
                parts.append(Part(places[first:last] - start, own))
        return Augmented(self.sources[start:end], self.classes[start:end], parts)

    def make(self, images: Tensor) -> Tensor:
        """The images, uint8 or float32, of those of the sources, uint8 (images, 3, size, size)."""
        if len(self.parts) == 1:
            return apply_operations(images, self.parts[0].operations)
        made = images.to(torch.float32)
        for part in self.parts:
            places = on_device(part.places, images.device)
            made[places] = apply_operations(images[places], part.operations).to(torch.float32)
        return made


class Mix(NamedTuple):
    """What images are mixed with: `values` float32 (images, 5), see mixing.mix()."""

    partners: Augmented
    values: Tensor


class Planned(NamedTuple):
    """What an epoch shows in a batch; `mixed` is None where images are not."""

    own: Augmented
    mixed: Mix | None

    @property
    def partners(self) -> np.ndarray:
        """The numbers of the sources that images are mixed with."""
        return self.own.sources[:0] if self.mixed is None else self.mixed.partners.sources

    @property
    def sources(self) -> np.ndarray:
        """Whose images are needed: the sources', then their partners'."""
        return np.concatenate([self.own.sources, self.partners])

    def rows(self, start: int, end: int) -> "Planned":
        """Some of the images."""
        own, mixed = self.own.rows(start, end), self.mixed
        if mixed is None:
            return Planned(own, None)
        return Planned(own, Mix(mixed.partners.rows(start, end), mixed.values[start:end]))


class DeviceAugmentation:
    """Augments batches of sources where the model is.

    Args:
        sha256: of each training source.
        labels: the class number of each, int64 (sources,).
        classes: by their numbers.
        recipes: whose policies device augmentation has.
        size: of a side of the images, in pixels.
        mixing: the parameters of mixup and cutmix.
    """

    def __init__(
        self,
        sha256: Sequence[str],
        labels: Tensor,
        classes: Sequence[str],
        recipes: Recipes,
        size: int,
        mixing: Mixing,
    ) -> None:
        self.keys = philox.source_keys(recipes.general.seed, sha256)
        self.order = torch.from_numpy(np.argsort(np.asarray(sha256, dtype=str), kind="stable"))
        self.labels = labels.cpu()
        self.classes = classes
        self.size = size
        self.mixing = mixing if mixing.mixup or mixing.cutmix else None
        self.programs = programs_of(recipes, classes)
        self.moved_to = class_tables(recipes, classes)

    def plan_batches(self, batches: Sequence[np.ndarray], epoch: int) -> Iterator[Planned]:
        """plan() of each batch; of thousands of images at once, as calls of torch take their time.

        Args:
            batches: numbers of sources, each int64 (batch,).
            epoch: from 1.
        """
        ends = np.cumsum([0, *map(len, batches)])
        chunks = groupby(range(len(batches)), key=lambda i: ends[i] // PLANNED_AT_ONCE)
        for numbers in (list(numbers) for _, numbers in chunks):
            planned = self.plan(np.concatenate([batches[i] for i in numbers]), epoch)
            for i in numbers:
                first = ends[numbers[0]]
                yield planned.rows(ends[i] - first, ends[i + 1] - first)

    def plan(self, sources: np.ndarray, epoch: int) -> Planned:
        """What an epoch, from 1, shows of the sources with these numbers."""
        if self.mixing is None:
            return Planned(self._augmented(sources, epoch), None)
        keys = self.keys[torch.from_numpy(sources)]
        partners, shares, boxes = self.mixing.draw(keys, epoch, self.size, self.order)
        values = torch.cat([shares[:, None], boxes], dim=1).float()
        mixed = Mix(self._augmented(partners.numpy(), epoch), values)
        return Planned(self._augmented(sources, epoch), mixed)

    def _augmented(self, sources: np.ndarray, epoch: int) -> Augmented:
        numbers = torch.from_numpy(sources)
        own = self.labels[numbers]
        shown, parts = own.clone(), []
        for program in self.programs:
            places = torch.from_numpy(np.flatnonzero(program.of_class[own.numpy()]))
            if len(places):
                drawn = draw_steps(program.steps, self.keys[numbers[places]], epoch, self.size)
                shown[places] = self._shown(own[places], program.steps, drawn)
                parts.append(Part(places, operations_of(program.steps, drawn)))
        return Augmented(sources, shown, parts)

    def _shown(self, own: Tensor, steps: Sequence[Step], drawn: Sequence[Drawn]) -> Tensor:
        """The class that each image shows; see tasks/variants/relabelling.py.

        `own`: those of their sources.
        """
        shown = own.clone()
        for step, its in zip(steps, drawn, strict=True):
            for chosen, moves in moves_of(step).items():
                which = its.chosen == chosen
                for move in moves:
                    if move in self.moved_to:
                        table = self.moved_to[move]
                        shown[which] = table[own[which], shown[which]]
        return shown

    def show(self, planned: Planned, images: Tensor) -> tuple[Tensor, Tensor]:
        """The images that were planned, and their labels, on the device of `images`.

        Args:
            planned: see plan().
            images: uint8 (sources, 3, size, size), those of `planned.sources`.

        Returns:
            uint8 (images, 3, size, size), and class numbers, int64 (images,); where images are
            mixed the probabilities of the classes, float32 (images, classes).
        """
        count, device = len(planned.own.sources), images.device
        own, classes = planned.own.make(images[:count]), on_device(planned.own.classes, device)
        if planned.mixed is None:
            return rounded(own), classes
        partners = planned.mixed.partners.make(images[count:])
        values = on_device(planned.mixed.values, device)
        theirs = on_device(planned.mixed.partners.classes, device)
        labels = mixing.soft_labels(classes, theirs, values[:, 0], len(self.classes))
        return rounded(mixing.mix(own, partners, values)), labels


def programs_of(recipes: Recipes, classes: Sequence[str]) -> list[Program]:
    """The steps of each policy that classes have.

    Raises:
        UserError: for a policy that device augmentation has not.
    """
    policies = np.array([recipes.of(label).policy for label in classes])
    found = []
    for policy in dict.fromkeys(policies.tolist()):
        steps = device_steps(json.loads(policy), LOCATION)
        found.append(Program(steps, policies == policy))
    return found


def class_tables(recipes: Recipes, classes: Sequence[str]) -> dict[str, Tensor]:
    """By the name of a step, which class it makes of which: int64 (source's class, before it).

    Empty where no rule relabels.
    """
    numbers = {label: number for number, label in enumerate(classes)}
    tables: dict[str, Tensor] = {}
    for number, label in enumerate(classes):
        for step, pairs in recipes.maps_of(label).items():
            unmoved = torch.arange(len(classes)).expand(len(classes), -1)
            table = tables.setdefault(step, unmoved.clone())
            for old, new in pairs.items():
                table[number, numbers[old]] = numbers[new]
    return tables


def moves_of(step: Step) -> dict[int, tuple[str, ...]]:
    """By what a step chose (see Drawn), the steps whose relabelling counts."""
    if isinstance(step, Symmetry) and step.name in OF_ELEMENTS:
        return {ELEMENT_NAMES.index(each): MOVES[each] for each in step.elements}
    if step.name == TURN:
        turns = QUARTER_TURNS.items()
        return {ELEMENT_NAMES.index(each): (TURN,) * count for each, count in turns}
    chosen = ELEMENT_NAMES.index(step.elements[0]) if isinstance(step, Symmetry) else 1
    return {chosen: (step.name,)}


def device_id(source_id: str, epoch: int) -> str:
    """`<source_id>-d<epoch>`, the epoch with three digits or more."""
    return f"{source_id}-d{epoch:03d}"
