"""Measure training beside other busy processes, with short and with long spins of OpenMP's threads.

    python benchmarks/busy.py [--busy N ...] [--repeat N] [--epochs N] [--threads N]

Trains small_cnn on the digits and four variants of each. A contender is a value of GOMP_SPINCOUNT:
10000, which tasks/__init__.py sets, and 300000, which is libgomp's own. Contenders take turns; each
line is the median of the repeats in images a second, least and most beside it. The first epoch is
left out: it loads what the others find loaded. The last column is the load before each repeat.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SPINS = ("10000", "300000")
PARAMS = """
ingest: {{}}
validate: {{}}
evaluate: {{}}
augment:
  variants_per_image: 4
  policy: [{{Rotate: {{limit: 10, p: 1.0}}}}]
train: {{epochs: {epochs}, threads: {threads}}}
"""
IMAGES = "training images "
BUSY = [sys.executable, "-c", "while True: pass"]


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that do nothing but keep a processor busy."""
    processes = [subprocess.Popen(BUSY) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def images_a_second(work: Path, spins: str, images: int) -> float:
    """Train in `work`: of all epochs but the first."""
    environment = {**os.environ, "GOMP_SPINCOUNT": spins}
    command = [sys.executable, "-m", "tasks.train"]
    ends = []
    with subprocess.Popen(
        command, cwd=work, env=environment, stdout=subprocess.PIPE, text=True
    ) as training:
        assert training.stdout is not None
        ends = [time.perf_counter() for line in training.stdout if line.startswith("epoch ")]
    assert training.returncode == 0
    return images * (len(ends) - 1) / (ends[-1] - ends[0])


def make_project(work: Path, epochs: int, threads: int) -> int:
    """The digits and their variants; returns the number of training images."""
    (work / "params.yaml").write_text(PARAMS.format(epochs=epochs, threads=threads))
    (work / "dvc.yaml").write_text("stages: {}\n")
    subprocess.run(["variegate", "sample", "digits"], cwd=work, check=True, capture_output=True)
    for stage in ("ingest", "validate", "augment"):
        done = subprocess.run(
            [sys.executable, "-m", f"tasks.{stage}"],
            cwd=work,
            check=True,
            capture_output=True,
            text=True,
        )
    (counted,) = [line for line in done.stdout.splitlines() if IMAGES in line]
    return int(counted.split(IMAGES)[1].split(", ")[0].replace(",", ""))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 3])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        images = make_project(work, options.epochs, options.threads)
        for busy in options.busy:
            rates: dict[str, list[float]] = {spins: [] for spins in SPINS}
            loads = []
            for _ in range(options.repeat):
                loads.append(f"{os.getloadavg()[0]:.1f}")
                with busy_processes(busy):
                    for spins in SPINS:
                        rates[spins].append(images_a_second(work, spins, images))
            for spins, found in rates.items():
                middle, least, most = statistics.median(found), min(found), max(found)
                shown = f"{middle:>6,.0f} ({least:,.0f} to {most:,.0f}) images/s"
                print(
                    f"{busy} busy  {spins:>6} spins  {shown}  load {', '.join(loads)}", flush=True
                )


if __name__ == "__main__":
    main()
