"""Measure a Dask cluster: against the local pool, across hosts, and the client's memory at scale.

    python benchmarks/cluster.py PHOTOS [--variants V] [--limit N] [--workers W] [--repeat R]
    python benchmarks/cluster.py PHOTOS --hosts [...]
    python benchmarks/cluster.py --million [--sources N] [--made M]

PHOTOS is a folder of class folders of images, as for expand.py. The augment stage makes V variants
of each with an empty private cache, each time in a process of its own, imports included; the
contenders take turns, and after a first round that is not counted, medians and ratios are printed:

    local       the worker processes of this machine, W of them
    cluster     as many Dask workers of one thread each, which run already, as those of a cluster do

`--hosts`: the workers are on two network namespaces, hosts of their own but for the disk and the
processors (needs root). What crosses their cables is all that workers, client and scheduler say to
each other. All contenders have to write the same bytes.

`--million`: a data set of N small images whose manifest is written, not computed, and M variants of
them, on W workers; then a tenth of M. The peak memory of the client and of the scheduler.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
from expand import augment_params, prepare_variegate, subset, times
from sklearn.datasets import load_digits

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # for the clusters and hosts of the tests

from tasks.common import tables  # noqa: E402
from tasks.dataset.columns import VALIDATED_COLUMNS  # noqa: E402
from tasks.dataset.manifests import preprocessing_metadata  # noqa: E402
from tasks.dataset.paths import AUGMENTED, VALIDATED_MANIFEST  # noqa: E402
from tasks.pixels.preprocess import AS_DECODED  # noqa: E402
from tests.dask_clusters import DaskCluster  # noqa: E402
from tests.hosts import Host, hosts  # noqa: E402

SECONDS_BETWEEN_SAMPLES = 0.05
SIDE = 28  # pixels, of the small images
ROWS_AT_ONCE = 50_000
CONTAINER = "train-images-idx3-ubyte"


class Figures(NamedTuple):
    """What one run took.

    `seconds`: of the whole process. `peak_bytes`: the most memory of the client, and of the
    scheduler. `read_bytes`: what the client has read from files. `network_bytes`: what has crossed
    the cables of the hosts.
    """

    seconds: float
    peak_bytes: int
    scheduler_peak_bytes: int
    read_bytes: int
    network_bytes: int


# --- clusters -------------------------------------------------------------------------------------


@contextmanager
def cluster_for(work: Path, workers: int, machines: list[Host]) -> Iterator[DaskCluster]:
    """A scheduler here, and workers on this machine, or dealt to hosts where there are some."""
    listen = machines[0].gateway if machines else "127.0.0.1"
    cluster = DaskCluster(Path(tempfile.mkdtemp(dir=work.parent)), listen=listen)
    try:
        for number in range(workers):
            host = machines[number % len(machines)] if machines else None
            cluster.add_worker(host=host, cwd=work)
        cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.stop()


def crossed(machines: list[Host]) -> int:
    """The bytes that have crossed the hosts' cables, in both directions."""
    files = [
        Path(f"/sys/class/net/{machine.cable}/statistics/{way}_bytes")
        for machine in machines
        for way in ("rx", "tx")
    ]
    return sum(int(file.read_text()) for file in files)


# --- one run --------------------------------------------------------------------------------------


def run(
    work: Path, workers: int, cluster: DaskCluster | None, machines: list[Host], stage: str
) -> Figures:
    """Run a stage in `work`, on the cluster or on this machine's processes."""
    environment = {**os.environ, "VARIEGATE_WORKERS": str(workers)}
    environment |= cluster.environment if cluster else {}
    before, started = crossed(machines), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"tasks.{stage}"],
        cwd=work,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    client_peak, read = watch(process)
    seconds = time.perf_counter() - started
    assert process.returncode == 0, f"{stage} exited with {process.returncode}"
    peak = peak_bytes(cluster.scheduler.pid) if cluster else 0
    return Figures(seconds, client_peak, peak, read, crossed(machines) - before)


def watch(process: subprocess.Popen) -> tuple[int, int]:
    """Wait for the end of a process: its peak of memory, and what it has read from files.

    Sampled, for the peak that the system tells of an ended process may be that of its parent.
    """
    peak = read = 0
    while process.poll() is None:
        with suppress(psutil.Error, OSError, StopIteration):  # it may just have ended
            peak = peak_bytes(process.pid)
            read = psutil.Process(process.pid).io_counters().read_chars
        time.sleep(SECONDS_BETWEEN_SAMPLES)
    return peak, read


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget(work: Path) -> None:
    """Delete what the augment stage has made, its cache too."""
    for folder in (AUGMENTED, Path(".variegate")):
        shutil.rmtree(work / folder, ignore_errors=True)


def hash_of(folder: Path) -> str:
    """The SHA-256 of the names and the bytes of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# --- photos ---------------------------------------------------------------------------------------


def compare(options: argparse.Namespace, folder: Path, machines: list[Host]) -> None:
    """Print how long the augment stage takes on the local pool and on a cluster."""
    work = folder / "project"
    work.mkdir()
    photos = subset(options.photos, options.limit, folder)
    prepare_variegate(photos, work, augment_params(options.variants))
    found: dict[str, list[Figures]] = {"local": [], "cluster": []}
    hashes = set()
    with cluster_for(work, options.workers, machines) as cluster:
        for _ in range(options.repeat + 1):
            for name, figures in found.items():
                forget(work)
                used = cluster if name == "cluster" else None
                figures.append(run(work, options.workers, used, machines, "augment"))
                hashes.add(hash_of(work / AUGMENTED))
    assert len(hashes) == 1, "the local pool and the cluster wrote different bytes"
    written = size_of(work / AUGMENTED / "segments")
    print(f"{written / 1e6:,.0f} MB of segments, the same bytes each time")
    for name, figures in found.items():
        print_figures(name, figures[1:])
    local, other = (statistics.median(one.seconds for one in found[name][1:]) for name in found)
    print(f"cluster / local {other / local:.3f}")


def print_figures(name: str, figures: list[Figures]) -> None:
    """Seconds, and the medians of what else was measured."""
    medians = Figures(*(statistics.median(column) for column in zip(*figures, strict=True)))
    line = f"{name:8} {times([one.seconds for one in figures])}"
    line += f"; client: peak {medians.peak_bytes / 2**20:,.0f} MiB, "
    line += f"read {medians.read_bytes / 1e6:,.1f} MB"
    if medians.scheduler_peak_bytes:
        line += f"; scheduler: peak {medians.scheduler_peak_bytes / 2**20:,.0f} MiB"
    if medians.network_bytes:
        line += f"; over the cables {medians.network_bytes / 1e6:,.1f} MB"
    print(line, flush=True)


# --- a million ------------------------------------------------------------------------------------


def million(options: argparse.Namespace, folder: Path) -> None:
    """Print the memory of client and scheduler, for all variants and for a tenth of them."""
    work = folder / "project"
    write_small_images(work, options.sources)
    for made in (options.made, options.made // 10):
        forget(work)
        total = {"total": options.sources + made, "policy": augment_params(1)["policy"]}
        (work / "params.yaml").write_text(json.dumps({"augment": total}))
        with cluster_for(work, options.workers, []) as cluster:
            figures = run(work, options.workers, cluster, [], "augment")
        print_figures(f"{options.sources:,} sources, {made:,} variants made", [figures])


def write_small_images(work: Path, count: int) -> None:
    """A project of `count` small images in one idx file, and its validated manifest."""
    raw = work / "data/raw" / CONTAINER
    raw.parent.mkdir(parents=True)
    (work / VALIDATED_MANIFEST).parent.mkdir(parents=True)
    head = f"P5\n{SIDE} {SIDE}\n255\n".encode()
    sizes = np.array([count, SIDE, SIDE], ">i4").tobytes()
    header = b"\0\0\x08\x03" + sizes
    schema = VALIDATED_COLUMNS.with_metadata(preprocessing_metadata(AS_DECODED))
    with (
        raw.open("wb") as file,
        tables.ParquetWriter(work / VALIDATED_MANIFEST, schema) as manifest,
    ):
        file.write(header)
        for start in range(0, count, ROWS_AT_ONCE):
            images, labels = small_images(start, min(start + ROWS_AT_ONCE, count))
            file.write(images.tobytes())
            rows = rows_of(images, labels, start, len(header), head)
            manifest.write(pa.Table.from_pandas(rows, schema, preserve_index=False))


def small_images(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits with noise, uint8 (N, SIDE, SIDE), no two of them equal, and their classes."""
    digits = load_digits()
    numbers = np.arange(start, stop)
    chosen = digits.images[numbers % len(digits.images)] * 15
    enlarged = np.kron(chosen, np.ones((1, 3, 3)))
    margin = (SIDE - enlarged.shape[1]) // 2
    images = np.pad(enlarged, ((0, 0), (margin, margin), (margin, margin)))
    noise = np.random.default_rng(start).integers(0, 16, images.shape)
    return (images + noise).astype(np.uint8), digits.target[numbers % len(digits.images)]


def rows_of(
    images: np.ndarray, labels: np.ndarray, first: int, start: int, head: bytes
) -> pd.DataFrame:
    """Rows of the validated manifest, as the validate stage writes them, all for training."""
    data = [image.tobytes() for image in images]
    sha256 = [hashlib.sha256(head + one).hexdigest() for one in data]
    numbers = np.arange(first, first + len(images))
    pixels = images.reshape(len(images), -1)
    return pd.DataFrame(
        {
            "source_id": [one[:16] for one in sha256],
            "sha256": sha256,
            "pixel_sha256": sha256,
            "pixel_xxh3": [one[16:32] for one in sha256],
            "file_name": [f"{CONTAINER}::{number:07}" for number in numbers],
            "label": labels.astype(str),
            "split": "train",
            "group_id": None,
            "cluster": None,
            "container": CONTAINER,
            "offset": start + numbers * SIDE * SIDE,
            "bytes": len(head) + SIDE * SIDE,
            "format": "PPM",
            "width": SIDE,
            "height": SIDE,
            "channels": 1,
            "grey": True,
            "bits": 8,
            "lowest": pixels.min(1),
            "highest": pixels.max(1),
            "brightness": pixels.mean(1),
            "contrast": pixels.std(1),
            "sharpness": 1.0,
            "status": "ok",
            "reason": None,
            "detail": None,
            "duplicate_of": None,
        }
    )


# --- main -----------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--variants", type=int, default=5)
    parser.add_argument("--limit", type=int, help="photos of each class")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--hosts", action="store_true")
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--sources", type=int, default=1_000_000)
    parser.add_argument("--made", type=int, default=200_000)
    options = parser.parse_args()
    if not options.million and options.photos is None:
        parser.error("needs PHOTOS or --million")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if options.million:
            million(options, Path(folder))
        else:
            machines = stack.enter_context(hosts(2)) if options.hosts else []
            compare(options, Path(folder), machines)


if __name__ == "__main__":
    main()
