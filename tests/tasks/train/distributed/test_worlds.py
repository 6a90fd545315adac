"""Groups of processes train as one process does: same images, same gradients, same counts."""

import json
import os
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.conftest import ROOT, Project, fill
from tests.tasks.train.distributed.worlds import SIZES

pytestmark = pytest.mark.starts
OPTIONS = {
    "plain": {},
    "mixed": {
        "augmentation": "device",
        "mixup": 0.4,
        "cutmix": 1.0,
        "balance": "weights",
        "ema": 0.9,
        "clip_norm": 1.0,
    },
    "frozen": {"weights": "own.safetensors", "freeze": "backbone", "balance": "sampler"},
}
# project-<options>-<size>; what stands between is another run of the same
PROJECTS = (
    *(f"{options}-{size}" for options in OPTIONS for size in (1, 2)),
    "plain-3",
    "plain-again-2",
    "plain-killed-2",
)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that worlds.py has worked in."""
    folder = tmp_path_factory.mktemp("worlds")
    (folder / "origin").mkdir()
    project = fill(folder / "origin")
    project.write_digits(per_class=9, classes=3)
    project.set_params(train__threads=1, train__batch_size=16, augment__variants_per_image=2)
    project.stages_here("ingest", "validate", "augment")
    save_weights(project.path("own.safetensors"))
    for name in PROJECTS:
        copy = Project(folder / f"project-{name}")
        shutil.copytree(project.root, copy.root)
        changes = {**OPTIONS[name.split("-")[0]], "devices": int(name[-1])}
        copy.set_params(**{f"train__{key}": value for key, value in changes.items()})
    environment = {**os.environ, "VARIEGATE_WORKERS": "1", "VARIEGATE_DEVICE": "cpu"}
    command = [sys.executable, "-m", "tests.tasks.train.distributed.worlds", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def save_weights(path: Path) -> None:
    from safetensors.torch import save_file

    from tasks.model.networks import build_model

    torch.manual_seed(1)
    save_file(build_model("small_cnn", 3, 8).state_dict(), path)


def bytes_of(project: Path) -> dict[str, bytes]:
    """All that the stage wrote."""
    folders = (project / name for name in ("models", "plots", "metrics"))
    files = [path for folder in folders for path in sorted(folder.iterdir())]
    return {str(path.relative_to(project)): path.read_bytes() for path in files}


def test_each_process_ends_well_but_for_those_of_the_killed_one(worlds: Path) -> None:
    codes = json.loads((worlds / "codes.json").read_text())
    assert codes.pop("project-plain-killed-2-first") == [1, -9]
    assert {code for each in codes.values() for code in each} == {0}


def test_gradients_and_batch_norms_are_those_of_one_process(worlds: Path) -> None:
    """Also where a process has no image of a batch."""
    alone = torch.load(worlds / "steps-1-0.pt")
    for size in SIZES[1:]:
        ranks = [torch.load(worlds / f"steps-{size}-{rank}.pt") for rank in range(size)]
        for rank in ranks:
            torch.testing.assert_close(rank["loss"], alone["loss"], rtol=1e-5, atol=0)
            torch.testing.assert_close(rank["logits"], alone["logits"], rtol=1e-3, atol=1e-4)
            for own, expected in zip(rank["steps"], alone["steps"], strict=True):
                torch.testing.assert_close(own[1], expected[1], rtol=1e-3, atol=1e-6)
                torch.testing.assert_close(own[2], expected[2], rtol=1e-3, atol=1e-3)
        for rank in ranks[1:]:  # to the bit
            for own, expected in zip(rank["steps"], ranks[0]["steps"], strict=True):
                assert all(torch.equal(own[1][name], each) for name, each in expected[1].items())
                assert all(torch.equal(own[2][name], each) for name, each in expected[2].items())
    shares = [torch.load(worlds / f"steps-3-{rank}.pt")["steps"] for rank in range(3)]
    assert [[step[0]["images"] for step in steps] for steps in shares] == [[3, 1], [2, 1], [2, 0]]


def test_variants_on_the_fly_are_those_of_one_process_and_made_once(worlds: Path) -> None:
    alone = json.loads((worlds / "online-1-0.json").read_text())
    for size in SIZES:
        files = [worlds / f"online-{size}-{rank}.json" for rank in range(size)]
        ranks = [json.loads(file.read_text()) for file in files]
        together = [
            list(chain(*parts)) for parts in zip(*(rank["shown"] for rank in ranks), strict=True)
        ]
        assert together == alone["shown"]
        assert sum(rank["made"] for rank in ranks) == alone["made"] == 6 * 4
        assert [sum(counts) for counts in zip(*(rank["own"] for rank in ranks), strict=True)] == [
            4
        ] * 6
        assert ranks[0]["all"] == [4] * 6 and ranks[0]["classes"] == [[0, 24]]
        assert all(rank["all"] == [0] * 6 and rank["classes"] == [] for rank in ranks[1:])


@pytest.mark.parametrize("options", OPTIONS)
def test_each_image_is_shown_as_often_as_by_one_process(worlds: Path, options: str) -> None:
    alone = worlds / f"project-{options}-1"
    for size in (2, 3) if options == "plain" else (2,):
        together = worlds / f"project-{options}-{size}"
        for name in ("models/exposure.csv", "metrics/exposure.json"):
            assert (together / name).read_bytes() == (alone / name).read_bytes()
        tables = [pd.read_csv(project / "plots/history.csv") for project in (together, alone)]
        pd.testing.assert_frame_equal(*tables, rtol=0.02)


def test_two_runs_and_one_that_was_killed_are_equal_to_the_bit(worlds: Path) -> None:
    expected = bytes_of(worlds / "project-plain-2")
    assert "models/model.safetensors" in expected
    assert bytes_of(worlds / "project-plain-again-2") == expected
    assert bytes_of(worlds / "project-plain-killed-2") == expected
    said = (worlds / "project-plain-killed-2/said-0").read_text().splitlines()
    assert [line for line in said if "goes on" in line] == ["training goes on after step 2 of 8"]


def test_the_first_process_alone_speaks(worlds: Path) -> None:
    project = worlds / "project-plain-3"
    assert (project / "said-0").read_text().splitlines()[0] == (
        "small_cnn, 287,843 weights, 8 x 8 pixels, 3 classes, on 3 devices (cpu)"
    )
    assert [(project / f"said-{rank}").read_text() for rank in (1, 2)] == ["", ""]
