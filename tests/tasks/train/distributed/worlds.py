"""Groups of 1, 2 and 3 processes, forked from one that has imported what they run.

`python -m tests.tasks.train.distributed.worlds FOLDER`: in FOLDER are projects, in which the train
stage runs, and what else groups do is written there. A start by torch's launcher takes ten times as
long: test_launch.py does that.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from tasks.model import device
from tasks.model.device import fix_randomness
from tasks.model.images import as_input
from tasks.model.inference import Normalise
from tasks.model.networks import build_model
from tasks.train import __main__ as stage
from tasks.train import online
from tasks.train.distributed.batch_norm import share_batch_norms
from tasks.train.distributed.group import Group
from tasks.train.distributed.rank import STORE, joined
from tasks.train.feed import Feed
from tasks.train.loop import checkpoint
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.fit import logits_of_all, train_step
from tasks.train.loop.gradients import Loss
from tasks.train.loop.state import TrainingState
from tasks.train.online import OnlineBatches, OnlineVariants
from tasks.train.params import TrainParams
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source
from tests.tasks.train.loop.test_fit import two_classes
from tests.tasks.train.test_online import EPOCHS, FLIPS, recipe, sources

SIZES = (1, 2, 3)
CPU = torch.device("cpu")


def run_world(size: int, function: Callable[[], None]) -> list[int]:
    """Run `function` in each process of a group; how each ended, as os.waitstatus_to_exitcode()."""
    with TemporaryDirectory() as folder:
        processes = []
        for rank in range(size):
            process = os.fork()
            if process == 0:
                _be_rank(rank, size, folder, function)
            processes.append(process)
        return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


def _be_rank(rank: int, size: int, folder: str, function: Callable[[], None]) -> None:
    variables = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
    variables |= {"TORCHELASTIC_RUN_ID": "test", STORE: f"{folder}/ranks"}
    variables |= {"TORCHELASTIC_ERROR_FILE": f"{folder}/failed-{rank}.json"}
    os.environ.update({name: str(value) for name, value in variables.items()})
    code = 1
    try:
        function()
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


# --- what they do ---------------------------------------------------------------------------------


def train_stage(project: Path, kill_after: int | None = None) -> None:
    """The train stage; what a process says goes into a file of its own."""
    os.chdir(project)
    rank = os.environ["RANK"]
    sys.stdout = Path(f"said-{rank}").open("a", buffering=1, encoding="utf-8")  # noqa: SIM115
    if kill_after is not None:
        kill_in_step(kill_after)
    stage.main()


def kill_in_step(last: int) -> None:
    """Checkpoints after each step, and the second process is killed after step `last`."""
    checkpoint.STEPS_BETWEEN = 1
    save_if_due = Checkpoint.save_if_due

    def saving(self: Checkpoint, state: TrainingState, end_of_epoch: bool = False) -> None:
        self.seconds = self.cost = 0.0
        save_if_due(self, state, end_of_epoch)
        if state.step == last and state.group.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.save_if_due = saving  # type: ignore[method-assign]


def take_steps(size: int, folder: Path) -> None:
    """Two steps, of 7 images and of 2; after each the gradients, and what batch norms have seen."""
    device.has_bfloat16 = lambda _: False  # gradients are compared to more digits than it has
    params = TrainParams(batch_size=7, epochs=1, devices=size)
    with joined(size) as group:
        fix_randomness(params.seed, 1)
        core = build_model("small_cnn", 2, 8)
        network = nn.Sequential(Normalise([0.5] * 3, [0.2] * 3), core)
        images, labels = two_classes(9)
        feed = Feed(images[:9], labels[:9], group=group)
        if size > 1:
            share_batch_norms(network)
        state, found = TrainingState(network.train(), feed, params, CPU), []
        for shown, classes in feed.epoch(1, params.batch_size, params.seed):
            train_step(state, shown, classes, Loss(0.1, torch.tensor([0.5, 2.0])))
            gradients = {name: w.grad.clone() for name, w in core.named_parameters()}  # type: ignore[union-attr]
            found.append(({"images": len(shown)}, gradients, core.state_dict().copy()))
        two = group.share_of(images[:2])
        logits = logits_of_all(network, two, CPU, group)
        content = {"steps": found, "loss": state.loss_sum, "logits": logits}
        torch.save(content, folder / f"steps-{size}-{group.rank}.pt")


def show_online(size: int, images: list[Source], folder: Path) -> None:
    """What each process shows on the fly, and how many variants it makes for that."""
    made = []
    draw = online.draw_variant

    def counting(*arguments: Any) -> Any:
        made.append(arguments[3])
        return draw(*arguments)

    online.draw_variant = counting
    with joined(size) as group:
        feed = online_feed(images, group)
        shown = []
        for epoch in range(1, EPOCHS + 1):
            for batch, classes in feed.epoch(epoch, 4, 42):
                hashes = [sha256(image.numpy().tobytes()).hexdigest() for image in batch]
                shown.append(list(zip(hashes, classes.tolist(), strict=True)))
        own = feed.shown.tolist()
        feed.collect()
        content = {"shown": shown, "made": len(made), "own": own, "all": feed.shown.tolist()}
        content["classes"] = sorted(feed.online_classes.items())
        Path(folder, f"online-{size}-{group.rank}.json").write_text(json.dumps(content))


def online_feed(images: list[Source], group: Group) -> Feed:
    """Each epoch shows another variant of each image."""
    to_input = partial(as_input, size=8)
    dataset = OnlineVariants(images, Recipes(recipe(FLIPS)), EPOCHS, to_input)
    none = np.zeros((0, 3, 8, 8), np.uint8)
    labels = torch.zeros(len(dataset), dtype=torch.int64)
    return Feed(none, labels, OnlineBatches(dataset, 0), group=group)


def main(folder: Path) -> None:
    """All of it; each group's exit codes by name are written to codes.json."""
    torch.set_num_threads(1)
    for late in ("torch._dynamo", "tasks.train.curves"):  # which the stage imports late
        import_module(late)
    codes = {}
    images = sources(folder, planned=0)  # written once: processes that share a folder only read
    for size in SIZES:
        codes[f"steps-{size}"] = run_world(size, partial(take_steps, size, folder))
        codes[f"online-{size}"] = run_world(size, partial(show_online, size, images, folder))
    for project in sorted(folder.glob("project-*")):
        size = int(project.name[-1])
        if "killed" in project.name:
            codes[f"{project.name}-first"] = run_world(size, partial(train_stage, project, 2))
        codes[project.name] = run_world(size, partial(train_stage, project))
    Path(folder, "codes.json").write_text(json.dumps(codes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
