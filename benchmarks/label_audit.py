"""Audit steps of which it is known whether they break labels: what is flagged, what it takes.

    python benchmarks/label_audit.py FASHION PHOTOS [--only NAME,NAME]

FASHION is the folder of Fashion-MNIST's idx files, PHOTOS one of class folders of photos. Each
dataset is put into class folders and read from there, and each step makes one variant of every
image, at p = 1 and in five bins of magnitude. The figures in README.md are of 2 cores (AMD EPYC).

    digits    scikit-learn's, 1,250 of them
    fashion   4,000 images of Fashion-MNIST, and top halves of them
    arrows    400 arrows to the left, right, top and bottom, drawn here
    letters   400 times b, d, p and q, drawn here: no threshold was chosen on them
    photos    100 of each class
    placebo   20 steps that change nothing that matters, on digits and clothes of 28 pixels
"""

import argparse
import gzip
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from sklearn.datasets import load_digits

from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED
from tasks.studies.audit.evidence import Images, Reference
from tasks.studies.audit.features import Projection, choose_form, extract
from tasks.studies.audit.verdicts import judge
from tasks.variants.policy import Policy

BINS = 5
CLOTHES = ["t-shirt", "trouser", "pullover", "dress", "coat"]
CLOTHES += ["sandal", "shirt", "sneaker", "bag", "boot"]
WAYS = {"down": (0, 1), "left": (-1, 0), "right": (1, 0), "up": (0, -1)}
SIDE = 32  # of drawn images, in pixels
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX)
Steps = dict[str, list[list[Any]]]  # policies by name; each makes as many of the variants


# --- datasets -------------------------------------------------------------------------------------


class Sample(NamedTuple):
    """An image of a class: uint8 (height, width)."""

    label: str
    pixels: np.ndarray


def digits(side: int = 8) -> Iterator[Sample]:
    """1,250 handwritten digits."""
    bunch = load_digits()
    order = np.random.default_rng(1).permutation(len(bunch.target))[:1250]
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    for number in order:
        yield Sample(str(bunch.target[number]), cv2.resize(pixels[number], (side, side)))


def clothes(folder: Path) -> Iterator[Sample]:
    """The first 4,000 images of Fashion-MNIST."""
    data = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    pixels = np.frombuffer(data, np.uint8, offset=16).reshape(-1, 28, 28)
    return (Sample(CLOTHES[labels[n]], pixels[n]) for n in range(4000))


def arrows() -> Iterator[Sample]:
    """400 arrows of varied place, length, thickness, brightness and noise."""
    rng = np.random.default_rng(3)
    for number in range(400):
        label = sorted(WAYS)[number % len(WAYS)]
        canvas = np.full((SIDE, SIDE), rng.integers(0, 60), np.float32)
        middle = SIDE / 2 + rng.uniform(-3, 3, 2)
        half = np.array(WAYS[label]) * rng.uniform(6, 12)
        start, end = (tuple(np.rint(middle + way * half).astype(int).tolist()) for way in (-1, 1))
        level, width = rng.uniform(140, 255), int(rng.integers(1, 4))
        cv2.arrowedLine(
            canvas, start, end, level, width, cv2.LINE_AA, 0, float(rng.uniform(0.25, 0.45))
        )
        yield Sample(label, with_noise(canvas, rng))


def letters() -> Iterator[Sample]:
    """400 letters that are each other's mirror images, in three fonts."""
    rng = np.random.default_rng(4)
    for number in range(400):
        label = "bdpq"[number % 4]
        canvas = np.full((SIDE, SIDE), rng.integers(0, 60), np.float32)
        font, width = FONTS[rng.integers(0, 3)], int(rng.integers(1, 4))
        scale = rng.uniform(0.8, 1.1) * (1.8 if font == cv2.FONT_HERSHEY_PLAIN else 1)
        (right, up), _ = cv2.getTextSize(label, font, scale, width)
        x, y = SIDE / 2 + rng.uniform(-3, 3, 2) + (-right / 2, up / 2 - 4 * (label in "pq"))
        level = rng.uniform(140, 255)
        cv2.putText(canvas, label, (int(x), int(y)), font, scale, level, width, cv2.LINE_AA)
        turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-8, 8), 1)
        canvas = cv2.warpAffine(canvas, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
        yield Sample(label, with_noise(canvas, rng))


def with_noise(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = canvas + rng.normal(0, rng.uniform(2, 10), canvas.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def draw(samples: Callable[[], Iterator[Sample]], folder: Path) -> None:
    """Write images into class folders."""
    for number, sample in enumerate(samples()):
        path = folder / sample.label / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), sample.pixels)


def copy_photos(photos: Path, folder: Path) -> None:
    """Copy the first hundred photos of each class."""
    for source in sorted(path for path in photos.iterdir() if path.is_dir()):
        (folder / source.name).mkdir(parents=True)
        for path in sorted(source.iterdir())[:100]:
            shutil.copy(path, folder / source.name)


# --- steps ----------------------------------------------------------------------------------------


def always(step: str, **arguments: Any) -> list[Any]:
    """A policy of one step."""
    return [{step: {**arguments, "p": 1.0}}]


def rotation(low: float, high: float) -> list[Any]:
    return always("Rotate", limit=[low, high])


def shift(low: float, high: float) -> list[Any]:
    return always("Affine", translate_percent={"x": [low, high], "y": [low, high]})


def zoom(low: float, high: float) -> list[Any]:
    return always("Affine", scale=[low, high])


def brightness(low: float, high: float) -> list[Any]:
    tone = {"brightness_limit": [low, high], "contrast_limit": [0, 0]}
    return always("RandomBrightnessContrast", **tone)


def contrast(low: float, high: float) -> list[Any]:
    tone = {"brightness_limit": [0, 0], "contrast_limit": [low, high]}
    return always("RandomBrightnessContrast", **tone)


def blur(low: float, high: float) -> list[Any]:
    return always("GaussianBlur", sigma_limit=[low, high], blur_limit=0)


def hole(side: int, level: int = 0) -> list[Any]:
    size = {"hole_height_range": [side, side], "hole_width_range": [side, side]}
    return always("CoarseDropout", num_holes_range=[1, 1], fill=level, **size)


def bins(
    name: str, policy: Callable[[float, float], list[Any]], least: float, most: float
) -> Steps:
    """A step in five bins of its argument."""
    edges = np.linspace(least, most, BINS + 1).round(4).tolist()
    return {f"{name} {low:g} to {high:g}": [policy(low, high)] for low, high in pairwise(edges)}


def both_ways(name: str, policy: Callable[[float, float], list[Any]], most: float) -> Steps:
    """A step in five bins of the distance from 0, on both sides of it."""
    edges = np.linspace(0, most, BINS + 1).round(4).tolist()
    return {
        f"{name} {low:g} to {high:g}": [policy(low, high), policy(-high, -low)]
        for low, high in pairwise(edges)
    }


HORIZONTAL = {"horizontal flip": [always("HorizontalFlip")]}
VERTICAL = {"vertical flip": [always("VerticalFlip")]}
TURNED = {"turn by 180": [rotation(180, 180)]}
QUARTER = {"quarter turn": [rotation(90, 90), rotation(-90, -90)]}
FLIPS = {**HORIZONTAL, **VERTICAL, **TURNED, **QUARTER}
TOP = {"Crop": {"x_min": 0, "y_min": 0, "x_max": 28, "y_max": 14, "p": 1.0}}

ON_DIGITS = {
    **FLIPS,
    **both_ways("rotation", rotation, 60),
    **both_ways("shift", shift, 0.1),
    **both_ways("brightness", brightness, 0.3),
    **both_ways("contrast", contrast, 0.3),
}
ON_CLOTHES = {
    **FLIPS,
    "top half": [[TOP]],
    "rotation up to 10": [rotation(-10, 10)],
    **both_ways("rotation", rotation, 30),
    **both_ways("shift", shift, 0.1),
    **bins("zoom in", zoom, 1, 1.3),
    **bins("zoom out", zoom, 0.8, 1),
    **bins("blur", blur, 0.1, 2),
    **both_ways("brightness", brightness, 0.3),
    **{f"hole of {side}": [hole(side)] for side in (6, 8, 10, 14)},
}
ON_DRAWINGS = {
    **FLIPS,
    **both_ways("rotation", rotation, 8),
    **both_ways("brightness", brightness, 0.3),
    **bins("blur", blur, 0.1, 1.5),
}
ON_PHOTOS = {**HORIZONTAL, **VERTICAL, **both_ways("brightness", brightness, 0.3)}
PLACEBO = {
    **{
        f"noise {deviation}": [always("GaussNoise", std_range=[deviation / 100] * 2)]
        for deviation in range(1, 9)
    },
    **{
        f"brightness {percent:+}%": [brightness(percent / 100, percent / 100)]
        for percent in (-12, -9, -6, -3, 3, 6, 9, 12)
    },
    **{f"a pixel of {level}": [hole(1, level)] for level in (0, 60, 120, 180)},
}


# --- the audit ------------------------------------------------------------------------------------


def audit(folder: Path, steps: Steps) -> Iterator[str]:
    """Lines of what is flagged, and of the processor time of variants and verdicts."""
    files = {sha256(path.read_bytes()): path for path in sorted(folder.glob("*/*"))}
    paths = [files[name] for name in sorted(files)]
    classes = sorted({path.parent.name for path in paths})
    labels = np.array([classes.index(path.parent.name) for path in paths])
    sources = np.arange(len(paths))
    originals = [AS_DECODED.read(path.read_bytes()) for path in paths]
    form = choose_form(
        [pixels.shape[1] for pixels in originals], [pixels.shape[0] for pixels in originals]
    )
    kept = np.stack([extract(pixels, form) for pixels in originals])
    projection = Projection.fit(kept)
    started, judging = time.process_time(), 0.0
    reference = Reference(Images(projection.apply(kept), labels, sources))
    told = ", ".join(f"{name} {reference.known[n]:.2f}" for n, name in enumerate(classes))
    yield f"{len(paths)} images as {form.kind} of {form.side}; told: {told}"
    for name, policies in steps.items():
        makers = [Policy(policy) for policy in policies]
        made = (
            makers[n % len(makers)].apply(pixels, n).pixels for n, pixels in enumerate(originals)
        )
        features = projection.apply(np.stack([extract(pixels, form) for pixels in made]))
        begun = time.process_time()
        judged = judge(reference, Images(features, labels, sources))
        judging += time.process_time() - begun
        found = [
            f"{classes[each.label]} {'to ' + classes[each.to] if each.to is not None else '?'} "
            f"{each.share.value:.2f} ({each.share.low:.2f} to {each.share.high:.2f})"
            for each in judged
            if each.verdict in ("moves", "unlike anything")
        ]
        yield f"{name:<26} {', '.join(found) or '-'}"
    seconds = time.process_time() - started
    yield f"{len(steps)} settings: {seconds:.1f} s of processor time, judging {judging:.1f} of them"


class Case(NamedTuple):
    """A dataset, as what puts it into class folders, and the steps that are tried on it."""

    write: Callable[[Path], None]
    steps: Steps


def cases(fashion: Path, photos: Path) -> dict[str, Case]:
    of_clothes = partial(draw, partial(clothes, fashion))
    return {
        "digits": Case(partial(draw, digits), ON_DIGITS),
        "fashion": Case(of_clothes, ON_CLOTHES),
        "arrows": Case(partial(draw, arrows), ON_DRAWINGS),
        "letters": Case(partial(draw, letters), ON_DRAWINGS),
        "photos": Case(partial(copy_photos, photos), ON_PHOTOS),
        "placebo-digits": Case(partial(draw, partial(digits, 28)), PLACEBO),
        "placebo-fashion": Case(of_clothes, PLACEBO),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("fashion", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    known = cases(options.fashion, options.photos)
    for name in options.only.split(",") if options.only else known:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "data/raw")
            known[name].write(folder)
            for line in audit(folder, known[name].steps):
                print(f"{name:<16} {line}", flush=True)


if __name__ == "__main__":
    main()
