"""Corruptions of images at five severities: noise, blur, light and compression.

Source: D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions
and Perturbations", ICLR 2019, without weather and without those that move pixels (glass, zoom,
elastic). Motion is a symmetric line, not the tail of a comet.

They are made, as there, of the image as the network takes it. The paper's code has two sets of
strengths: for ImageNet, 224 pixels, and for CIFAR-10, 32. Between these sizes strengths are
interpolated by the logarithm of the size; outside, lengths in pixels stay the same share of a side.
So digits of 8 x 8 pixels are not erased at once.
"""

import io
import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from tasks.pixels.hashing import sha256

SMALL, LARGE = 32, 224  # pixels a side
SEVERITIES = 5
SUPERSAMPLING = 16  # of a kernel that is smaller than a pixel


class Corruption(NamedTuple):
    """What is done to an image, how strongly at each severity, and which steps of a policy do it.

    `make`: from float32 (size, size, 3) in 0..1, a strength and a generator to the same. `length`:
    whether strengths are pixels.
    """

    make: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
    at_32: tuple[float, ...]
    at_224: tuple[float, ...]
    alike: tuple[str, ...]
    length: bool = False

    def strength(self, severity: int, size: int) -> float:
        """That of a severity, from 1, for images of `size` pixels a side."""
        small, large = self.at_32[severity - 1], self.at_224[severity - 1]
        share = math.log(min(max(size, SMALL), LARGE) / SMALL) / math.log(LARGE / SMALL)
        between = small ** (1 - share) * large**share
        outside = size / min(max(size, SMALL), LARGE) if self.length else 1.0
        return between * outside


def corrupt(images: np.ndarray, name: str, severity: int) -> np.ndarray:
    """Images (n, 3, size, size), uint8, with the corruption `name`; each one's pixels seed its own.

    So what becomes of an image depends neither on the others nor on their order.
    """
    corruption = CORRUPTIONS[name]
    strength = corruption.strength(severity, images.shape[-1])
    made = np.empty_like(images)
    for number, image in enumerate(images):
        seed = int(sha256(f"{name} {severity} ".encode() + image.tobytes())[:16], 16)
        pixels = np.ascontiguousarray(image.transpose(1, 2, 0), np.float32) / 255
        new = corruption.make(pixels, strength, np.random.default_rng(seed))
        made[number] = np.rint(np.clip(new, 0, 1) * 255).astype(np.uint8).transpose(2, 0, 1)
    return made


def _gaussian_noise(
    pixels: np.ndarray, deviation: float, generator: np.random.Generator
) -> np.ndarray:
    return pixels + deviation * generator.standard_normal(pixels.shape, np.float32)


def _shot_noise(pixels: np.ndarray, photons: float, generator: np.random.Generator) -> np.ndarray:
    return generator.poisson(pixels * photons) / photons


def _impulse_noise(pixels: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    drawn = generator.random(pixels.shape, np.float32)
    return np.where(drawn < share, np.where(drawn < share / 2, 0.0, 1.0), pixels)


def _defocus_blur(pixels: np.ndarray, radius: float, _: np.random.Generator) -> np.ndarray:
    reach = math.ceil(radius) + 1
    places = _fine_places(reach)
    disk = places[:, None] ** 2 + places[None, :] ** 2 <= radius**2
    return _filtered(pixels, _coarse(disk.astype(float)))


def _motion_blur(
    pixels: np.ndarray, deviation: float, generator: np.random.Generator
) -> np.ndarray:
    angle = generator.uniform(-math.pi / 4, math.pi / 4)
    places = _fine_places(math.ceil(3 * deviation) + 1)
    along = places[None, :] * math.cos(angle) + places[:, None] * math.sin(angle)
    across = places[None, :] * math.sin(angle) - places[:, None] * math.cos(angle)
    line = np.exp(-((along / deviation) ** 2) / 2) * (np.abs(across) <= 0.5 / SUPERSAMPLING)
    return _filtered(pixels, _coarse(line))


def _fine_places(reach: int) -> np.ndarray:
    """The places of a kernel's samples, in pixels from its middle."""
    count = (2 * reach + 1) * SUPERSAMPLING
    return (np.arange(count) + 0.5) / SUPERSAMPLING - reach - 0.5


def _coarse(kernel: np.ndarray) -> np.ndarray:
    """A kernel of pixels, adding up to 1, of one of samples, each shared by the pixels around it.

    Were it given to the pixel that it lies in, kernels narrower than a pixel would do nothing.
    """
    reach = len(kernel) // SUPERSAMPLING // 2
    pixels = np.arange(-reach, reach + 1)[:, None]
    shares = np.maximum(0, 1 - np.abs(pixels - _fine_places(reach)[None, :]))
    made = shares @ kernel @ shares.T
    return made / made.sum()


def _filtered(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    padded = (min(len(kernel) // 2, pixels.shape[0] - 1),) * 2
    wide = np.pad(pixels, (padded, padded, (0, 0)), mode="reflect")
    inner = slice(padded[0], padded[0] + pixels.shape[0])
    return cv2.filter2D(wide, -1, kernel, borderType=cv2.BORDER_REPLICATE)[inner, inner]


def _brightness(pixels: np.ndarray, added: float, _: np.random.Generator) -> np.ndarray:
    """Add to V of HSV, the largest of the three channels, and scale the others with it."""
    value = pixels.max(axis=2, keepdims=True)
    wanted = np.clip(value + added, 0, 1)
    return np.where(value > 0, pixels * wanted / np.maximum(value, 1e-6), wanted)


def _contrast(pixels: np.ndarray, kept: float, _: np.random.Generator) -> np.ndarray:
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return (pixels - mean) * kept + mean


def _jpeg(pixels: np.ndarray, quality: float, _: np.random.Generator) -> np.ndarray:
    encoded = io.BytesIO()
    _picture(pixels).save(encoded, "JPEG", quality=round(quality))
    return np.asarray(Image.open(encoded), np.float32) / 255


def _pixelate(pixels: np.ndarray, kept: float, _: np.random.Generator) -> np.ndarray:
    size = pixels.shape[0]
    side = max(1, int(size * kept))
    small = _picture(pixels).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize((size, size), Image.Resampling.BOX), np.float32) / 255


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))


CORRUPTIONS = {
    "gaussian_noise": Corruption(
        _gaussian_noise,
        (0.04, 0.06, 0.08, 0.09, 0.10),
        (0.08, 0.12, 0.18, 0.26, 0.38),
        ("GaussNoise", "AdditiveNoise", "ISONoise", "MultiplicativeNoise"),
    ),
    "shot_noise": Corruption(
        _shot_noise, (500, 250, 100, 75, 50), (60, 25, 12, 5, 3), ("ShotNoise", "ISONoise")
    ),
    "impulse_noise": Corruption(
        _impulse_noise,
        (0.01, 0.02, 0.03, 0.05, 0.07),
        (0.03, 0.06, 0.09, 0.17, 0.27),
        ("SaltAndPepper", "PixelDropout"),
    ),
    "defocus_blur": Corruption(
        _defocus_blur,
        (0.8, 1.0, 1.2, 1.35, 1.5),  # discs as wide as the paper's, with their smoothing
        (3, 4, 6, 8, 10),
        ("Defocus", "Blur", "GaussianBlur", "MedianBlur", "AdvancedBlur", "GlassBlur", "ZoomBlur"),
        length=True,
    ),
    "motion_blur": Corruption(
        _motion_blur, (1, 1.5, 2, 2.25, 2.5), (3, 5, 8, 12, 15), ("MotionBlur",), length=True
    ),
    "brightness": Corruption(
        _brightness,
        (0.05, 0.1, 0.15, 0.2, 0.3),
        (0.1, 0.2, 0.3, 0.4, 0.5),
        ("RandomBrightnessContrast", "ColorJitter", "RandomGamma", "RandomToneCurve", "Brightness"),
    ),
    "contrast": Corruption(
        _contrast,
        (0.75, 0.5, 0.4, 0.3, 0.15),
        (0.4, 0.3, 0.2, 0.1, 0.05),
        ("RandomBrightnessContrast", "ColorJitter", "CLAHE", "AutoContrast", "Contrast"),
    ),
    "jpeg_compression": Corruption(
        _jpeg, (80, 65, 58, 50, 40), (25, 18, 15, 10, 7), ("ImageCompression",)
    ),
    "pixelate": Corruption(
        _pixelate, (0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25), ("Downscale",)
    ),
}
