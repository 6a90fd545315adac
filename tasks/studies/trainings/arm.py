"""Arm of a study: what its trainings show of each image."""

from typing import NamedTuple

from tasks.pixels.preprocess import Preprocessing
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes


class Arm(NamedTuple):
    """What each epoch shows of each training image; an epoch shows each once, whatever the arm.

    `name`: for people, unique within a study. `augment`: by which variants are made; None: the
    originals alone are shown. `variants`: of how many stored variants, and the original, an epoch
    shows one (offline); None: each epoch shows another (online).
    """

    name: str
    augment: AugmentParams | None
    variants: int | None = None


NONE = Arm("none", None)


def recipes_of(
    arm: Arm, seed: int, preprocessing: Preprocessing, classes: list[str]
) -> Recipes | None:
    """What makes the variants of a training with a seed; None where it shows originals alone."""
    if arm.augment is None:
        return None
    return Recipes.from_params(
        arm.augment.model_copy(update={"seed": seed}), preprocessing, classes
    )
