"""A small dataset as three stages leave it, with images of every kind that a page speaks of."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastapi.testclient import TestClient
from PIL import Image

from flows.explorer.server import create_app
from tasks.common import tables
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.paths import EXPOSURE, PREDICTIONS
from tests.conftest import Project, fill

EVIL = "<img src=x onerror=alert(1)>"
PLAIN = "plain & 'quoted'"
SIDE = 96
VARIANTS = 3


def scene(seed: int) -> np.ndarray:
    """A smooth picture, uint8 (SIDE, SIDE, 3), like no other."""
    coarse = np.random.default_rng(seed).integers(30, 220, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_raw(raw: Path) -> None:
    """Classes with a name that is HTML and one with quotes; validation has to be made of train."""
    for number in range(8):
        write(raw / "train" / EVIL / f"{number}.png", scene(number))
        write(raw / "train" / PLAIN / f"{number}.png", scene(100 + number))
    for number in range(2):
        write(raw / "test" / EVIL / f"{number}.png", scene(200 + number))
        write(raw / "test" / PLAIN / f"{number}.png", scene(300 + number))
    write(raw / "train" / PLAIN / "copy.bmp", scene(100))
    write(raw / "train" / PLAIN / "brighter.png", brighter(scene(101)))
    write(raw / "train" / EVIL / "leak.png", brighter(scene(200)))
    for label in (EVIL, PLAIN):
        write(raw / "train" / label / "conflict.png", scene(400))
    deep = scene(500)[:, :, 0].astype(np.uint16) * 257
    write(raw / "train" / PLAIN / "deep.png", deep)
    broken = (raw / "train" / PLAIN / "0.png").read_bytes()[:2000]
    (raw / "train" / PLAIN / "broken.png").write_bytes(broken)
    with tarfile.open(raw / "train" / PLAIN / "shard.tar", "w") as tar:
        data = io.BytesIO()
        Image.fromarray(scene(600)).save(data, "JPEG")
        member = tarfile.TarInfo("inside.jpg")
        member.size = len(data.getvalue())
        tar.addfile(member, io.BytesIO(data.getvalue()))


def brighter(pixels: np.ndarray) -> np.ndarray:
    return (pixels.astype(int) + 12).clip(0, 255).astype(np.uint8)


def make(root: Path) -> Project:
    """The dataset in a project of its own."""
    project = fill(root)
    project.set_params(
        augment__variants_per_image=VARIANTS,
        augment__policy=[
            {"Rotate": {"limit": 20, "p": 1}},
            {"RandomBrightnessContrast": {"p": 0.5}},
        ],
        augment__per_class={EVIL: {"policy": ["InvertImg"]}},  # one image; others are rejected
        validate__stratify="stable",
    )
    write_raw(project.path("data/raw"))
    project.stages_here("ingest", "validate", "augment")
    with project.here():
        write_what_training_leaves()
    return project


def write_what_training_leaves() -> None:
    """Predictions of the test images, one of them wrong, and presentations of the sources."""
    validated = read_validated()
    used = validated[validated["status"] == "ok"]
    test = used[used["split"] == "test"].sort_values("file_name")
    wrong = np.arange(len(test)) == 0
    other = test["label"].map({EVIL: PLAIN, PLAIN: EVIL})
    predictions = test[["source_id", "file_name", "label"]].assign(
        predicted=test["label"].where(~wrong, other),
        probability=0.875,
        probability_of_label=np.where(wrong, 0.125, 0.875),
    )
    tables.write_csv(PREDICTIONS, predictions)
    ids = read_ledger()["source_id"].unique()
    zeros = dict.fromkeys(("online", "device", "replaced", "left_out", "mixed_in"), 0)
    lines = pd.DataFrame({"source_id": ids, "label": "?", "original": 2, "stored": 6, **zeros})
    tables.write_csv(EXPOSURE, lines.assign(presentations=8))


def client() -> TestClient:
    """Asks the application as a browser asks its server."""
    return TestClient(create_app(), base_url="http://127.0.0.1:4201", follow_redirects=False)


def row_of(name: str) -> dict[str, Any]:
    """The row of a file in the validated manifest of the folder that we are in."""
    rows = read_validated()
    (row,) = rows[rows["file_name"] == name].to_dict("records")
    return row
