"""Measure the test accuracy with squeezed, padded and cropped images (`train.fit`).

    python benchmarks/fit.py PHOTOS [--seeds N] [--epochs N] [--size S] [--variants V]

PHOTOS is a folder of train, validation and test, each a folder of class folders. small_cnn is
trained on its originals and V variants of each, a horizontal flip and a small turn. The three take
turns, seed by seed. Each run prints its accuracy on test and, of its best epoch, on validation; the
means stand at the end.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FITS = ("squeeze", "pad", "crop")
PARAMS = """
ingest: {{}}
validate: {{}}
evaluate: {{}}
augment:
  variants_per_image: {variants}
  policy:
    - HorizontalFlip: {{p: 0.5}}
    - Rotate: {{limit: 10, border_mode: 4, p: 1.0}}
train: {{fit: {fit}, seed: {seed}, epochs: {epochs}, image_size: {size}, threads: 1}}
"""


def run_stages(work: Path, *stages: str) -> None:
    """Run stages of the project in `work`, one after the other."""
    for stage in stages:
        command = [sys.executable, "-m", f"tasks.{stage}"]
        subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL)


def read_accuracies(work: Path) -> tuple[float, float]:
    """On the test split and on the validation split."""
    test = json.loads((work / "metrics/evaluate.json").read_text())
    training = json.loads((work / "metrics/train.json").read_text())
    return test["accuracy"], training["validation_accuracy"]


def as_text(accuracies: tuple[float, ...]) -> str:
    """Both accuracies in percent."""
    return "test {:.2%}  validation {:.2%}".format(*accuracies)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--variants", type=int, default=1, help="of each original")
    options = parser.parse_args()
    settings = {"epochs": options.epochs, "size": options.size, "variants": options.variants}
    found: dict[str, list[tuple[float, float]]] = {fit: [] for fit in FITS}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        shutil.copytree(options.photos, work / "data/raw")
        (work / "params.yaml").write_text(PARAMS.format(fit=FITS[0], seed=0, **settings))
        run_stages(work, "ingest", "validate", "augment")
        for seed in range(options.seeds):
            for fit in FITS:
                (work / "params.yaml").write_text(PARAMS.format(fit=fit, seed=seed, **settings))
                run_stages(work, "train", "evaluate")
                found[fit].append(read_accuracies(work))
                print(f"{fit:<8} seed {seed}  {as_text(found[fit][-1])}", flush=True)
    for fit, pairs in found.items():
        print(f"{fit:<8} mean    {as_text(tuple(map(statistics.mean, zip(*pairs, strict=True))))}")


if __name__ == "__main__":
    main()
