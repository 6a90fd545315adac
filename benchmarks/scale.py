"""What a dataset costs as it grows: measured at some sizes, and predicted for larger ones.

    python benchmarks/scale.py [--sizes 10000 30000 100000 1000000] [--keep RESULTS.json]

For each size a project is made, with that many small images in tar shards of 10,000, and run as a
user runs it: `dvc add data/raw`, each stage by `dvc repro --single-item`, `dvc push` to a folder.
The images are 28 x 28 pixels, coloured noise of low frequencies, so that no two are alike; there is
one variant of each training image, and one epoch of training. Of each step is measured:

    seconds      from its start to its end
    processor    seconds of all its processes
    client       those of the stage's own process, which more workers do not shorten
    memory       of its largest process, in MB
    files, MB    that it left in the workspace's data, models and reports, or in the remote

The model of each quantity is a + b x images, fitted by least squares of relative errors to the
sizes up to 100,000. The time of evaluate has a third term: it compares its worst mistakes with all
training images, but with no more than 50,000. What the model says of a larger size is printed
beside what was measured there. Sizes in RESULTS.json are not measured again.
"""

import argparse
import ctypes
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import psutil
from ruamel.yaml import YAML
from storage import hardware

import flows  # noqa: F401  # quietens telemetry and puts this environment on the PATH
from tasks.common.events import track

ROOT = Path(__file__).parent.parent
SIDE = 28
CLASSES = 10
IMAGES_IN_SHARD = 10_000
STAGES = ("ingest", "validate", "augment", "train", "evaluate")
PR_SET_CHILD_SUBREAPER = 36  # of Linux: descendants whose parent has ended become ours
STEPS = ("dvc add", *STAGES, "dvc push")
QUANTITIES = ("seconds", "processor", "client", "memory", "files", "megabytes")
TIMES = ("seconds", "processor", "client")
SECONDS_BETWEEN_LOOKS = 0.1
OUTPUTS = ("data/ingested", "data/validated", "data/augmented", "models", "reports")
LARGEST_FITTED = 100_000  # images: larger sizes are predicted
TRAINING_SHARE = 0.7  # of the images, by params.yaml
PARAMS = {
    "augment": {"variants_per_image": 1},
    "train": {"epochs": 1, "image_size": SIDE},
    "evaluate": {"robustness_images": 0},
}


class Cost(NamedTuple):
    """What one step took, see the module."""

    seconds: float
    processor: float
    client: float
    memory: float
    files: int
    megabytes: float


# --- a dataset ------------------------------------------------------------------------------------


def picture(number: int) -> bytes:
    """The PNG file of an image: 7 x 7 random colours, enlarged."""
    levels = np.random.default_rng(number).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    pixels = cv2.resize(levels, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".png", pixels)[1].tobytes()


def write_shards(raw: Path, images: int) -> None:
    """`images` pictures as WebDataset shards, each beside its class."""
    raw.mkdir(parents=True)
    for first in track(
        range(0, images, IMAGES_IN_SHARD), -(-images // IMAGES_IN_SHARD), "writing", "shard"
    ):
        with tarfile.open(raw / f"shard-{first // IMAGES_IN_SHARD:05}.tar", "w") as tar:
            for number in range(first, min(first + IMAGES_IN_SHARD, images)):
                add(tar, f"{number:09}.png", picture(number))
                add(tar, f"{number:09}.cls", str(number % CLASSES).encode())


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def make_project(project: Path, images: int) -> None:
    """A repository with this project's pipeline, that dataset, and a remote beside it."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, tracked.stdout.decode().split("\0")):
        if name.startswith(("tasks/", "flows/", "requirements/", ".dvc")) or "/" not in name:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project / name)
    (project / "dvc.lock").unlink(missing_ok=True)
    yaml = YAML()
    blocks = yaml.load(project / "params.yaml")
    for block, values in PARAMS.items():
        blocks[block].update(values)
    yaml.dump(blocks, project / "params.yaml")
    write_shards(project / "data/raw", images)
    for command in ("git init -q", f"dvc remote add -q -d store {project.parent / 'store'}"):
        subprocess.run(command.split(), cwd=project, check=True)


# --- what a step costs ----------------------------------------------------------------------------


def command_of(step: str) -> list[str]:
    if step in STAGES:
        return ["dvc", "repro", "-q", "--single-item", step]
    return {"dvc add": ["dvc", "add", "-q", "data/raw"], "dvc push": ["dvc", "push", "-q"]}[step]


def measure(project: Path, step: str) -> Cost:
    """Run one step, as a process of its own with all that it starts."""
    os.sync()  # or it would wait for what was written before
    folders = [project.parent / "store"] if step == "dvc push" else [project / o for o in OUTPUTS]
    before, used = contents(folders), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(project)}
    started = time.perf_counter()
    silent = subprocess.DEVNULL
    process = subprocess.Popen(command_of(step), cwd=project, env=environment, stdout=silent)
    client = ClientTime(process.pid, step)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    client.ended.set()
    with suppress(ChildProcessError):
        while True:  # the process from which workers are forked ends after the stage
            os.wait()
    total = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = total.ru_utime - used.ru_utime + total.ru_stime - used.ru_stime
    if status:
        sys.exit(f"{step} failed")
    after = contents(folders)
    return Cost(
        round(seconds, 2),
        round(processor, 2),
        round(client.seconds if step in STAGES else processor, 2),
        round(usage.ru_maxrss / 1024, 1),
        after[0] - before[0],
        round((after[1] - before[1]) / 1e6, 2),
    )


class ClientTime(threading.Thread):
    """Looks at the processor time of a stage's own process until `ended` is set."""

    def __init__(self, dvc: int, stage: str) -> None:
        super().__init__(daemon=True)
        self.dvc, self.module, self.seconds = dvc, f"tasks.{stage}", 0.0
        self.ended = threading.Event()
        self.start()

    def run(self) -> None:
        """Until DVC ends; processes come and go meanwhile."""
        while not self.ended.wait(SECONDS_BETWEEN_LOOKS):
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(self.dvc).children(recursive=True):
                    self.look_at(process)

    def look_at(self, process: psutil.Process) -> None:
        """Take its time if it is the stage itself: workers have another command line."""
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if process.cmdline()[1:] == ["-m", self.module]:
                times = process.cpu_times()
                self.seconds = max(self.seconds, times.user + times.system)


def contents(folders: list[Path]) -> tuple[int, int]:
    """How many files lie in folders, and how many bytes they have."""
    sizes = [
        path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file()
    ]
    return len(sizes), sum(sizes)


def measure_size(images: int) -> dict[str, Cost]:
    """The cost of each step for a dataset of so many images."""
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary) / "project"
        make_project(project, images)
        costs = {}
        for step in STEPS:
            costs[step] = measure(project, step)
            print(f"{images:>11,} {step:<9} {as_text(costs[step])}", flush=True)
        return costs


# --- the model ------------------------------------------------------------------------------------


def terms(step: str, quantity: str, images: int) -> list[float]:
    """What a quantity of a step grows with."""
    # imports torch: processes that are started later would begin with its memory as their peak
    from tasks.evaluate.nearest import MOST_COMPARED

    if step != "evaluate" or quantity not in TIMES:
        return [1, images]
    return [1, images, min(TRAINING_SHARE * images, MOST_COMPARED)]


def predicted(measured: dict[int, dict[str, Cost]], step: str, images: int) -> Cost:
    """What the model of a step says of a size."""
    fitted = [size for size in sorted(measured) if size <= LARGEST_FITTED]
    told = []
    for place, quantity in enumerate(QUANTITIES):
        grows_with = np.array([terms(step, quantity, size) for size in fitted])
        values = np.array([measured[size][step][place] for size in fitted])
        weights = 1 / np.maximum(values, 1e-9)  # relative errors count, or the largest size decides
        factors = np.linalg.lstsq(grows_with * weights[:, None], values * weights, rcond=None)[0]
        told.append(float(factors @ terms(step, quantity, images)))
    return Cost(*told)


def as_text(cost: Cost) -> str:
    return (
        f"{cost.seconds:>10,.1f} s {cost.processor:>10,.1f} s"
        f" {cost.client:>10,.1f} s {cost.memory:>8,.0f} MB"
        f" {cost.files:>7,.0f} files {cost.megabytes:>9,.1f} MB"
    )


def print_prediction(measured: dict[int, dict[str, Cost]], images: int) -> None:
    """The predicted cost of each step and of all, and what was measured, where it was."""
    for step in STEPS:
        told = predicted(measured, step, images)
        print(f"{images:>11,} {step:<9} predicted {as_text(told)}")
        if images in measured:
            found = measured[images][step]
            pairs = zip(QUANTITIES, found, told, strict=True)
            apart = [f"{name} {value / max(said, 1e-9) - 1:+.0%}" for name, value, said in pairs]
            print(f"{'':21} measured  {as_text(found)}   {', '.join(apart)}")


def read(path: Path | None) -> dict[int, dict[str, Cost]]:
    """What was measured before, by size and step."""
    if path is None or not path.exists():
        return {}
    kept = json.loads(path.read_text())
    return {
        int(images): {step: Cost(*values) for step, values in costs.items()}
        for images, costs in kept.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000, 1_000_000]
    )
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    measured = read(options.keep)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    print(hardware())
    for images in options.sizes:
        if images not in measured:
            measured[images] = measure_size(images)
            if options.keep:
                options.keep.write_text(json.dumps(measured, indent=1))
    if len(measured) > 1:
        for images in sorted({*measured, 10**7, 10**8}):
            if images > LARGEST_FITTED:
                print_prediction(measured, images)


if __name__ == "__main__":
    main()
