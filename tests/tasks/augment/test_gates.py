"""No variant of the ledger is beyond a gate, whatever makes it; what is rejected is counted."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.common import events
from tasks.dataset.manifests import read_ledger
from tasks.dataset.paths import AUGMENT_METRICS, COUNTS
from tasks.dataset.selections import planned_variants
from tasks.pixels.encode import encode
from tasks.variants.params import AugmentParams
from tests.tasks.augment.datasets import Dataset, run

BLACK_CORNERS = [{"Rotate": {"limit": 45, "border_mode": 0, "p": 1.0}}]
BORDER = {"border": {"max": 0.15}}


class Gated(Dataset):
    """Twelve images of 30 x 40 pixels that are rotated, with gates."""

    then: dict[str, Any] = BORDER
    attempts = 3

    def __post_init__(self) -> None:
        self.count = {"variants_per_image": 5}
        for number in range(12):
            levels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
            self.files[f"1{number:02d}.png"] = "ab"[number % 2], encode(levels, "png")

    def params(self) -> AugmentParams:
        return AugmentParams(
            policy=BLACK_CORNERS, gates=self.then, max_attempts=self.attempts, **self.count
        )


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")


def left(dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files, _ = run(dataset, folder, monkeypatch)
    assert "error" not in files
    return files


@pytest.mark.starts
def test_no_variant_is_beyond_the_gate_and_the_counts_are_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = left(Gated(random.Random(0)), tmp_path / "cold", monkeypatch)
    variants = planned_variants(read_ledger())
    written = variants[variants["status"] == "written"]
    rejected = variants[variants["status"] == "rejected"]
    assert len(variants) == 60 and 0 < len(rejected) < 20
    assert written["border"].between(0, 0.15).all() and (written["attempt"] > 0).any()
    assert rejected["reason"].str.fullmatch(r"gate: border 0\.\d{1,4} > 0\.15").all()
    assert (rejected["attempt"] == Gated.attempts - 1).all()
    lines = pd.read_csv(COUNTS)
    assert (lines["planned"] == 5).all() and (lines["written"] + lines["rejected"] == 5).all()
    assert lines["rejected"].sum() == len(rejected)
    metrics = json.loads(AUGMENT_METRICS.read_text())
    assert metrics["rejections"] == {"gate border": len(rejected)}
    assert (metrics["planned"], metrics["written"]) == (60, len(written))
    # other numbers of workers, and histories
    monkeypatch.setenv("VARIEGATE_WORKERS", "4")
    assert left(Gated(random.Random(0)), tmp_path / "four", monkeypatch) == cold
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    grown, warm = Gated(random.Random(0)), tmp_path / "warm"
    grown.count = {"variants_per_image": 2}
    del grown.files["103.png"]
    left(grown, warm, monkeypatch)
    assert left(Gated(random.Random(0)), warm, monkeypatch) == cold


@pytest.mark.starts
def test_a_gate_that_warns_makes_the_same_variants_and_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, said = Gated(random.Random(0)), []
    dataset.then = {}
    free = left(dataset, tmp_path, monkeypatch)
    dataset.then = {"border": {"max": 0.15, "then": "warn"}}
    monkeypatch.setattr(events, "say", said.append)
    warned = left(dataset, tmp_path, monkeypatch)
    beyond = int((planned_variants(read_ledger())["border"] > 0.15).sum())
    text = f"{beyond} of 60 variants ({beyond / 60:.1%}) have border > 0.15"
    mend = "`border: {max: 0.15}` in augment.gates would draw them again"
    assert f"warning: {text}; {mend}" in said
    assert {name: warned[name] for name in free if name != "metrics"} == {
        name: data for name, data in free.items() if name != "metrics"
    }
