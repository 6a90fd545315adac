"""Compare feeding a training with the loaders that people use: images a second, nothing trained.

    python benchmarks/load.py PHOTOS [--images N] [--repeat R]

PHOTOS is a folder of class folders. N of its images are stored at each size, 28, 64 and 224 pixels
a side, in the form that each loader takes. So none of them has to resize, which favours those that
decode. Each gives shuffled batches, uint8 (128, 3, size, size), and their labels:

    feed          this project's: one array, decoded once, gathered by index
    feed on disk  the same where the array is larger than a quarter of the memory
    memmap        memory-mapped tensors of tensordict, if installed, gathered by index
    ImageFolder   torchvision, JPEG files (PNG at 28 pixels), a DataLoader worker for each CPU
    WebDataset    the same files in tar shards, shuffled among 1,000, as many workers

Epochs of the loaders take turns; workers stay alive between them, and the first epoch of each,
which starts them, does not count. Medians of R epochs, and how many times as many images a second
`feed` gives.
"""

import argparse
import importlib.util
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import webdataset as wds
from expand import list_images
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2.functional import pil_to_tensor

from tasks.model.images import as_input
from tasks.pixels.decode import decode
from tasks.train.feed import Feed

SIZES = (28, 64, 224)
BATCH = 128
SHARD = 1000  # images
WORKERS = len(os.sched_getaffinity(0))
Epochs = Iterator[tuple[Tensor, Tensor]]


class Stored:
    """The same images of one size, in the form that each loader takes."""

    def __init__(self, photos: list[str], size: int, folder: Path) -> None:
        self.size = size
        self.files, self.shards = folder / "files", folder / "shards"
        self.array = np.lib.format.open_memmap(
            folder / "images.npy", "w+", np.uint8, (len(photos), 3, size, size)
        )
        names = sorted({Path(name).parent.name for name in photos})
        self.labels = torch.tensor([names.index(Path(name).parent.name) for name in photos])
        ending = "png" if size == 28 else "jpg"
        self.shards.mkdir(parents=True)
        with wds.ShardWriter(f"{self.shards}/%06d.tar", maxcount=SHARD, verbose=0) as shards:
            for number, name in enumerate(photos):
                self.array[number] = as_input(decode(Path(name).read_bytes()).pixels, size)
                data = encoded(self.array[number], ending)
                path = self.files / Path(name).parent.name / f"{number:07d}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                sample = {"__key__": path.stem, ending: data, "cls": int(self.labels[number])}
                shards.write(sample)


def encoded(pixels: np.ndarray, ending: str) -> bytes:
    """An image file; JPEG of quality 95."""
    file = io.BytesIO()
    kind = "PNG" if ending == "png" else "JPEG"
    Image.fromarray(pixels.transpose(1, 2, 0)).save(file, kind, quality=95)
    return file.getvalue()


# --- the loaders: each gives a function from the number of an epoch to its batches ----------------


def feed(stored: Stored) -> Callable[[int], Epochs]:
    ours = Feed(np.array(stored.array), stored.labels)
    return lambda epoch: ours.epoch(epoch, BATCH, seed=0)


def feed_on_disk(stored: Stored) -> Callable[[int], Epochs]:
    ours = Feed(stored.array, stored.labels)
    return lambda epoch: ours.epoch(epoch, BATCH, seed=0)


def memmap(stored: Stored) -> Callable[[int], Epochs]:
    from tensordict import TensorDict

    content = {"images": torch.from_numpy(stored.array), "labels": stored.labels}
    table = TensorDict(content, batch_size=[len(stored.labels)])
    table = table.memmap(stored.files.parent / "memmap")

    def batches(epoch: int) -> Epochs:
        for places in torch.randperm(len(table)).split(BATCH):
            batch = table[places]
            yield batch["images"], batch["labels"]

    return batches


def image_folder(stored: Stored) -> Callable[[int], Epochs]:
    images = ImageFolder(str(stored.files), transform=pil_to_tensor)
    loader = DataLoader(
        images, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=WORKERS > 0
    )
    return lambda epoch: iter(loader)


def web_dataset(stored: Stored) -> Callable[[int], Epochs]:
    ending = "png" if stored.size == 28 else "jpg"
    shards = sorted(map(str, stored.shards.glob("*.tar")))
    images = wds.WebDataset(shards, shardshuffle=len(shards), empty_check=False)
    images = images.shuffle(1000).decode("pil").to_tuple(ending, "cls")
    images = images.map_tuple(pil_to_tensor, int).batched(BATCH)
    loader = wds.WebLoader(
        images, batch_size=None, num_workers=WORKERS, persistent_workers=WORKERS > 0
    )
    return lambda epoch: iter(loader)


LOADERS = {
    "feed": feed,
    "feed on disk": feed_on_disk,
    "memmap": memmap,
    "ImageFolder": image_folder,
    "WebDataset": web_dataset,
}


# --- measuring ------------------------------------------------------------------------------------


def rate(batches: Epochs, images: int) -> float:
    """Images a second of one epoch.

    Raises:
        RuntimeError: where it gave another number of images, or of another form.
    """
    began, seen = time.perf_counter(), 0
    for pixels, labels in batches:
        if pixels.dtype != torch.uint8 or len(pixels) != len(labels):
            raise RuntimeError("batches need to be uint8 images and their labels")
        seen += len(pixels)
    if not images - 1 <= seen <= images:  # this project leaves out a last batch of one
        raise RuntimeError(f"needs {images} images, found {seen}")
    return seen / (time.perf_counter() - began)


def measure(stored: Stored, repeat: int) -> dict[str, float]:
    """The median images a second of each loader; epochs take turns."""
    known = [name for name in LOADERS if name != "memmap" or importlib.util.find_spec("tensordict")]
    loaders = {name: LOADERS[name](stored) for name in known}
    rates: dict[str, list[float]] = {name: [] for name in loaders}
    for epoch in range(repeat + 1):
        for name, batches in loaders.items():
            rates[name].append(rate(batches(epoch + 1), len(stored.labels)))
    return {name: statistics.median(own[1:]) for name, own in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    names = list_images(options.photos)
    chosen = [names[place * len(names) // options.images] for place in range(options.images)]
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            rates = measure(Stored(chosen, size, Path(folder)), options.repeat)
        for name, images in rates.items():
            times = f"{rates['feed'] / images:8.1f}" if name != "feed" else ""
            print(f"{size:4} px  {name:14}{images:12,.0f} images a second{times}", flush=True)


if __name__ == "__main__":
    main()
