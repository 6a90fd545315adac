"""Prove and measure training on a GPU: that it repeats, agrees with the CPU, and how fast it is.

    python benchmarks/gpu.py [--json FILE] [--only NAME,NAME] [--device cpu --quick] [--fashion DIR]

Runs the project's stages on digits and on synthetic photos in a temporary folder, and its training
loop on random images; takes about seven minutes on an H100. A measurement that fails is recorded
with its error, and the others go on. `--quick` takes tiny sizes, to try the script on a CPU.

    repeat    two trainings at once: the second waits for the GPU, and both write the same bytes
    prepare   the stages up to augment, for what follows
    resumed   a training that was killed after its first checkpoint, and run again: the same bytes
    agree     predictions of one model, on the CPU and on the GPU: 99.9% are equal
    augmented device augmentation against the CPU's: bits, pixels, labels; images a second
    out of memory  with batch norm and without: a batch size that fits, or parts of a batch
    waits     how often an epoch waits for the device: at its end
    models    one training step of each family of torchvision's classifiers
    loop      images a second in training, beside those of one batch that lies on the device
    judging   images a second where nothing is learnt
    feeding   the ways of a batch to the device
    step      number formats, memory formats, algorithms, optimizers: one change at a time
    graph     the whole step of small_cnn as a CUDA graph
    online    variants made on the fly by worker processes
    compile   torch.compile of resnet50: seconds to compile, and steps until they are saved
    fashion   seconds until small_cnn knows 93% of Fashion-MNIST, whose idx files lie in DIR
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.acquire.sample import write_sample
from tasks.common.errors import UserError
from tasks.common.events import Progress
from tasks.common.machine import worker_count
from tasks.model.device import fix_randomness, on_device
from tasks.model.inference import Normalise, predict
from tasks.model.networks import build_model
from tasks.pixels.preprocess import AS_DECODED
from tasks.train.device_augmentation.batches import DeviceAugmentation
from tasks.train.device_augmentation.mixing import Mixing
from tasks.train.device_augmentation.philox import source_keys, uniforms
from tasks.train.feed import Feed
from tasks.train.loop.compiled import forward_of
from tasks.train.loop.fit import fit, train_epoch
from tasks.train.loop.gradients import Loss
from tasks.train.loop.state import TrainingState
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tasks.workers import processes

CLASSES = 10
THREADS = TrainParams().threads
PARAMS = """
ingest: {{}}
validate: {{}}
evaluate: {{}}
augment:
  variants_per_image: {variants}
  policy:
    - Affine: {{scale: [0.9, 1.1], rotate: [-12, 12], border_mode: 4, p: 1.0}}
    - RandomBrightnessContrast: {{brightness_limit: 0.15, contrast_limit: 0.15, p: 0.8}}
train: {{model: {model}, epochs: {epochs}, image_size: {size}, batch_size: {batch}}}
"""


class Case(NamedTuple):
    """A network, the side of its images, the batch, and how many images are trained on."""

    model: str
    size: int
    batch: int
    images: int

    @property
    def name(self) -> str:
        return f"{self.model} {self.size} px, batch {self.batch}"

    def random_images(self) -> np.ndarray:
        """Noise: no compression of memory and no zeros that a card would multiply faster."""
        shape = (self.images, 3, self.size, self.size)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


CASES = [
    Case("small_cnn", 32, 128, 32_768),
    Case("small_cnn", 32, 512, 65_536),
    Case("resnet18", 224, 256, 6_144),
    Case("resnet50", 224, 256, 2_560),
]
QUICK_CASES = [Case("small_cnn", 8, 16, 64), Case("resnet18", 32, 8, 24)]


class Bench(NamedTuple):
    """What every measurement is given."""

    device: torch.device
    quick: bool
    folder: Path
    fashion: Path | None = None

    @property
    def cases(self) -> list[Case]:
        return QUICK_CASES if self.quick else CASES

    def project(self, name: str) -> Path:
        return self.folder / name


# --- the stages -----------------------------------------------------------------------------------


def write_photos(folder: Path, of_class: int, side: int) -> None:
    """Synthetic photos: clouds of random colours, with stripes whose width tells the class."""

    def write(number: int) -> None:
        label, generator = number % CLASSES, np.random.default_rng(number)
        clouds = cv2.resize(generator.integers(0, 200, (6, 6, 3), np.uint8), (side, side))
        stripes = (np.arange(side) // (label + 1) % 2 * 50).astype(np.uint8)
        path = folder / f"class{label}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), clouds + stripes[:, None, None])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(of_class * CLASSES)))


def start_stage(work: Path, stage: str, device: str) -> subprocess.Popen:
    """One stage of the project in `work`; its output is piped."""
    environment = {**os.environ, "VARIEGATE_DEVICE": device, "VARIEGATE_DEBUG": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path.cwd()), *sys.path[1:]])
    command = [sys.executable, "-m", f"tasks.{stage}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=work, env=environment, **pipes)  # type: ignore[call-overload]


def finish(process: subprocess.Popen) -> str:
    """The output of a stage that has ended well."""
    output = process.communicate(timeout=150)[0]
    if process.returncode:
        raise RuntimeError(output[-2000:])
    return output


def prepare(bench: Bench, name: str) -> dict[str, Any]:
    """Bring a project up to the stage augment; the seconds of each stage."""
    work, quick = bench.project(name), bench.quick
    if name == "digits":
        write_sample("digits", work / "data/raw")
        settings = {"model": "small_cnn", "epochs": 1 if quick else 16, "size": "auto"}
        text = PARAMS.format(variants=0 if quick else 4, batch=128, **settings)
    else:
        write_photos(work / "data/raw", 12 if quick else 400, 48 if quick else 256)
        settings = {"model": "resnet18", "epochs": 1 if quick else 2, "size": 32 if quick else 224}
        text = PARAMS.format(variants=1, batch=64, **settings)
    (work / "params.yaml").write_text(text)
    seconds = {}
    for stage in ("ingest", "validate", "augment"):
        started = time.perf_counter()
        finish(start_stage(work, stage, "cpu"))
        seconds[stage] = time.perf_counter() - started
    return seconds


def repeat(bench: Bench, name: str) -> dict[str, Any]:
    """Train twice at once, in two copies of one project."""
    first, second = bench.project(name), bench.project(f"{name}-again")
    subprocess.run(["cp", "-r", first, second], check=True)
    started = time.perf_counter()
    running = [start_stage(work, "train", bench.device.type) for work in (first, second)]
    outputs = [finish(process) for process in running]
    return {
        "seconds": time.perf_counter() - started,
        "waited": ["waiting: another process trains on" in output for output in outputs],
        "equal": equal_outputs(first, second),
        "metrics": json.loads((first / "metrics/train.json").read_text()),
    }


def resumed(bench: Bench, name: str) -> dict[str, Any]:
    """Kill a training once it has saved a checkpoint, run it again, compare with repeat()'s."""
    first, killed = bench.project(name), bench.project(f"{name}-killed")
    subprocess.run(["cp", "-r", first, killed], check=True)
    training = start_stage(killed, "train", bench.device.type)
    while training.poll() is None and not list(killed.glob(".variegate/checkpoints/[!.]*")):
        time.sleep(0.001)
    training.kill()
    training.communicate()
    output = finish(start_stage(killed, "train", bench.device.type))
    goes_on = [line for line in output.splitlines() if line.startswith("training")]
    return {"told": goes_on, "equal": equal_outputs(first, killed)}


def equal_outputs(first: Path, second: Path) -> dict[str, bool]:
    """Whether two projects hold the same bytes, for each file that the train stage writes."""
    paths = [*(first / "models").iterdir(), *(first / "plots").iterdir()]
    paths += [first / "metrics/train.json", first / "metrics/exposure.json"]
    names = sorted(str(path.relative_to(first)) for path in paths if path.is_file())
    return {name: (first / name).read_bytes() == (second / name).read_bytes() for name in names}


def fashion(bench: Bench) -> dict[str, Any]:
    """Seconds of training until the validation split of Fashion-MNIST is known to 93%."""
    if bench.fashion is None:
        return {"skipped": "needs --fashion DIR, the folder of its idx files"}
    work = bench.project("fashion")
    subprocess.run(["cp", "-rL", bench.fashion, work / "data/raw"], check=True)
    settings = {"model": "small_cnn", "epochs": 20, "size": 28, "batch": 512}
    text = PARAMS.format(variants=0, **settings)
    text = text.replace("train: {", "train: {augmentation: device, ")
    (work / "params.yaml").write_text(text)
    for stage in ("ingest", "validate", "augment"):
        finish(start_stage(work, stage, "cpu"))
    training = start_stage(work, "train", bench.device.type)
    assert training.stdout is not None
    started, accuracies = time.perf_counter(), []
    for line in training.stdout:
        if line.startswith("small_cnn"):
            started = time.perf_counter()
        if line.startswith("epoch "):
            accuracy = float(line.partition("validation accuracy ")[2].split(",")[0])
            accuracies.append((time.perf_counter() - started, accuracy))
    finish(training)
    enough = [seconds for seconds, accuracy in accuracies if accuracy >= 0.93]
    return {"seconds_to_93": enough[0] if enough else None, "epochs": accuracies}


def agree(bench: Bench, name: str) -> dict[str, Any]:
    """Evaluate one model on the CPU and on the device."""
    predictions = []
    for device in ("cpu", bench.device.type):
        finish(start_stage(bench.project(name), "evaluate", device))
        predictions.append(pd.read_csv(bench.project(name) / "reports/predictions.csv"))
    one, other = predictions
    probabilities = (one["probability_of_label"] - other["probability_of_label"]).abs()
    return {
        "images": len(one),
        "same_class": float((one["predicted"] == other["predicted"]).mean()),
        "aim": 0.999,
        "largest_difference_of_probability": float(probabilities.max()),
    }


def online(bench: Bench) -> dict[str, Any]:
    """Images a second of variants made on the fly, and in training with them."""
    from tasks.dataset.manifests import read_ledger, read_validated
    from tasks.train.samples import input_form, online_batches

    processes.start_early("tasks.train.online")  # as the stage does
    repeats, epochs, batch = (1, 2, 16) if bench.quick else (3, 3, 256)
    with contextlib.chdir(bench.project("photos")):
        params = TrainParams(
            model="resnet18",
            augmentation="online",
            image_size=32 if bench.quick else 224,
            epochs=2 * epochs,
            batch_size=batch,
        )
        validated, ledger = read_validated(), read_ledger()
        form = input_form(validated, params)
        batches = online_batches(validated, ledger, params, form)
        assert batches is not None
        sources = batches.dataset.sources
        count = len(sources) * repeats
        batches.dataset.sources = sources * repeats
        batches.dataset.hashes = batches.dataset.hashes.repeat(repeats, 1).share_memory_()
        array = np.zeros((0, 3, form.size, form.size), np.uint8)
        feed = Feed(array, torch.arange(count) % CLASSES, batches)
        training = Training(Case("resnet18", form.size, batch, count), bench.device, feed)
        made, trained = [], []
        for epoch in range(1, 2 * epochs + 1):  # the first starts the workers
            started = time.perf_counter()
            if epoch <= epochs:
                for _ in feed.epoch(epoch, batch, params.seed):
                    pass
                synchronise(bench.device)
                made.append(count / (time.perf_counter() - started))
            else:
                training.epoch(feed, epoch)
                trained.append(count / (time.perf_counter() - started))
        return {
            "workers": worker_count(),
            "images_of_an_epoch": count,
            "made_a_second": statistics.median(made[1:]),
            "trained_a_second": statistics.median(trained[1:]),
        }


# --- the loop -------------------------------------------------------------------------------------


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class ConstantFeed:
    """One batch of the device, as often as a feed has batches."""

    def __init__(self, batch: tuple[Tensor, Tensor], feed: Feed) -> None:
        self.labels = feed.labels
        self.batches = [batch] * (len(feed) // len(batch[0]))

    def __len__(self) -> int:
        return len(self.labels)

    def epoch(self, *_: Any) -> list[tuple[Tensor, Tensor]]:
        return self.batches


class Training:
    """A network and its training, as fit() puts them together."""

    def __init__(self, case: Case, device: torch.device, feed: Feed) -> None:
        fix_randomness(42, THREADS)
        core = build_model(case.model, CLASSES, case.size)
        self.network = nn.Sequential(Normalise([0.5] * 3, [0.29] * 3), core).to(device)
        if device.type == "cuda":
            self.network.to(memory_format=torch.channels_last)
        self.device = device
        self.params = TrainParams(batch_size=case.batch, epochs=1000)
        feed.to(device)
        self.state = TrainingState(self.network, feed, self.params, device)

    def epoch(self, feed: Any, number: int) -> None:
        """Train on the batches of one epoch of a feed."""
        self.state.feed, self.state.epoch = feed, number
        self.state.begin_epoch(self.device)
        progress = Progress(len(self.state.feed.labels), "training", "image")
        train_epoch(self.state, Loss(self.params.label_smoothing), progress, None)
        synchronise(self.device)


def feeds_of(case: Case, device: torch.device) -> tuple[Training, dict[str, Any]]:
    """A training, and the feeds to compare: see loop()."""
    array, labels = case.random_images(), torch.arange(case.images) % CLASSES
    real, from_host = Feed(array, labels), Feed(array, labels)
    training = Training(case, device, real)
    from_host.to(device)
    from_host.resident = None
    one = next(real.epoch(1, case.batch, 0))
    constant = ConstantFeed(one, real)
    return training, {"real": real, "from_host": from_host, "constant": constant}


def loop(bench: Bench, case: Case) -> dict[str, Any]:
    """Epochs of the project's loop, in turn with as many steps on one batch of the device.

    `real`: as training does it; `from_host`: as where the images do not fit on the GPU.
    """
    training, feeds = feeds_of(case, bench.device)
    rates: dict[str, list[float]] = {kind: [] for kind in feeds}
    for number in range(1, 5):
        for kind, feed in feeds.items():
            started = time.perf_counter()
            training.epoch(feed, number)
            rates[kind].append(case.images / (time.perf_counter() - started))
    # the first epoch warms up
    medians = {kind: statistics.median(rates[kind][1:]) for kind in feeds}
    ratios = {f"{kind}_ratio": medians[kind] / medians["constant"] for kind in feeds}
    return {**medians, **ratios, "all": rates}


def waits(bench: Bench, case: Case) -> dict[str, Any]:
    """How often the second epoch of each feed waits for the device."""
    if bench.device.type != "cuda":
        return {"skipped": "needs CUDA"}
    training, feeds = feeds_of(case, bench.device)
    found: dict[str, Any] = {"steps": case.images // case.batch}
    for kind, feed in feeds.items():
        training.epoch(feed, 1)
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            training.epoch(feed, 2)
        torch.cuda.set_sync_debug_mode("default")
        found[kind] = sum("synchroniz" in str(warning.message) for warning in told)
    return found


def augmented(bench: Bench, case: Case) -> dict[str, Any]:
    """Device augmentation here and on the CPU: bits of Philox, pixels and labels; its rate."""
    images = torch.from_numpy(case.random_images())
    policy = [
        "HorizontalFlip",
        {"Affine": {"scale": [0.9, 1.1], "rotate": [-12, 12], "border_mode": 4, "p": 1.0}},
        {"RandomBrightnessContrast": {"p": 0.8}},
        {"CoarseDropout": {"p": 0.5}},
    ]
    params = AugmentParams.model_validate({"variants_per_image": 1, "policy": policy})
    sha256 = [f"{number:064x}" for number in range(case.images)]
    classes = [f"class{number}" for number in range(CLASSES)]
    made_by = DeviceAugmentation(
        sha256,
        torch.arange(case.images) % CLASSES,
        classes,
        Recipes.from_params(params, AS_DECODED, classes),
        case.size,
        Mixing(0.2, 1.0),
    )
    planned = made_by.plan(np.arange(case.batch), 3)
    sources = images[torch.from_numpy(planned.sources)]
    expected, labels = made_by.show(planned, sources)
    found, own = made_by.show(planned, sources.to(bench.device))
    keys = source_keys(1, sha256[:1000])
    bits = uniforms(keys.to(bench.device), 7, 1, 41).cpu()
    there = sources.to(bench.device)
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        made_by.show(planned, there)
        synchronise(bench.device)
        seconds.append(time.perf_counter() - started)
    return {
        "equal_bits": torch.equal(bits, uniforms(keys, 7, 1, 41)),
        "largest_difference_in_levels": int((found.cpu().int() - expected.int()).abs().max()),
        "equal_labels": torch.equal(own.cpu(), labels),
        "images_a_second": case.batch / statistics.median(seconds),
    }


def out_of_memory(bench: Bench, model: str) -> dict[str, Any]:
    """What training says, and does, with a batch that has no room in 2 GB of the GPU."""
    if bench.device.type != "cuda":
        return {"skipped": "needs CUDA"}
    case = Case(model, 224, 512, 1024)
    array, labels = case.random_images(), torch.arange(case.images) % CLASSES
    params = TrainParams(model=model, batch_size=case.batch, epochs=1, image_size=case.size)
    core = build_model(model, CLASSES, case.size)
    network = nn.Sequential(Normalise([0.5] * 3, [0.29] * 3), core)
    share = 2e9 / torch.cuda.get_device_properties(bench.device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(share, bench.device)
    try:
        held_out = (array[:64], labels[:64])
        fitted = fit(network, Feed(array, labels), held_out, params, bench.device)
        return {"images_at_once": fitted.images_at_once}
    except UserError as error:
        return {"told": str(error)}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)


def judging(bench: Bench, case: Case) -> dict[str, Any]:
    """Images a second of predict(), which judges the validation split after each epoch."""
    array = case.random_images()
    training = Training(case, bench.device, Feed(array, torch.arange(case.images) % CLASSES))
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        predict(training.network, array, bench.device)
        seconds.append(time.perf_counter() - started)
    return {"images_a_second": case.images / statistics.median(seconds[1:])}


# --- the step, taken apart ------------------------------------------------------------------------


class Step(NamedTuple):
    """What a training step is done with: the default is what the project does on a GPU.

    `filled`: torch fills all new memory under deterministic algorithms, unless told otherwise.
    """

    precision: str = "bf16"
    channels_last: bool = True
    deterministic: bool = True
    filled: bool = False
    tuned: bool = False
    fused: bool | None = True
    compiled: bool = False


CPU_STEP = Step(precision="float32")
STEPS = {
    "as the project": Step(),
    "float32": Step(precision="float32"),
    "tf32": Step(precision="tf32"),
    "channels first": Step(channels_last=False),
    "new memory filled": Step(filled=True),
    "AdamW not fused": Step(fused=None),
    "new memory filled, AdamW not fused": Step(filled=True, fused=None),
    "any algorithm": Step(deterministic=False),
    "any algorithm, cudnn.benchmark": Step(deterministic=False, tuned=True),
}


@contextlib.contextmanager
def settings_of(step: Step) -> Iterator[None]:
    """The settings of torch that a step needs, until the block ends."""
    torch.set_deterministic_debug_mode("error" if step.deterministic else "default")
    torch.utils.deterministic.fill_uninitialized_memory = step.filled
    torch.backends.cudnn.benchmark = step.tuned
    torch.backends.cuda.matmul.allow_tf32 = step.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = step.precision == "tf32"
    try:
        yield
    finally:
        fix_randomness(42, THREADS)
        torch.backends.cudnn.allow_tf32 = True


def build_step(case: Case, device: torch.device, step: Step) -> Callable[[Tensor, Tensor], None]:
    """A training step as in train_epoch()."""
    torch.manual_seed(42)
    core = build_model(case.model, CLASSES, case.size)
    network = nn.Sequential(Normalise([0.5] * 3, [0.29] * 3), core).to(device).train()
    layout = torch.channels_last if step.channels_last else torch.contiguous_format
    network.to(memory_format=layout)
    params = TrainParams(batch_size=case.batch, compile=step.compiled)
    forward = forward_of(network, params)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=step.fused)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=step.precision == "bf16")

    def run(images: Tensor, labels: Tensor) -> None:
        with autocast:
            logits = forward(images.to(memory_format=layout))
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return run


def rate_of(
    run: Callable[[Tensor, Tensor], None], batches: Callable[[], Any], case: Case, seconds: float
) -> float:
    """Images a second: the median of three blocks that take `seconds` in all, after a warm-up."""
    device = next(batches())[0].device
    for images, labels in _first(batches(), 4):
        run(images, labels)
    synchronise(device)
    started = time.perf_counter()
    for images, labels in _first(batches(), 3):
        run(images, labels)
    synchronise(device)
    steps = max(3, round(seconds / 3 / ((time.perf_counter() - started) / 3)))
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        for images, labels in _first(batches(), steps):
            run(images, labels)
        synchronise(device)
        rates.append(steps * case.batch / (time.perf_counter() - started))
    return statistics.median(rates)


def _first(batches: Any, count: int) -> Iterator[Any]:
    return (batch for batch, _ in zip(batches, range(count), strict=False))


def constant_batch(case: Case, device: torch.device) -> Callable[[], Any]:
    """One batch that lies on the device, again and again."""
    images = torch.from_numpy(case._replace(images=case.batch).random_images()).to(device)
    labels = (torch.arange(case.batch) % CLASSES).to(device)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield images, labels

    return batches


def steps(bench: Bench, case: Case) -> dict[str, Any]:
    """Images a second of a step, with one thing changed at a time."""
    batches = constant_batch(case, bench.device)
    found: dict[str, Any] = {}
    for name, step in STEPS.items():
        if bench.device.type == "cpu":
            step = step._replace(precision="float32")
        with settings_of(step):
            run = build_step(case, bench.device, step)
            found[name] = rate_of(run, batches, case, 0.1 if bench.quick else 0.6)
        del run
    return found


def feeding(bench: Bench, case: Case) -> dict[str, Any]:
    """Images a second with a batch on the device, and with ways to bring one there."""
    device, array = bench.device, case.random_images()
    labels = torch.arange(case.images) % CLASSES
    there, targets = torch.from_numpy(array).to(device), labels.to(device)

    def orders() -> Iterator[Tensor]:
        while True:
            yield from torch.randperm(case.images).split(case.batch)[: case.images // case.batch]

    def pageable() -> Iterator[tuple[Tensor, Tensor]]:
        for order in orders():
            yield torch.from_numpy(array[order.numpy()]).to(device), labels[order].to(device)

    def pinned() -> Iterator[tuple[Tensor, Tensor]]:
        for order in orders():
            images = on_device(torch.from_numpy(array[order.numpy()]), device)
            yield images, on_device(labels[order], device)

    def resident() -> Iterator[tuple[Tensor, Tensor]]:
        for order in orders():
            places = on_device(order, device)
            yield there[places], targets[places]

    ways: dict[str, Callable[[], Any]] = {
        "constant": constant_batch(case, device),
        "pageable copies": pageable,
        "pinned, a stream of its own": pinned,
        "on the device, gathered there": resident,
    }
    step = Step() if device.type == "cuda" else CPU_STEP
    with settings_of(step):
        run = build_step(case, device, step)
        seconds = 0.1 if bench.quick else 0.6
        return {name: rate_of(run, way, case, seconds) for name, way in ways.items()}


def graph(bench: Bench, case: Case) -> dict[str, Any]:
    """Images a second with the step captured once and replayed, beside the step as it is."""
    if bench.device.type != "cuda":
        return {"skipped": "needs CUDA"}
    images, labels = next(constant_batch(case, bench.device)())
    core = build_model(case.model, CLASSES, case.size)
    network = nn.Sequential(Normalise([0.5] * 3, [0.29] * 3), core).to(bench.device).train()
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True, capturable=True)

    def run(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            logits = network(images.to(memory_format=torch.channels_last))
        functional.cross_entropy(logits.float(), labels, label_smoothing=0.05).backward()
        optimizer.step()

    with settings_of(Step()):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run(images, labels)
        torch.cuda.current_stream().wait_stream(side)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            run(images, labels)

        def replay(other: Tensor, targets: Tensor) -> None:
            images.copy_(other)
            labels.copy_(targets)
            captured.replay()

        batches = constant_batch(case, bench.device)
        rates = {"replayed": rate_of(replay, batches, case, 0.6)}
        rates["not captured"] = rate_of(run, batches, case, 0.6)
        return rates


def compiled(bench: Bench, case: Case) -> dict[str, Any]:
    """torch.compile of the network in training."""
    step = Step() if bench.device.type == "cuda" else CPU_STEP
    with settings_of(step):
        batches = constant_batch(case, bench.device)
        plain = rate_of(build_step(case, bench.device, step), batches, case, 0.6)
        run = build_step(case, bench.device, step._replace(compiled=True))
        started = time.perf_counter()
        run(*next(batches()))
        synchronise(bench.device)
        seconds = time.perf_counter() - started
        fast = rate_of(run, batches, case, 0.6)
    saved = case.batch / plain - case.batch / fast  # seconds a step
    pays_after = round(seconds / saved) if saved > 0 else None
    return {"plain": plain, "compiled": fast, "seconds": seconds, "pays_after_steps": pays_after}


FAMILIES = """
    alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3
    maxvit_t mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_y_400mf resnet18 resnext50_32x4d
    shufflenet_v2_x0_5 squeezenet1_0 swin_t swin_v2_t vgg11_bn vit_b_32 wide_resnet50_2
"""


def models(bench: Bench) -> dict[str, Any]:
    """A training step of each family of networks at 224 pixels: `ok`, or the error."""
    found = {}
    for name in ["small_cnn", "squeezenet1_0"] if bench.quick else ["small_cnn", *FAMILIES.split()]:
        case = Case(name, 32 if name == "small_cnn" else 224, 8, 16)
        try:
            feed = Feed(case.random_images(), torch.arange(case.images) % CLASSES)
            training = Training(case, bench.device, feed)
            training.epoch(feed, 1)
            found[name] = "ok"
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
    return found


# --- all of it ------------------------------------------------------------------------------------


class Measurement(NamedTuple):
    """One entry of the results; `seconds`: when it is given up."""

    name: str
    run: Callable[[], dict[str, Any]]
    seconds: int


def measurements(bench: Bench) -> Iterator[Measurement]:
    """All, in the order in which they are done."""
    for case in bench.cases:
        yield Measurement(f"loop: {case.name}", lambda case=case: loop(bench, case), 40)
    for case in bench.cases:
        yield Measurement(f"augmented: {case.name}", lambda case=case: augmented(bench, case), 30)
    for model in ("resnet18", "convnext_tiny"):  # with batch norm, and without
        run = partial(out_of_memory, bench, model)
        yield Measurement(f"out of memory: {model}", run, 60)
    yield Measurement("waits", lambda: waits(bench, bench.cases[0]), 30)
    for case in bench.cases:
        yield Measurement(f"judging: {case.name}", lambda case=case: judging(bench, case), 30)
    yield Measurement("models", lambda: models(bench), 100)
    for name in ("digits", "photos"):
        yield Measurement(f"prepare: {name}", lambda name=name: prepare(bench, name), 100)
        yield Measurement(f"repeat: {name}", lambda name=name: repeat(bench, name), 120)
        yield Measurement(f"resumed: {name}", lambda name=name: resumed(bench, name), 90)
        yield Measurement(f"agree: {name}", lambda name=name: agree(bench, name), 90)
    for case in bench.cases:
        yield Measurement(f"feeding: {case.name}", lambda case=case: feeding(bench, case), 40)
        yield Measurement(f"step: {case.name}", lambda case=case: steps(bench, case), 40)
    for case in bench.cases:
        if case.model == "small_cnn":
            yield Measurement(f"graph: {case.name}", lambda case=case: graph(bench, case), 30)
    yield Measurement("fashion", lambda: fashion(bench), 150)
    yield Measurement("online", lambda: online(bench), 90)
    if not bench.quick:
        last = bench.cases[-1]
        yield Measurement(f"compile: {last.name}", lambda: compiled(bench, last), 120)


def out_of_time(*_: Any) -> None:
    raise TimeoutError("out of time")


def measured(measurement: Measurement, slow: bool) -> dict[str, Any]:
    """The result of a measurement, or its error, and how long it took."""
    started = time.perf_counter()
    signal.alarm(measurement.seconds * (4 if slow else 1))
    try:
        result = measurement.run()
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"[-2000:]}
    finally:
        signal.alarm(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return {**result, "took_seconds": time.perf_counter() - started}


def machine(device: torch.device) -> dict[str, Any]:
    """What is measured on, and with which versions."""
    names = ("torch", "torchvision", "numpy", "pandas", "pyarrow", "pillow", "albumentations")
    versions = {name: importlib.metadata.version(name) for name in names}
    found = {"python": platform.python_version(), **versions, "opencv": cv2.__version__}
    found |= {"processors": len(os.sched_getaffinity(0))}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"gpu": properties.name, "gpu_bytes": properties.total_memory}
        found |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return found


def as_line(name: str, result: dict[str, Any]) -> str:
    """One line of the table."""
    shown = {key: value for key, value in result.items() if key not in ("all", "took_seconds")}
    texts = [f"{k} {v:,.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items()]
    return f"{name} ({result['took_seconds']:.1f} s)\n    " + "\n    ".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help="names or beginnings of measurements, with commas")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    parser.add_argument("--fashion", type=Path, help="a folder of Fashion-MNIST's idx files")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("skipped: torch finds no GPU here")
        return
    signal.signal(signal.SIGALRM, out_of_time)
    device = torch.device(options.device)
    wanted = tuple(options.only.split(",")) if options.only else ("",)
    results: dict[str, Any] = {"machine": machine(device)}
    print(json.dumps(results["machine"]), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(device, options.quick, Path(folder), options.fashion)
        for measurement in measurements(bench):
            if not measurement.name.startswith(wanted):
                continue
            results[measurement.name] = measured(measurement, device.type == "cpu")
            options.json.write_text(json.dumps(results, indent=1))
            print(as_line(measurement.name, results[measurement.name]), flush=True)


if __name__ == "__main__":
    main()
