"""Canvas: an image on its way through a policy, with the steps that are still to be done to it."""

from typing import Any

import numpy as np

from tasks.variants.fused.geometry import Geometry, untouched


class Canvas:
    """One image, to which the steps of a policy are added one after another.

    Attributes:
        pixels: uint8 or uint16, (height, width) or (height, width, channels).
        applied: of each step that was applied, its name and what it drew.
        geometry: where its pixels come from.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.applied: list[tuple[str, dict[str, Any]]] = []
        self.geometry: Geometry = untouched(pixels.shape[:2])

    def add(self, step: Any) -> None:
        """Apply a transform."""
        params = draw(step, self.pixels)
        self.applied.append((type(step).__name__, params.copy()))
        self.pixels = step.apply_with_params(params, image=self.pixels)["image"]

    def finish(self) -> np.ndarray:
        """The pixels after all steps."""
        return self.pixels


def draw(step: Any, image: np.ndarray) -> dict[str, Any]:
    """What a transform draws for an image, as Albumentations' own __call__ does."""
    data = {"image": image}
    params = step.update_transform_params(params=step.get_params(), data=data)
    params.update(step.get_params_dependent_on_data(params=params, data=data))
    step.params = params
    return params
