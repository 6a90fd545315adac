"""Canvas: an image on its way through a policy, with the steps that are still to be done to it.

Geometric steps wait, and a run of them becomes one warp, which interpolates and rounds once. The
run is done when a step of another kind comes, another interpolation or another border. Pointwise
steps wait as well, and a run of them becomes one look-up table (tone.py).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tasks.variants.fused.geometry import IDENTITY, Geometry, Size, moved, product, untouched
from tasks.variants.fused.motions import BY_NO_MATRIX, MOTIONS, Motion, Params, motion_of
from tasks.variants.fused.tone import curve, is_pointwise, look_up, ramp
from tasks.variants.fused.warp import (
    EDGES,
    LARGEST_SIDE,
    WHOLE,
    needs_prefilter,
    scales,
    warp,
    warp_as_a_step_does,
)


class StandIn(NamedTuple):
    """What a geometric step sees of an image in order to draw."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Drawn(NamedTuple):
    """A step with what it drew, and the motion that comes of it."""

    step: Any
    params: Params
    motion: Motion


@dataclass
class Run:
    """Geometric steps that are still to be done.

    `motion`: of all of them together. `interpolating`: the one of them that interpolates, or the
    first where none does; None where several do.
    """

    motion: Motion
    interpolating: Drawn | None

    def takes(self, motion: Motion) -> bool:
        """Whether one warp can do what the run does and then what the motion does.

        What pads, pads the image that it gets. It may show neither what was cut off before, nor
        the border of another pad mirrored once more, nor half a pixel of its border blended into
        an edge that was enlarged. To end a run before it costs nothing: whole pixels are exact.
        """
        so_far = self.motion
        if not _agree(so_far.border, motion.border):
            return False
        if not _agree(so_far.interpolation, motion.interpolation):
            return False
        if motion.pads:
            return not (so_far.cuts or so_far.border or self._enlarges())
        resizes = motion.interpolation is not None and motion.border is None
        return not (resizes and so_far.border and so_far.interpolation is None)

    def _enlarges(self) -> bool:
        matrix, size, interpolation, *_ = self.motion
        return interpolation is not None and max(scales(matrix, size)) > 1

    def only(self, shape: tuple[int, ...]) -> Drawn | None:
        """The step that gives by itself all that the run makes of an image of `shape`, if any.

        So does a resize between two flips. Its pixels are those of the resize without them.
        """
        one, (matrix, size, *_) = self.interpolating, self.motion
        if one is None or one.motion is self.motion:
            return one
        same = one.motion.size == size and one.motion.border == self.motion.border
        same = same and one.params["shape"][:2] == shape[:2]
        return one if same and np.abs(one.motion.matrix - matrix).max() < WHOLE else None

    def add(self, drawn: Drawn) -> None:
        so_far, motion = self.motion, drawn.motion
        if motion.interpolation is not None:
            self.interpolating = drawn if so_far.interpolation is None else None
        self.motion = Motion(
            product(motion.matrix, so_far.matrix),
            motion.size,
            so_far.interpolation if motion.interpolation is None else motion.interpolation,
            motion.border or so_far.border,
            so_far.cuts or motion.cuts,
            so_far.pads or motion.pads,
        )


def _agree(one: Any, other: Any) -> bool:
    return one is None or other is None or one == other


class Canvas:
    """One image, to which the steps of a policy are added one after another.

    Attributes:
        pixels: uint8 or uint16, (height, width) or (height, width, channels), before `run` and
            `levels`. Those that it was given are never written to.
        applied: of each step that was applied, its name and what it drew.
        fuse: whether steps wait for others.
        run: the geometric steps that wait.
        levels: what the pointwise steps that wait make of each value; None where none does. Only
            one of the two waits.
    """

    def __init__(self, pixels: np.ndarray, fuse: bool = True) -> None:
        self.source = self.pixels = pixels
        self.applied: list[tuple[str, dict[str, Any]]] = []
        self.fuse = fuse
        self.run: Run | None = None
        self.levels: np.ndarray | None = None
        self.moves: list[tuple[np.ndarray | None, Size]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the image after all steps."""
        if self.run is None:
            return self.pixels.shape
        return (*self.run.motion.size, *self.pixels.shape[2:])

    @property
    def geometry(self) -> Geometry:
        """Where the pixels come from, of those steps that are done."""
        geometry = untouched(self.source.shape[:2])
        for matrix, size in self.moves:
            geometry = moved(geometry, matrix, size)
        return geometry

    def add(self, step: Any) -> None:
        """Apply a transform, now or with those that follow."""
        if type(step).__name__ in MOTIONS:
            self._add_geometric(step)
        elif self.fuse and is_pointwise(step, self._channels):
            self._add_pointwise(step)
        else:
            self._settle()
            if np.may_share_memory(self.pixels, self.source):
                self.pixels = self.pixels.copy()  # AutoContrast, for one, writes into its input
            params = draw(step, self.pixels)
            self._record(step, params)
            self._apply(step, params)
            self._follow(step, params)

    def finish(self) -> np.ndarray:
        """The pixels after all steps, which share no memory with those that came."""
        self._settle()
        if np.may_share_memory(self.pixels, self.source):
            self.pixels = self.pixels.copy()
        return self.pixels

    def _add_geometric(self, step: Any) -> None:
        shape = self.shape
        params = draw(step, StandIn(shape, self.pixels.dtype))
        self._record(step, params)
        motion = motion_of(step, params, shape)
        assert motion is not None
        if not (self.fuse and self._can_wait(motion)):
            self._settle()
            self._apply(step, params)
            self.moves.append((motion.matrix, motion.size))
        elif motion.matrix is IDENTITY:
            pass
        elif self.run is not None and self.run.takes(motion):
            self.run.add(Drawn(step, params, motion))
        else:
            self._settle()
            self.run = Run(motion, Drawn(step, params, motion))

    def _add_pointwise(self, step: Any) -> None:
        if self.levels is None:
            self._settle()
            self.levels = ramp(self.pixels)
        params = draw(step, self.pixels)
        self._record(step, params)
        self.levels = curve(step, params, self.levels, len(self.levels) - 1)

    @property
    def _channels(self) -> int:
        return 1 if self.pixels.ndim == 2 else self.pixels.shape[2]

    def _can_wait(self, motion: Motion) -> bool:
        """Whether OpenCV can warp the image so."""
        shape = self.pixels.shape
        sides = (*shape[:2], *motion.size)
        return not motion.alone and max(sides) <= LARGEST_SIDE and shape[2:] in ((), (3,))

    def _record(self, step: Any, params: Params) -> None:
        self.applied.append((type(step).__name__, params.copy()))

    def _apply(self, step: Any, params: Params) -> None:
        self.pixels = step.apply_with_params(params, image=self.pixels)["image"]

    def _follow(self, step: Any, params: Params) -> None:
        """Note how a step that is in no run moved the pixels."""
        size = self.pixels.shape[:2]
        if type(step).__name__ in BY_NO_MATRIX:
            self.moves.append((None, size))
        elif hasattr(step, "matrices"):  # a published policy, of several operations
            self.moves += [(matrix, size) for matrix in step.matrices(params)]
        else:  # OpenCV turns a grey row into a column of colours, in ToGray and ToRGB
            shape = (*params["shape"][:2], *self.pixels.shape[2:])
            self.pixels = self.pixels.reshape(shape)

    def _settle(self) -> None:
        """Do the steps that wait."""
        if self.levels is not None:
            self.pixels, self.levels = look_up(self.pixels, self.levels), None
        run, self.run = self.run, None
        if run is None:
            return
        matrix, size, interpolation, border, *_ = run.motion
        only = run.only(self.pixels.shape)
        if only is None or interpolation is None or needs_prefilter(*run.motion[:3]):
            self.pixels = warp(self.pixels, matrix, size, interpolation, border or EDGES)
        elif only.motion.warps and border is not None:
            matrix = only.motion.matrix
            self.pixels = warp_as_a_step_does(self.pixels, matrix, size, interpolation, border)
        else:
            self._apply(only.step, only.params)
        self.moves.append((matrix, size))


def draw(step: Any, image: np.ndarray | StandIn) -> dict[str, Any]:
    """What a transform draws for an image, as Albumentations' own __call__ does."""
    data = {"image": image}
    params = step.update_transform_params(params=step.get_params(), data=data)
    params.update(step.get_params_dependent_on_data(params=params, data=data))
    step.params = params
    return params
