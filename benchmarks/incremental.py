"""Measure the augment stage's time when little or nothing has changed, and its peak memory.

    python benchmarks/incremental.py IMAGES [--variants V] [--limit N] [--repeat R]

IMAGES is a folder of class folders of images, as for expand.py. In turn, each a process of its own,
imports included:

    imports     what the stage imports, and nothing else
    cold        the stage with an empty private cache
    nothing     the stage once more, nothing having changed
    one in 100  the stage after one source in a hundred, scattered, was replaced by another image

One more round, not timed, finds the peak memory: the largest sum, over samples, of the proportional
set sizes of the stage and its workers.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from expand import augment_params, list_images, prepare_variegate, subset, times
from PIL import Image

SECONDS_BETWEEN_SAMPLES = 0.1


def run(work: Path, *command: str, watched: bool = False) -> tuple[float, int, str]:
    """Seconds, peak bytes (0 unless `watched`) and output of a process in `work`."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=work, stdout=subprocess.PIPE, text=True
    )
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process, peak) if watched else (None, peak))
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    watcher.join()
    assert process.returncode == 0, output
    return seconds, peak[0], output


def watch(process: subprocess.Popen | None, peak: list[int]) -> None:
    """Raise `peak` to what the process and its descendants take together, until it ends."""
    while process and process.poll() is None:
        total = 0
        try:
            parent = psutil.Process(process.pid)
            for member in [parent, *parent.children(recursive=True)]:
                total += member.memory_full_info().pss
        except psutil.Error:
            continue
        peak[0] = max(peak[0], total)
        time.sleep(SECONDS_BETWEEN_SAMPLES)


def replace_some(photos: list[str], first: int) -> None:
    """Turn every hundredth image upside down, from `first` on."""
    for name in photos[first::100]:
        with Image.open(name) as image:
            turned = Image.fromarray(np.ascontiguousarray(np.asarray(image)[::-1]))
        turned.save(name, **({"quality": 95, "subsampling": 0} if name.endswith(".jpg") else {}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=Path)
    parser.add_argument("--variants", type=int, default=5)
    parser.add_argument("--limit", type=int, help="images of each class")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    figures: dict[str, list[float]] = {}
    peaks: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "work"
        work.mkdir()
        images = subset(options.images, options.limit, Path(temporary))
        prepare_variegate(images, work, augment_params(options.variants))
        sources = list_images(work / "data/raw/train")
        for number in range(options.repeat + 1):
            watched = number == options.repeat
            shutil.rmtree(work / ".variegate", ignore_errors=True)
            for name in ("imports", "cold", "nothing", "one in 100"):
                if name == "one in 100":
                    replace_some(sources, number)
                    for stage in ("ingest", "validate"):
                        run(work, "-m", f"tasks.{stage}")
                stage = (
                    ("-c", "import tasks.augment.__main__")
                    if name == "imports"
                    else ("-m", "tasks.augment")
                )
                seconds, peak, output = run(work, *stage, watched=watched)
                if watched:
                    peaks[name] = peak
                else:
                    figures.setdefault(name, []).append(seconds)
                made = re.search(r"made ([\d,]+), reused ([\d,]+)", output)
                print(
                    f"{name:<12} {seconds:8.2f} s  {peak / 1e6:8.0f} MB  {made[0] if made else ''}",
                    flush=True,
                )
    cold = statistics.median(figures["cold"])
    print(
        f"{len(sources):,} sources x {options.variants}, {os.cpu_count()} processors, "
        f"{options.repeat} runs in turn"
    )
    for name, values in figures.items():
        share = f"{statistics.median(values) / cold:7.1%} of cold"
        print(f"{name:<12} {times(values)}  {share}  peak {peaks[name] / 1e6:6.0f} MB")


if __name__ == "__main__":
    main()
