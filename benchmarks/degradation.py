"""Draw how augmentation degrades images, before and after: the pictures of docs/degradation.md.

    python benchmarks/degradation.py [--pictures docs/pictures] [--photos PHOTOS]

A chart of what shows blur, aliasing, bands and compression best is drawn, and made into variants in
the wrong and in the right way. Each picture holds some of them side by side. With --photos, what
the encodings cost 50 photos of a folder is printed as well.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
from expand import list_images
from quality import evenly_spaced, psnr, read_photos

from tasks.pixels.encode import Format, encode
from tasks.variants.policy import Policy

SIDE = 240
FINER = 4  # times as fine as the chart is what it is reduced from
GREY = 128
LOW = 40  # quality
PHOTOS = 50
BLACK = {"border_mode": 0, "fill": 0}
NEAREST = 0  # as a step names it
Panel = tuple[str, np.ndarray]  # what stands below it, and an image of three channels


# --- the chart ------------------------------------------------------------------------------------


def draw_chart() -> np.ndarray:
    """Rings that grow finer, a star, text and shades of grey and of colour, uint8 RGB."""
    side = SIDE * FINER // 2
    chart = np.vstack([np.hstack([rings(side), star(side)]), np.hstack([text(side), shades(side)])])
    return cv2.resize(chart, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def rings(side: int) -> np.ndarray:
    """A zone plate: the finest rings are 2.5 pixels of the chart apart."""
    x = np.arange(side) - side / 2
    squares = (x**2 + x[:, None] ** 2) / (side / 2)
    waves = np.cos(np.pi * squares / (2.5 * FINER))
    return as_rgb(np.where(squares < side / 2, GREY + 127 * waves, GREY))


def star(side: int) -> np.ndarray:
    """A Siemens star of 24 rays."""
    x = np.arange(side) - side / 2
    angles, radius = np.arctan2(x[:, None], x), np.hypot(x, x[:, None])
    return as_rgb(np.where(radius < side * 0.46, 255 * (np.sin(24 * angles) > 0), GREY))


def text(side: int) -> np.ndarray:
    """Lines of text, in colours."""
    page = np.full((side, side, 3), 255, np.uint8)
    lines = [("Why do my", (0, 0, 0)), ("images", (200, 0, 0)), ("degrade?", (0, 0, 200))]
    for number, (line, colour) in enumerate(lines):
        place = (side // 16, side * (2 + 3 * number) // 10 + side // 16)
        cv2.putText(page, line, place, cv2.FONT_HERSHEY_SIMPLEX, 2.3, colour, 7, cv2.LINE_AA)
    return page


def shades(side: int) -> np.ndarray:
    """A soft slope of light over grey and colours."""
    y, x = np.mgrid[0:side, 0:side] / side
    light = 60 + 120 * (1 - np.hypot(x - 0.35, y - 0.35))
    return np.dstack([light, light * (0.7 + 0.3 * x), light * (0.7 + 0.3 * y)]).astype(np.uint8)


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.dstack([grey] * 3).astype(np.uint8)


# --- variants, wrong and right --------------------------------------------------------------------


def apply(image: np.ndarray, *steps: dict[str, Any], fuse: bool = False) -> np.ndarray:
    """What a policy makes of an image."""
    return Policy(list(steps), fuse=fuse).apply(image, 3).pixels


def compressed(image: np.ndarray, format: Format, quality: int) -> np.ndarray:
    """An image stored and read again, as RGB."""
    data = np.frombuffer(encode(image, format, quality), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def stretched(image: np.ndarray) -> np.ndarray:
    """Six times the contrast around its mean, to show what is hidden in shades."""
    return np.clip((image - image.mean()) * 6 + GREY, 0, 255).astype(np.uint8)


def full_size(image: np.ndarray) -> np.ndarray:
    """An image as large as a panel, its pixels as squares."""
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


def magnified(image: np.ndarray) -> np.ndarray:
    """Three times the upper left part of an image."""
    side = SIDE // 3
    return full_size(image[:side, :side])


def dtype(chart: np.ndarray) -> Iterator[Panel]:
    """Floats as 8 bits, and tone step by step."""
    normalised = (chart / 255 - 0.45) / 0.225
    tone = [
        {"RandomBrightnessContrast": {"contrast_limit": [by, by], "brightness_limit": 0, "p": 1.0}}
        for by in (-0.7, 7 / 3) * 3
    ]
    soft = cv2.resize(chart[SIDE // 2 :, SIDE // 2 :], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    yield "the image", chart
    yield "0..1 written as 8 bits", (chart / 255).astype(np.uint8)
    yield "normalised, as 8 bits", normalised.astype(np.int64).astype(np.uint8)
    yield "6 tone steps, each rounded", stretched(apply(soft, *tone))
    yield "the same, rounded once", stretched(apply(soft, *tone, fuse=True))


def borders(chart: np.ndarray) -> Iterator[Panel]:
    """What lies beyond the edge."""
    turn = {"limit": [25, 25], "p": 1.0}
    yield "the image", chart
    yield "border_mode: 0", apply(chart, {"Rotate": {**turn, **BLACK}})
    yield "reflected, the default", apply(chart, {"Rotate": turn})


def order(chart: np.ndarray) -> Iterator[Panel]:
    """A resize before and after a turn."""
    turn = {"Rotate": {"limit": [20, 20], "p": 1.0}}
    small = {"Resize": {"height": 80, "width": 80, "p": 1.0}}
    for text, steps, fuse in (
        ("Resize, then Rotate", (small, turn), False),
        ("Rotate, then Resize", (turn, small), False),
        ("either way, fused", (small, turn), True),
    ):
        yield text, full_size(apply(chart, *steps, fuse=fuse))


def interpolation(chart: np.ndarray) -> Iterator[Panel]:
    """Several interpolations and one."""
    affine = {"Affine": {"rotate": [-10, 10], "translate_px": [-3, 3], "p": 1.0}}
    nearest = {"Affine": {**affine["Affine"], "interpolation": NEAREST}}
    yield "the image", chart
    yield "four Affines, nearest", apply(chart, *[nearest] * 4)
    yield "four Affines, step by step", apply(chart, *[affine] * 4)
    yield "four Affines, fused", apply(chart, *[affine] * 4, fuse=True)


def shrinking(chart: np.ndarray) -> Iterator[Panel]:
    """A reduction without and with a prefilter."""
    small = {"Resize": {"height": 90, "width": 90, "p": 1.0}}
    yield "the image", chart
    for text, fuse in (("to 0.38, no prefilter", False), ("to 0.38, prefiltered", True)):
        yield text, full_size(apply(chart, small, fuse=fuse))


def compression(chart: np.ndarray) -> Iterator[Panel]:
    """JPEG of what had no loss, and JPEG of JPEG."""
    words = chart[SIDE // 2 + 4 :]
    once = compressed(words, "jpeg", LOW)
    turned = apply(once, {"Affine": {"translate_px": {"x": [3, 3], "y": [3, 3]}, "p": 1.0}})
    yield "PNG", magnified(words)
    yield f"JPEG, quality {LOW}", magnified(once)
    yield "moved, and JPEG again", magnified(compressed(turned, "jpeg", LOW))
    yield "JPEG, quality 95, 4:4:4", magnified(compressed(words, "jpeg", 95))


PICTURES = (dtype, borders, order, interpolation, shrinking, compression)


def draw(panels: list[Panel]) -> np.ndarray:
    """Panels side by side, each with its text below."""
    drawn = []
    for text, image in panels:
        panel = np.full((SIDE + 26, SIDE + 8, 3), 255, np.uint8)
        panel[:SIDE, 4 : SIDE + 4] = image
        place = (6, SIDE + 19)
        cv2.putText(panel, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.48, (0, 0, 0), 1, cv2.LINE_AA)
        drawn.append(panel)
    return np.hstack(drawn)


def print_encodings(photos: Path) -> None:
    """What it costs photos to be stored: the PSNR of what is read again, and the bytes."""
    turn = {"Rotate": {"limit": [10, 10], "p": 1.0}}
    images = read_photos(evenly_spaced(list_images(photos), PHOTOS))
    variants = [apply(image, turn, fuse=True) for image in images]
    for quality in (100, 95, 90, 75, 50):
        ratios = [psnr(compressed(image, "jpeg", quality), image) for image in variants]
        size = mean(len(encode(image, "jpeg", quality)) for image in variants)
        found = f"{mean(ratios):.1f} dB ({min(ratios):.1f} to {max(ratios):.1f})"
        print(f"JPEG {quality:>3}  {found}  {size / 1e3:.0f} kB")
    size = mean(len(encode(image, "png")) for image in variants)
    print(f"PNG       without loss  {size / 1e3:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--photos", type=Path)
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    chart = draw_chart()
    for picture in PICTURES:
        path = options.pictures / f"{picture.__name__}.webp"
        path.write_bytes(encode(draw(list(picture(chart))), "webp", lossless=True))
        print(f"{path}  {path.stat().st_size:,} bytes")
    if options.photos:
        print_encodings(options.photos)


if __name__ == "__main__":
    main()
