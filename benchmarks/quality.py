"""Measure what augmentation costs images: policies done at once against the same step by step.

    python benchmarks/quality.py PHOTOS [--photos N] [--only NAME,NAME]

PHOTOS is a folder of images, or of class folders of them; N of them are taken, evenly spaced. Equal
seeds draw equal steps, fused (`augment.fuse: true`) and one after another (`false`). The reference
is a photo enlarged three times (Lanczos), warped once by the matrix of all steps (cubic), and
reduced by area. Compared are the pixels that show the source both ways: borders differ by design.

    affines   four Affines in a row: PSNR, sharpness kept, time
    mixed     flip, quarter turn, Affine, Perspective, RandomResizedCrop: PSNR of each photo
    order     the same steps in another order: a resize, and a step of tone that changes nothing
    turns     twelve turns by 30 degrees: whether the source's own pixels come back
    ramp      a grey ramp through ten RandomBrightnessContrast: the levels that are left
    border    the measure `border` against a warped mask
    gates     the augment stage with a gate, by 1 and 4 workers, cold and incremental
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from expand import list_images, prepare_variegate

from tasks.pixels.convert import to_rgb
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.policy import Applied, Policy

BLACK = {"border_mode": 0, "fill": 0}
REFLECTED = {"border_mode": 4}
TIMES = 3  # the reference's resolution
UP = np.array([[TIMES, 0, TIMES / 2 - 0.5], [0, TIMES, TIMES / 2 - 0.5], [0, 0, 1]])
FROM_BORDER = 3  # pixels: an interpolation reaches beyond the border of what it shows
MOST_BORDER = 0.15  # of the gate
ANSWER = Iterator[tuple[str, str]]  # what was measured, and what was found


def affines(border: dict[str, int]) -> list[Any]:
    """Four Affines in a row."""
    affine = {"rotate": [-15, 15], "scale": [0.9, 1.1], "shear": [-5, 5], "p": 1.0, **border}
    return [{"Affine": {**affine, "translate_percent": [-0.05, 0.05]}}] * 4


def mixed(border: dict[str, int]) -> list[Any]:
    """Five kinds of geometric steps, the last of which reduces the image."""
    return [
        {"HorizontalFlip": {"p": 1.0}},
        {"RandomRotate90": {"p": 1.0}},
        {"Affine": {"rotate": [-15, 15], "scale": [0.9, 1.1], "p": 1.0, **border}},
        {"Perspective": {"p": 1.0, **border}},
        {"RandomResizedCrop": {"size": [224, 224], "scale": [0.8, 1.0], "p": 1.0}},
    ]


def ordered(*names: str) -> Callable[[dict[str, int]], list[Any]]:
    """A policy of these steps, in this order."""

    def steps(border: dict[str, int]) -> list[Any]:
        known = {
            "Resize": {"height": 224, "width": 224, "p": 1.0},
            "Affine": {"rotate": [-15, 15], "scale": [0.9, 1.1], "p": 1.0, **border},
            "RandomBrightnessContrast": {"brightness_limit": 0, "contrast_limit": 0, "p": 1.0},
        }
        return [{name: known[name]} for name in names]

    return steps


def tones() -> list[Any]:
    """Five times half the contrast and some brightness, and back."""
    there = {"contrast_limit": [-0.5, -0.5], "brightness_limit": [0.1, 0.1], "p": 1.0}
    back = {"contrast_limit": [1.0, 1.0], "brightness_limit": [-0.2, -0.2], "p": 1.0}
    return [{"RandomBrightnessContrast": there}, {"RandomBrightnessContrast": back}] * 5


def read_photos(names: list[str]) -> Iterator[np.ndarray]:
    """The photos as a policy receives them, in colour: uint8 (height, width, 3)."""
    for name in names:
        yield to_rgb(AS_DECODED.read(Path(name).read_bytes()))


# --- one photo ------------------------------------------------------------------------------------


class Compared(NamedTuple):
    """A photo by both ways.

    `fused`, `stepwise`: of what the policy made. `scale`: of the image, the mean of all directions.
    """

    fused: "Quality"
    stepwise: "Quality"
    scale: float


class Quality(NamedTuple):
    """`psnr`: in dB. `sharpness`: variance of the Laplacian over the source's. `seconds`: taken."""

    psnr: float
    sharpness: float
    seconds: float


class Pair:
    """A policy fused and step by step, and what shows where its source is.

    Args:
        steps: the policy, for what lies beyond an image's border.
    """

    def __init__(self, steps: Callable[[dict[str, int]], list[Any]]) -> None:
        self.fused = Policy(steps(REFLECTED), fuse=True)
        self.stepwise = Policy(steps(REFLECTED), fuse=False)
        self.black = Policy(steps(BLACK), fuse=False)

    def compare(self, photo: np.ndarray, seed: int) -> Compared:
        """Make one variant both ways, and hold both against the reference."""
        fused, fused_seconds = timed(self.fused, photo, seed)
        stepwise, stepwise_seconds = timed(self.stepwise, photo, seed)
        assert fused.operations == stepwise.operations
        matrix = fused.geometry.matrix
        assert matrix is not None
        expected = reference(photo, matrix, fused.pixels.shape[:2])
        shown = self.visible(photo, seed)
        source = laplacian(photo).var()

        def quality(pixels: np.ndarray, seconds: float) -> Quality:
            sharpness = laplacian(pixels)[shown].var() / source
            return Quality(psnr(pixels[shown], expected[shown]), sharpness, seconds)

        return Compared(
            quality(fused.pixels, fused_seconds),
            quality(stepwise.pixels, stepwise_seconds),
            scale_of(matrix, photo.shape[:2]),
        )

    def visible(self, photo: np.ndarray, seed: int) -> np.ndarray:
        """Which pixels of the variant show the source alone, whichever way it is made."""
        white = self.black.apply(np.full_like(photo, 255), seed).pixels.min(axis=2)
        square = np.ones((2 * FROM_BORDER + 1,) * 2, np.uint8)
        inside = cv2.copyMakeBorder(white, *(1,) * 4, cv2.BORDER_CONSTANT, value=0)
        return cv2.erode((inside == 255).astype(np.uint8), square)[1:-1, 1:-1] > 0


def timed(policy: Policy, photo: np.ndarray, seed: int) -> tuple[Applied, float]:
    """What a policy makes, and the seconds of processor time that it takes, the best of three."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        applied = policy.apply(photo, seed)
        seconds.append(time.process_time() - started)
    return applied, min(seconds)


def reference(photo: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The photo warped once, at TIMES the resolution, to (height, width)."""
    height, width = (TIMES * side for side in size)
    large = cv2.resize(photo, None, fx=TIMES, fy=TIMES, interpolation=cv2.INTER_LANCZOS4)
    large = cv2.warpPerspective(
        large,
        UP @ matrix @ np.linalg.inv(UP),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.resize(large, size[::-1], interpolation=cv2.INTER_AREA)


def psnr(pixels: np.ndarray, expected: np.ndarray) -> float:
    """The ratio of white to the root mean square of the differences, in dB."""
    difference = pixels.astype(np.float64) - expected
    return float(10 * np.log10(255**2 / max((difference**2).mean(), 1e-9)))


def laplacian(pixels: np.ndarray) -> np.ndarray:
    """The second derivative of the grey levels, float64 (height, width)."""
    return cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_64F)


def scale_of(matrix: np.ndarray, size: tuple[int, int]) -> float:
    """How many pixels a matrix makes of one in the middle of an image, along a side."""
    y, x = (side / 2 for side in size)
    corners = np.array([[x, y], [x + 1, y], [x, y + 1]]).reshape(1, -1, 2)
    origin, right, down = cv2.perspectiveTransform(corners, matrix)[0]
    return float(abs(np.linalg.det([right - origin, down - origin])) ** 0.5)


# --- what is measured -----------------------------------------------------------------------------


def measure_affines(names: list[str]) -> ANSWER:
    """Four interpolations against one."""
    pair = Pair(affines)
    found = [pair.compare(photo, seed) for seed, photo in enumerate(read_photos(names))]
    fused, stepwise = [one.fused for one in found], [one.stepwise for one in found]
    yield "PSNR", gains(found)
    kept = [mean(one.sharpness for one in way) for way in (stepwise, fused)]
    times = f"{kept[1] / kept[0]:.1f} times"
    yield "sharpness kept", f"{kept[0]:.2f} -> {kept[1]:.2f} of the source's, {times}"
    yield "time", time_taken(found)


def measure_mixed(names: list[str]) -> ANSWER:
    """Several kinds of steps."""
    pair = Pair(mixed)
    found = [pair.compare(photo, seed) for seed, photo in enumerate(read_photos(names))]
    yield "mean scale", f"{mean(one.scale for one in found):.2f}"
    yield "PSNR", gains(found)
    yield "time", time_taken(found)


def measure_order(names: list[str]) -> ANSWER:
    """What the order of steps costs, step by step and fused."""
    tone = "RandomBrightnessContrast"
    for order in (
        ("Resize", "Affine"),
        ("Affine", "Resize"),
        ("Affine", tone, "Affine"),
        (tone, "Affine", "Affine"),
    ):
        pair = Pair(ordered(*order))
        found = [pair.compare(photo, seed) for seed, photo in enumerate(read_photos(names))]
        yield ", ".join("tone" if name == tone else name for name in order), gains(found)


def time_taken(found: list[Compared]) -> str:
    fused, stepwise = (sum(one[way].seconds for one in found) for way in (0, 1))
    return f"{fused / stepwise:.0%} of step by step"


def gains(found: list[Compared]) -> str:
    """The PSNR of both ways, and what fusing gains."""
    stepwise, fused = ([one[way].psnr for one in found] for way in (1, 0))
    gained = [one.fused.psnr - one.stepwise.psnr for one in found]
    means = f"{mean(stepwise):.1f} -> {mean(fused):.1f} dB in the mean of {len(found)} photos"
    return (
        f"{means}; gain {mean(gained):+.1f}, of one photo {min(gained):+.1f} to {max(gained):+.1f}"
    )


def measure_turns(names: list[str]) -> ANSWER:
    """A full circle in twelve turns."""
    turns = [{"Rotate": {"limit": [30, 30], "p": 1.0}}] * 12
    fused, stepwise = (Policy(turns, fuse=fuse) for fuse in (True, False))
    same, before = 0, []
    for photo in read_photos(names):
        same += np.array_equal(fused.apply(photo, 0).pixels, photo)
        before.append(psnr(stepwise.apply(photo, 0).pixels, photo))
    yield "fused", f"{same} of {len(names)} photos have their own pixels"
    yield "step by step", f"{mean(before):.1f} dB, borders included"


def measure_ramp(_: list[str]) -> ANSWER:
    """Grey levels through ten steps of tone."""
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    for name, fuse in (("step by step", False), ("fused", True)):
        pixels = Policy(tones(), fuse=fuse).apply(ramp, 0).pixels
        yield name, f"{len(np.unique(pixels))} of 256 levels"


def measure_border(names: list[str]) -> ANSWER:
    """What the visible polygon leaves of a variant, against a white image warped onto black."""
    for name, steps in (("Affine", affines(BLACK)[:1]), ("Affines", affines(BLACK))):
        policy = Policy(steps, fuse=False)
        differences = []
        for seed, photo in enumerate(read_photos(names)):
            applied = policy.apply(np.full(photo.shape[:2], 255, np.uint8), seed)
            polygon, (height, width) = applied.geometry.visible, applied.pixels.shape
            assert polygon is not None
            shown = cv2.contourArea(polygon.astype(np.float32)) / (height * width)
            differences.append(abs(shown - applied.pixels.mean() / 255))
        yield name, f"{max(differences):.5f} apart at most"


# --- gates ----------------------------------------------------------------------------------------


def measure_gates(names: list[str]) -> ANSWER:
    """A stage with black corners and a gate."""
    augment = {
        "variants_per_image": 5,
        "policy": [{"Affine": {"rotate": [-30, 30], "scale": [0.7, 1.1], "p": 1.0, **BLACK}}],
        "gates": {"border": {"max": MOST_BORDER}},
    }
    with tempfile.TemporaryDirectory() as temporary:
        photos, work = Path(temporary, "photos"), Path(temporary, "work")
        for number, name in enumerate(names):
            target = photos / str(number % 2) / Path(name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, target)
        work.mkdir()
        prepare_variegate(photos, work, augment)
        ledgers = {"4 workers": run_augment(work, 4), "1 worker": run_augment(work, 1)}
        half = {**augment, "variants_per_image": 2}
        run_augment(work, 2, half)
        ledgers["incremental"] = run_augment(work, 2, augment, cold=False)
        first = ledgers["4 workers"]
        same = [name for name, ledger in ledgers.items() if ledger.equals(first)]
        yield "equal ledgers", ", ".join(same)
    variants = first[first["variant_index"] > 0]
    written = variants[variants["status"] == "written"]
    yield "largest border", f"{written['border'].max():.4f} of {MOST_BORDER} allowed"
    counts = f"{len(variants)} planned = {len(written)} written + {len(variants) - len(written)}"
    assert len(variants) == 5 * len(names)
    yield "counts", f"{counts} rejected; {(written['attempt'] > 0).sum()} drawn again"


def run_augment(
    work: Path, workers: int, augment: dict[str, Any] | None = None, cold: bool = True
) -> pd.DataFrame:
    """Run the stage, and read its ledger."""
    if augment:
        (work / "params.yaml").write_text(json.dumps({"augment": augment}))
    if cold:
        shutil.rmtree(work / ".variegate", ignore_errors=True)
    environment = {**os.environ, "VARIEGATE_WORKERS": str(workers)}
    command = [sys.executable, "-m", "tasks.augment"]
    subprocess.run(command, cwd=work, env=environment, check=True, stdout=subprocess.DEVNULL)
    return pd.read_parquet(work / "data/augmented/manifest.parquet")


MEASUREMENTS = {
    "affines": measure_affines,
    "mixed": measure_mixed,
    "order": measure_order,
    "turns": measure_turns,
    "ramp": measure_ramp,
    "border": measure_border,
    "gates": measure_gates,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--photos", dest="count", type=int, default=50)
    parser.add_argument("--only", default=",".join(MEASUREMENTS))
    options = parser.parse_args()
    names = evenly_spaced(list_images(options.photos), options.count)
    for name in options.only.split(","):
        for what, found in MEASUREMENTS[name](names):
            print(f"{name:<8} {what:<20} {found}", flush=True)


def evenly_spaced(names: list[str], count: int) -> list[str]:
    """`count` of the names, or all."""
    return [names[number * len(names) // count] for number in range(min(count, len(names)))]


if __name__ == "__main__":
    main()
