"""Show that an ablation tells what is so, on Fashion-MNIST and on photos of clothing.

    python benchmarks/ablation.py FASHION PHOTOS [--only NAME,NAME] [--seeds N] [--epochs N]
        [--work FOLDER]

FASHION is the folder of Fashion-MNIST's idx files, PHOTOS one of class folders of photos. Each
part takes minutes on 2 cores; with --work, one that was stopped goes on.

    cost      policies that are mild, strong and absurd, on 1,000 images, 14 x 14, in 15 epochs
    affinity  eleven policies of widely different kinds there: do affinity and accuracy agree?
    aa        originals against originals there: how often is a difference told that is none?
    pays      a policy that pays, on photos
"""

import argparse
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from label_audit import Sample, clothes
from scipy.stats import spearmanr

from flows.console import tables
from flows.console.ablate import ablation_tables
from tasks.common.params import read_params
from tasks.dataset.manifests import read_validated
from tasks.ingest import __main__ as ingest
from tasks.studies.ablate.ablate import Ablation, ablate, judge
from tasks.studies.ablate.comparison import Outcome
from tasks.studies.statistics import LEVEL
from tasks.studies.trainings.arm import NONE, Arm
from tasks.studies.trainings.data import StudyData, study_data
from tasks.studies.trainings.running import run_trainings
from tasks.studies.trainings.training import Training
from tasks.train.params import TrainParams
from tasks.validate import __main__ as validate
from tasks.variants.params import AugmentParams

# The most images of each; a study looks at no test image, but a dataset has some.
SPLITS = {"train": 1000, "validation": 1000, "test": 10}
PARAMS = """
ingest: {{}}
validate: {{}}
augment: {{variants_per_image: 0, policy: []}}
train: {{augmentation: online, epochs: {epochs}, batch_size: {batch_size}}}
evaluate: {{}}
"""
CLOTHES_SIDE = 14
POOL, RESAMPLINGS = 20, 100

TONE = {"RandomBrightnessContrast": {"brightness_limit": 0.15, "contrast_limit": 0.15, "p": 0.8}}
MILD = {"scale": [0.9, 1.1], "translate_percent": [-0.08, 0.08], "rotate": [-12, 12]}
STRONG = {"scale": [0.6, 1.4], "translate_percent": [-0.2, 0.2], "rotate": [-45, 45]}
HOLES = {"num_holes_range": [1, 2], "hole_height_range": [0.2, 0.4], "hole_width_range": [0.2, 0.4]}


def always(step: str, **arguments: Any) -> dict[str, Any]:
    """A step that every image gets."""
    return {step: {**arguments, "p": 1.0}}


Policies = dict[str, list[Any]]
COST: Policies = {
    "mild": [always("Affine", **MILD, border_mode=4), TONE],
    "strong": [always("Affine", **STRONG, border_mode=4), always("CoarseDropout", **HOLES)],
    "turned": [{"VerticalFlip": {"p": 0.5}}, always("Rotate", limit=180)],
}
KINDS: Policies = {
    **COST,
    "mirrored": [{"HorizontalFlip": {"p": 0.5}}],
    "moved": [always("Affine", translate_percent=[-0.1, 0.1])],
    "cropped": [always("RandomResizedCrop", size=[CLOTHES_SIDE] * 2, scale=[0.3, 1.0])],
    "blurred": [always("GaussianBlur", sigma_limit=[1.0, 2.0])],
    "noisy": [always("GaussNoise", std_range=[0.2, 0.4])],
    "holes": [always("CoarseDropout", **HOLES)],
    "inverted": [{"InvertImg": {"p": 0.5}}],
    "trivialaugment": ["trivialaugment"],
}
PAYING: Policies = {
    "mirrored and moved": [{"HorizontalFlip": {"p": 0.5}}, always("Affine", **MILD, border_mode=4)],
}


# --- projects -------------------------------------------------------------------------------------


def small(samples: Iterator[Sample], side: int) -> Iterator[Sample]:
    """The images, of `side` pixels."""
    for sample in samples:
        pixels = cv2.resize(sample.pixels, (side, side), interpolation=cv2.INTER_AREA)
        yield sample._replace(pixels=pixels)


def photos(folder: Path) -> Iterator[Sample]:
    """The photos below class folders, in any order that is the same each time."""
    for path in sorted(folder.glob("*/*.jpg"), key=lambda path: path.name):
        yield Sample(path.parent.name, cv2.imread(str(path)))


def write(samples: Iterator[Sample], folder: Path) -> None:
    """Write images into class folders."""
    for number, sample in enumerate(samples):
        path = folder / sample.label / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), sample.pixels)


class Project(NamedTuple):
    """A dataset in a folder of its own: images of a split, of `side` pixels, in class folders."""

    name: str
    side: int
    epochs: int
    batch_size: int
    samples: Callable[[Path], Iterator[Sample]]

    def fill(self, images: Path, work: Path) -> None:
        """Write the images, and validate them."""
        samples = small(self.samples(images), self.side)
        for split, count in SPLITS.items():
            write(islice(samples, count), work / "data/raw" / split)
        params = PARAMS.format(epochs=self.epochs, batch_size=self.batch_size)
        (work / "params.yaml").write_text(params)
        with chdir(work), redirect_stdout(io.StringIO()):
            ingest.main()
            validate.main()

    @contextmanager
    def opened(self, images: Path, root: Path) -> Iterator[StudyData]:
        """Its data, in its folder, which is filled where it is not yet."""
        work = root / self.name
        if not (work / "data/validated").exists():
            self.fill(images, work)
        with chdir(work):
            yield study_data(read_validated(), read_params("train", TrainParams))


FASHION = Project("fashion", CLOTHES_SIDE, 15, 128, clothes)
CLOTHING = Project("clothing", 16, 50, 32, photos)


# --- what is shown --------------------------------------------------------------------------------


def ablated(policies: Policies, data: StudyData, seeds: int) -> Ablation:
    """Each policy against none."""
    # not distinct: of a mirrored image there are two, and it is to be shown in every other epoch
    others = {"variants_per_image": 1, "distinct": False}
    arms = [Arm(name, AugmentParams(policy=steps, **others)) for name, steps in policies.items()]
    return ablate([NONE, *arms], data, seeds, data.params.epochs)


def cost(data: StudyData, seeds: int) -> None:
    """Policies that are mild, strong and absurd."""
    tables.show(ablation_tables(ablated(COST, data, seeds)))


def affinity(data: StudyData, seeds: int) -> None:
    """Whether affinity, which takes no training of a policy, orders policies as accuracy does."""
    found = ablated(KINDS, data, seeds)
    tables.show(ablation_tables(found))
    pairs = [(arm.affinity, arm.accuracy) for arm in found.arms[1:]]
    rank = spearmanr(*zip(*pairs, strict=True)).statistic
    print(f"{len(pairs)} policies: Spearman's rank correlation of affinity and accuracy {rank:.2f}")


def aa(data: StudyData, seeds: int) -> None:
    """How often trainings on originals differ from others on originals."""
    trainings = [Training(NONE, seed, data.params.epochs) for seed in range(POOL)]
    trained = run_trainings(trainings, data, "training")
    generator = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLINGS):
        drawn = generator.permutation(POOL)
        parts = (drawn[:seeds], drawn[seeds : 2 * seeds])
        outcomes = [Outcome.of(NONE, [trained[at] for at in part], data) for part in parts]
        found.append(list(judge(outcomes, [1.0, 1.0], data))[1])
    differ = sum(one.p is not None and one.p < LEVEL for one in found)
    harmed = sum(any(its.harmed for its in one.classes.values()) for one in found)
    accuracies = [float(np.mean(one.predicted == data.labels)) for one in trained]
    spread = f"{np.mean(accuracies):.1%}, standard deviation {np.std(accuracies, ddof=1):.2%}"
    print(f"{POOL} trainings on originals: accuracy {spread}")
    print(f"{RESAMPLINGS} times {seeds} of them against {seeds} others:")
    print(f"    a difference is told {differ} times, a harmed class {harmed} times")
    for words, count in Counter(one.verdict for one in found).most_common():
        print(f"    {count:>3}  {words}")


def pays(data: StudyData, seeds: int) -> None:
    """A policy that pays."""
    tables.show(ablation_tables(ablated(PAYING, data, seeds)))


PARTS = {"cost": (cost, FASHION), "affinity": (affinity, FASHION), "aa": (aa, FASHION)}
PARTS |= {"pays": (pays, CLOTHING)}


def show(name: str, images: dict[Project, Path], root: Path, options: argparse.Namespace) -> None:
    """One part, and how long it took."""
    part, project = PARTS[name]
    print(f"--- {name}: {part.__doc__}", flush=True)
    start = time.perf_counter()
    with project.opened(images[project], root) as data:
        epochs = options.epochs or project.epochs
        part(data._replace(params=data.params.model_copy(update={"epochs": epochs})), options.seeds)
    print(f"{time.perf_counter() - start:.0f} s\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("fashion", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="default: each part's own")
    parser.add_argument("--work", type=Path, help="where projects and finished trainings are kept")
    options = parser.parse_args()
    images = {FASHION: options.fashion.resolve(), CLOTHING: options.photos.resolve()}
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.work or Path(temporary)).resolve()
        for name in options.only.split(","):
            show(name, images, root, options)


if __name__ == "__main__":
    main()
