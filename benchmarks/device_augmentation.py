"""Measure how many images a processor augments in a second: device augmentation and on the fly.

    python benchmarks/device_augmentation.py [--sizes 28,224] [--pixels 20000000] [--repeat 3]

Both have the policy of the head of this file and images of noise, smoothed, of each size.
`device` is what an epoch of the feed takes, in batches of 128, from a decoded array, in one thread;
`online` is one item of OnlineVariants after another, in one process: it decodes a PNG file,
augments it and measures it. `policy` is its augmentation alone. The contenders take turns; medians
are printed, images per second of processor time.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tasks.pixels.encode import encode
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED
from tasks.train.device_augmentation.batches import DeviceAugmentation
from tasks.train.device_augmentation.mixing import Mixing
from tasks.train.feed import Feed
from tasks.train.online import OnlineVariants
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source

POLICY = [
    "HorizontalFlip",
    {"Affine": {"scale": [0.9, 1.1], "rotate": [-12, 12], "translate_px": [-2, 2], "p": 1.0}},
    {"RandomBrightnessContrast": {"brightness_limit": 0.15, "contrast_limit": 0.15}},
    "CoarseDropout",
]
BATCH = 128


def images_of(count: int, size: int) -> np.ndarray:
    """Smoothed noise: uint8 (images, size, size, 3)."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse).float(), size, mode="bicubic")
    return smooth.clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def write_sources(images: np.ndarray, folder: Path) -> list[Source]:
    """The images as PNG files."""
    sources = []
    for number, pixels in enumerate(images):
        data = encode(np.ascontiguousarray(pixels), "png")
        path, digest = folder / f"{number}.png", sha256(data)
        path.write_bytes(data)
        place = str(path), None, len(data), digest[:16], digest
        size = pixels.shape[0]
        sources.append(Source(*place, "a", "PNG", size, size, 3, 8, 0))
    return sources


def timed(work: Callable[[], int]) -> float:
    """Images per second of processor time; `work` says how many it made."""
    started = time.process_time()
    count = work()
    return count / (time.process_time() - started)


def device_epoch(feed: Feed, epoch: int) -> int:
    return sum(len(images) for images, _ in feed.epoch(epoch, BATCH, seed=0))


def online_epoch(dataset: OnlineVariants, epoch: int) -> int:
    dataset.set_epoch(epoch)
    for number in range(len(dataset)):
        dataset[number]
    return len(dataset)


def augmented(recipes: Recipes, images: np.ndarray, epoch: int) -> int:
    policy = recipes.general.build_policy()
    for number, pixels in enumerate(images):
        policy.apply(pixels, number + epoch)
    return len(images)


def measure(size: int, pixels: int, repeat: int) -> None:
    """Print the rates for images of one size, `pixels` in all."""
    count = max(BATCH, pixels // size**2)
    params = AugmentParams(variants_per_image=0, policy=POLICY, distinct=False)
    recipes = Recipes.from_params(params, AS_DECODED, ["a"])
    images = images_of(count, size)
    array = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    with tempfile.TemporaryDirectory() as folder:
        sources = write_sources(images, Path(folder))
        labels = torch.zeros(count, dtype=torch.int64)
        hashes = [source.sha256 for source in sources]
        on_device = DeviceAugmentation(hashes, labels, ["a"], recipes, size, Mixing(None, None))
        feed = Feed(array, labels, augmentation=on_device)
        dataset = OnlineVariants(sources, recipes, repeat + 1)
        contenders: dict[str, Callable[[int], int]] = {
            "device": lambda epoch: device_epoch(feed, epoch),
            "online": lambda epoch: online_epoch(dataset, epoch),
            "policy": lambda epoch: augmented(recipes, images, epoch),
        }
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for epoch in range(1, repeat + 2):
            for name, work in contenders.items():
                rate = timed(lambda: work(epoch))  # noqa: B023
                if epoch > 1:  # the first warms up
                    rates[name].append(rate)
    found = ", ".join(f"{name} {statistics.median(own):,.0f}" for name, own in rates.items())
    print(f"{size:>4} px, {count:,} images: {found} a second", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="28,224")
    parser.add_argument("--pixels", type=int, default=20_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for size in map(int, arguments.sizes.split(",")):
        measure(size, arguments.pixels, arguments.repeat)


if __name__ == "__main__":
    main()
