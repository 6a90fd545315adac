"""Arm of a study: what its trainings show of each image."""

from typing import NamedTuple

from tasks.variants.params import AugmentParams


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
