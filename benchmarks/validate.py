"""Measure ingest and validate, compared with plain reading, imagededup and cleanvision.

    python benchmarks/validate.py PHOTOS [--count N] [--side PIXELS] [--repeat R] [--peers]

PHOTOS is a folder of images. N images are made of them: each time another part of a photo, mirrored
half of the time, in other colours, so that no two are the same picture. Then PLANTED duplicates of
each kind are added: copies under other names, the same pixels as PNG, and JPEGs of quality 60. In
turn, each a process of its own, imports included:

    floor       read and decode every file with Pillow, one process for each processor
    variegate   the stages ingest and validate, with an empty private cache
    nothing     both once more, nothing having changed
    one in 100  both after one image in a hundred was replaced
    peers       imagededup's PHash and duplicates, then cleanvision's checks (with --peers)

One more round, not timed, finds the peak memory. The duplicates found are compared with those
planted.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from expand import list_images, times
from incremental import replace_some, run
from PIL import Image, ImageOps

PLANTED = 100
PARAMS = "ingest: {}\nvalidate: {}\naugment: {}\ntrain: {}\nevaluate: {}\n"


# --- images ---------------------------------------------------------------------------------------


class ImageTask(NamedTuple):
    """Image `number`, to be made of `photo` at `path`; `side` in pixels, None as the photo."""

    photo: str
    path: Path
    number: int
    side: int | None


def make_image(task: ImageTask) -> None:
    """An image: a part of the photo, mirrored or not, in other colours."""
    photo, path, number, side = task
    rng = np.random.default_rng(number)
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    width, height = (int(length * rng.uniform(0.6, 0.9)) for length in image.size)
    left, top = (
        int(rng.integers(0, whole - part))
        for whole, part in zip(image.size, (width, height), strict=True)
    )
    part = image.crop((left, top, left + width, top + height)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    if rng.random() < 0.5:
        part = ImageOps.mirror(part)
    pixels = np.asarray(part) * rng.uniform(0.5, 1.0, 3)
    part = Image.fromarray(pixels.astype(np.uint8))
    if side:
        part = part.resize((side, side))
    part.save(path, quality=90)


def make_images(photos: list[str], folder: Path, count: int, side: int | None) -> None:
    """`count` images in class folders below `folder`, and PLANTED duplicates of each kind."""
    made = []
    for number in range(count):
        path = folder / f"{number % 10}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        made.append(ImageTask(photos[number % len(photos)], path, number, side))
    with ProcessPoolExecutor() as pool:
        list(pool.map(make_image, made, chunksize=64))
    for number in range(PLANTED):
        copied, converted, encoded = (
            made[(number * 3 + kind) * count // (3 * PLANTED)].path for kind in range(3)
        )
        shutil.copy(copied, copied.with_name(f"copy{number:03d}.jpg"))
        with Image.open(converted) as image:
            image.save(converted.with_name(f"pixels{number:03d}.png"))
        with Image.open(encoded) as image:
            image.save(encoded.with_name(f"again{number:03d}.jpg"), quality=60)


# --- what is compared -----------------------------------------------------------------------------


def read_and_decode(names: list[str]) -> int:
    total = 0
    for name in names:
        with Image.open(name) as image:
            total += np.asarray(image).nbytes
    return total


def run_floor(folder: Path) -> None:
    names = list_images(folder)
    parts = [names[start : start + 64] for start in range(0, len(names), 64)]
    with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
        print(sum(pool.map(read_and_decode, parts)))


def run_peers(folder: Path) -> None:
    """imagededup asks for one folder; its duplicates go to found.json."""
    from cleanvision import Imagelab
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    codes = hasher.encode_images(
        image_dir=str(folder), recursive=True, num_enc_workers=os.cpu_count()
    )
    found = hasher.find_duplicates(
        encoding_map=codes, max_distance_threshold=6, num_dist_workers=os.cpu_count()
    )
    (folder.parent / "found.json").write_text(json.dumps(found))
    lab = Imagelab(data_path=str(folder))
    lab.find_issues(n_jobs=os.cpu_count(), verbose=False)


# --- what was found -------------------------------------------------------------------------------


def kind_of(name: str) -> str:
    return next(
        (kind for kind in ("copy", "pixels", "again") if Path(name).name.startswith(kind)), ""
    )


def print_found(work: Path) -> None:
    """Print how many planted duplicates each tool found, and how many other pairs."""
    with (work / "data/validated/duplicates.csv").open() as file:
        pairs = {(row["file_name"], row["other"]) for row in csv.DictReader(file)}
    print("variegate ", describe(pairs))
    path = work / "data/found.json"
    if path.is_file():
        pairs = set()
        for name, others in json.loads(path.read_text()).items():
            pairs |= {(name, other) for other in others}
        print("imagededup", describe(pairs))


def describe(pairs: set[tuple[str, str]]) -> str:
    planted = {name for name in chain.from_iterable(pairs) if kind_of(name)}
    others = {tuple(sorted(pair)) for pair in pairs if not any(map(kind_of, pair))}
    found = Counter(map(kind_of, planted))
    kinds = {kind: found[kind] for kind in ("copy", "pixels", "again")}
    return f"{kinds} of {PLANTED} each; pairs of others: {len(others)}"


# --- running --------------------------------------------------------------------------------------


def timed(name: str, work: Path, watched: bool) -> tuple[float, int]:
    """Seconds and peak bytes of a round."""
    if name in ("floor", "peers"):
        seconds, peak, _ = run(
            work, str(Path(__file__)), "--run", name, str(work / "data/raw"), watched=watched
        )
        return seconds, peak
    rounds = [
        run(work, "-m", f"tasks.{stage}", watched=watched) for stage in ("ingest", "validate")
    ]
    return sum(seconds for seconds, _, _ in rounds), max(peak for _, peak, _ in rounds)


def settle(folder: Path) -> None:
    """Set back the times of new files: facts of files that changed just now are not cached."""
    for path in folder.rglob("*"):
        if time.time() - path.stat().st_mtime < 10:
            os.utime(path, (time.time() - 60,) * 2)


def main() -> None:
    if sys.argv[1] == "--run":
        {"floor": run_floor, "peers": run_peers}[sys.argv[2]](Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--side", type=int, help="of the images made; default: as the photos")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    figures: dict[str, list[float]] = {}
    peaks: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        make_images(list_images(options.photos), work / "data/raw", options.count, options.side)
        (work / "params.yaml").write_text(PARAMS)
        settle(work / "data/raw")
        subprocess.run(["sync"], check=True)
        images = list_images(work / "data/raw")
        names = [
            "floor",
            "variegate",
            "nothing",
            "one in 100",
            *(["peers"] if options.peers else []),
        ]
        for number in range(options.repeat + 1):
            watched = number == options.repeat
            shutil.rmtree(work / ".variegate", ignore_errors=True)
            for name in names:
                if name == "one in 100":
                    replace_some(images, number)
                    settle(work / "data/raw")
                seconds, peaks[name] = timed(name, work, watched)
                if not watched:
                    figures.setdefault(name, []).append(seconds)
                if number == 0 and name in ("variegate", "peers"):
                    print_found(work)
                print(f"{name:<12} {seconds:8.2f} s  {peaks[name] / 1e6:8.0f} MB", flush=True)
    floor = statistics.median(figures["floor"])
    print(f"{len(images):,} images, {os.cpu_count()} processors, {options.repeat} runs in turn")
    for name, values in figures.items():
        middle = statistics.median(values)
        peak = f"peak {peaks[name] / 1e6:6.0f} MB"
        print(f"{name:<12} {times(values)}  floor/it {floor / middle:5.2f}  {peak}")


if __name__ == "__main__":
    main()
