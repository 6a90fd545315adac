"""Measure DVC's commands on variants in segments, compared with the same images as loose files.

    python benchmarks/storage.py PHOTOS [--files N] [--repeat R]

PHOTOS is a folder of class folders of images, all .jpg or all .png. The augment stage makes N
variants: five of each image, of as many images as that takes, or more where these are too few. DVC
keeps them in two layouts, with the cache links of this project:

    segments   data/augmented as the stage writes it: tars, ledger, counts.csv
    loose      its variants alone, as CLASS/VARIANT_ID.EXT

Each run is a process of its own, imports included; the layouts take turns, and medians and ratios
are printed:

    start-up   `dvc status` in an empty repository: what every command takes
    add        into an empty cache, with nothing known of the files
    checkout   the workspace's copy deleted, the cache kept
    status     right after that, nothing changed
    again      the same once more, as users run it most of the time
    anew       the same, without DVC's own cache of the files' hashes: all files are read again

What was written is flushed to disk before the time is taken, and still in the page cache: reading
is not limited by the disk.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import dvc
from expand import augment_params, list_images, prepare_variegate, times

import flows  # noqa: F401  # quietens telemetry and puts this environment on the PATH
from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.dataset.paths import AUGMENTED

CONFIG = Path(__file__).parent.parent / ".dvc/config"
VARIANTS = 5
COMMANDS = ("add", "checkout", "status", "again", "anew")


def make_variants(photos: Path, count: int, work: Path) -> Path:
    """What the augment stage writes for `count` variants, of photos spread over all classes."""
    names = list_images(photos)
    variants = max(VARIANTS, -(-count // len(names)))
    needed = -(-count // variants)
    for index in range(needed):
        path = Path(names[index * len(names) // needed])
        target = work / "photos" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    project = work / "project"
    project.mkdir()
    prepare_variegate(work / "photos", project, augment_params(variants))
    subprocess.run(
        [sys.executable, "-m", "tasks.augment"], cwd=project, check=True, stdout=subprocess.DEVNULL
    )
    return project / AUGMENTED


def write_loose(augmented: Path, folder: Path) -> None:
    """Every variant of the segments as a file, in a folder for each class."""
    rows = tables.read_table(augmented / "manifest.parquet", LEDGER_COLUMNS, made_by="augment")
    labels = dict(zip(rows["variant_id"], rows["label"], strict=True))
    for segment in (augmented / "segments").iterdir():
        with tarfile.open(segment) as tar:
            for member in tar:
                target = folder / labels[Path(member.name).stem] / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())


def new_repository(repository: Path) -> dict[str, str]:
    """An empty DVC repository; returns the environment in which it knows nothing of others."""
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir()
    private = {
        name: str(repository / ".private")
        for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR")
    }
    environment = {**os.environ, **private}
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=repository, env=environment, check=True)
    shutil.copy(CONFIG, repository / ".dvc/config")
    return environment


def timed(repository: Path, environment: dict[str, str], *command: str) -> float:
    """Seconds of one whole DVC command."""
    os.sync()  # or it would wait for what was written before
    started = time.perf_counter()
    done = subprocess.run(
        ["dvc", *command],
        cwd=repository,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    assert command != ("status",) or "up to date" in done.stdout or "no data" in done.stdout, (
        done.stdout
    )
    return seconds


def measure(layout: Path, repository: Path) -> dict[str, float]:
    """Seconds of each of COMMANDS on a fresh copy of `layout` in a repository at `repository`."""
    environment = new_repository(repository)
    shutil.copytree(layout, repository / "data")
    seconds = {"add": timed(repository, environment, "add", "data")}
    shutil.rmtree(repository / "data")
    seconds["checkout"] = timed(repository, environment, "checkout")
    seconds["status"] = timed(repository, environment, "status")
    seconds["again"] = timed(repository, environment, "status")
    shutil.rmtree(repository / ".private")
    seconds["anew"] = timed(repository, environment, "status")
    assert len(list((repository / "data").rglob("*"))) == len(list(layout.rglob("*")))
    return seconds


def describe(layout: Path) -> str:
    """How many files, of how many bytes."""
    sizes = [path.stat().st_size for path in layout.rglob("*") if path.is_file()]
    return f"{len(sizes):,} files, {sum(sizes) / 1e6:,.0f} MB"


def hardware() -> str:
    """Processors, memory and DVC's version."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors ({model}), {memory:.0f} GiB, DVC {dvc.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        layouts = {
            "segments": make_variants(options.photos, options.files, folder),
            "loose": folder / "loose",
        }
        write_loose(layouts["segments"], layouts["loose"])
        for name, layout in layouts.items():
            print(f"{name:<8} {describe(layout)}")
        startup: list[float] = []
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in layouts}
        for _ in range(options.repeat):
            startup.append(timed(folder / "empty", new_repository(folder / "empty"), "status"))
            for name, layout in layouts.items():
                runs[name].append(measure(layout, folder / "repository"))
    print(f"{hardware()}, {options.repeat} runs in turn\nstart-up {times(startup)}")
    for command in COMMANDS:
        ours, loose = ([run[command] for run in runs[name]] for name in layouts)
        ratio = statistics.median(loose) / statistics.median(ours)
        print(f"{command:<8} segments {times(ours)}   loose {times(loose)}   {ratio:6.1f}x")


if __name__ == "__main__":
    main()
