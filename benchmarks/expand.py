"""Measure how fast variants are made, compared with other tools and with a plain loop.

    python benchmarks/expand.py PHOTOS [--policy NAME] [--variants V] [--limit N] [--repeat R]
        [--only NAME,NAME]

PHOTOS is a folder of class folders of images, all .jpg or all .png. Every contender makes V
variants of each, in the format of the images, JPEG with quality 95 and 4:4:4. Each run is a process
of its own, imports included; the contenders take turns, and medians and ratios are printed.

    variegate        the augment stage with an empty cache: plan, seeds, hashes, measures, segments,
                     ledger
    floor            the least work that makes such files: decode once, the same transforms by
                     Albumentations one after another, encode, write; as many processes, but no
                     ledger, hashes, measures or seeds
    torchvision      the plain loop over ImageFolder that saves each variant
    albumentations   the same loop with Albumentations
    augmentor        Augmentor's sample(N); needs `pip install Augmentor`

The policies:

    turn    a horizontal flip (p 0.5), then a rotation of up to 15 degrees with reflected borders
    full    a flip, Affine, Perspective, RandomResizedCrop to 224 pixels and brightness; neither
            torchvision nor augmentor
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

REFLECTED = {"border_mode": 4}
POLICIES = {
    "turn": [
        {"HorizontalFlip": {"p": 0.5}},
        {"Rotate": {"limit": [-15, 15], "p": 1.0, **REFLECTED}},
    ],
    "full": [
        {"HorizontalFlip": {"p": 0.5}},
        {"Affine": {"rotate": [-15, 15], "scale": [0.9, 1.1], "p": 1.0, **REFLECTED}},
        {"Perspective": {"scale": [0.05, 0.1], "p": 1.0, **REFLECTED}},
        {"RandomResizedCrop": {"size": [224, 224], "p": 1.0}},
        {"RandomBrightnessContrast": {"p": 1.0}},
    ],
}


def list_images(photos: Path) -> list[str]:
    """The paths of all images below `photos`, in order."""
    return sorted(str(path) for path in photos.rglob("*") if path.suffix in (".jpg", ".png"))


def augment_params(variants: int, policy: str = "turn") -> dict[str, Any]:
    """The block `augment` of params.yaml, for one of POLICIES."""
    return {"variants_per_image": variants, "policy": POLICIES[policy]}


def prepare_variegate(photos: Path, work: Path, augment: dict[str, Any]) -> None:
    """Make a project in `work` whose training split is `photos`, ready to be augmented.

    The other splits need images: negatives of two photos of two classes.
    """
    shutil.copytree(photos, work / "data/raw/train")
    for split in ("validation", "test"):
        for folder in sorted(photos.iterdir())[:2]:
            negative = work / "data/raw" / split / folder.name / "negative.png"
            negative.parent.mkdir(parents=True)
            with Image.open(sorted(folder.iterdir())[0 if split == "test" else 1]) as image:
                ImageOps.invert(image.convert("RGB")).save(negative)
    (work / "params.yaml").write_text(json.dumps({"augment": augment}))
    for stage in ("ingest", "validate"):
        subprocess.run(
            [sys.executable, "-m", f"tasks.{stage}"],
            cwd=work,
            check=True,
            stdout=subprocess.DEVNULL,
        )


class Task(NamedTuple):
    """What a contender makes: `variants` of each of the `photos`, by one of POLICIES, in `work`."""

    photos: Path
    work: Path
    variants: int
    policy: str


def run_variegate(task: Task) -> None:
    """The augment stage, in this process; prepare_variegate() has run the stages before it."""
    os.chdir(task.work)
    from tasks.augment.__main__ import main

    main()


def compose(policy: str) -> Any:
    """One of POLICIES as Albumentations applies it."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    steps = [next(iter(step.items())) for step in POLICIES[policy]]
    return albumentations.Compose(
        [getattr(albumentations, name)(**arguments) for name, arguments in steps]
    )


def jpeg_options() -> list[int]:
    """How the contenders that use OpenCV encode."""
    import cv2

    factor = cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    return [cv2.IMWRITE_JPEG_QUALITY, 95, *factor]


def floor_part(names: list[str], task: Task) -> None:
    """What one worker of the floor does; see run_floor()."""
    sys.modules["torch"] = None  # type: ignore[assignment]
    import cv2

    cv2.setNumThreads(0)
    policy, options = compose(task.policy), jpeg_options()
    for name in names:
        suffix = Path(name).suffix
        pixels = cv2.imread(name, cv2.IMREAD_COLOR if suffix == ".jpg" else cv2.IMREAD_UNCHANGED)
        for index in range(task.variants):
            data = cv2.imencode(
                suffix, policy(image=pixels)["image"], options if suffix == ".jpg" else []
            )[1]
            (task.work / f"{Path(name).stem}-{index}{suffix}").write_bytes(data)


def run_floor(task: Task) -> None:
    """The least work that makes such files: floor_part() in a process for each processor."""
    from multiprocessing import Process

    names = list_images(task.photos)
    count = len(os.sched_getaffinity(0))
    workers = [Process(target=floor_part, args=(names[i::count], task)) for i in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0


def run_torchvision(task: Task) -> None:
    """The loop that tutorials show."""
    from torchvision import datasets, transforms

    policy = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.RandomRotation(15)])
    for number, (image, _) in enumerate(datasets.ImageFolder(str(task.photos))):
        for index in range(task.variants):
            policy(image).save(task.work / f"{number}-{index}.jpg", quality=95, subsampling=0)


def run_albumentations(task: Task) -> None:
    """The same loop with Albumentations."""
    import cv2

    policy, options = compose(task.policy), jpeg_options()
    for number, name in enumerate(list_images(task.photos)):
        for index in range(task.variants):
            pixels = policy(image=cv2.imread(name))["image"]
            cv2.imwrite(str(task.work / f"{number}-{index}.jpg"), pixels, options)


def run_augmentor(task: Task) -> None:
    """Augmentor's sample(); it takes no encoder settings, so the quality is Pillow's default."""
    import Augmentor

    pipeline = Augmentor.Pipeline(str(task.photos), output_directory=str(task.work / "out"))
    pipeline.flip_left_right(probability=0.5)
    pipeline.rotate(probability=1, max_left_rotation=15, max_right_rotation=15)
    pipeline.sample(task.variants * len(list_images(task.photos)))


CONTENDERS = {
    "variegate": run_variegate,
    "floor": run_floor,
    "torchvision": run_torchvision,
    "albumentations": run_albumentations,
    "augmentor": run_augmentor,
}
ONLY_TURN = ("torchvision", "augmentor")


def subset(photos: Path, limit: int | None, folder: Path) -> Path:
    """The first `limit` photos of each class, or all."""
    copied = folder / "photos"
    for path in map(Path, list_images(photos)):
        target = copied / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if limit is None or len(list(target.parent.iterdir())) < limit:
            shutil.copy(path, target)
    return copied


def timed(name: str, task: Task, prepared: Path) -> float:
    """Seconds of one whole process."""
    shutil.rmtree(task.work, ignore_errors=True)
    if name == "variegate":
        shutil.copytree(prepared, task.work)
    else:
        task.work.mkdir()
    command = [sys.executable, __file__, str(task.photos), "--variants", str(task.variants)]
    command += ["--policy", task.policy, "--run", name, "--work", str(task.work)]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def times(values: list[float]) -> str:
    """The median of some seconds, and the least and the most."""
    return f"{statistics.median(values):8.2f} s ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--policy", choices=POLICIES, default="turn")
    parser.add_argument("--variants", type=int, default=5)
    parser.add_argument("--limit", type=int, help="photos of each class")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", default=",".join(CONTENDERS))
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        task = Task(options.photos, options.work, options.variants, options.policy)
        CONTENDERS[options.run](task)
        return
    names = [
        name
        for name in options.only.split(",")
        if (name != "augmentor" or importlib.util.find_spec("Augmentor"))
        and (name not in ONLY_TURN or options.policy == "turn")
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photos = subset(options.photos, options.limit, folder)
        prepared = folder / "prepared"
        prepared.mkdir()
        prepare_variegate(photos, prepared, augment_params(options.variants, options.policy))
        task = Task(photos, folder / "work", options.variants, options.policy)
        count = options.variants * len(list_images(photos))
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(options.repeat):
            for name in names:
                seconds[name].append(timed(name, task, prepared))
    print(f"{count} variants, {os.cpu_count()} processors, {options.repeat} runs in turn")
    ours = statistics.median(seconds[names[0]])
    for name, values in seconds.items():
        middle = statistics.median(values)
        ratio = f"{names[0]} is {middle / ours:.2f}x as fast"
        print(f"{name:<15} {times(values)}  {count / middle:8.0f}/s  {ratio}")


if __name__ == "__main__":
    main()
