"""What Prefect shows of the variants: each class, and why variants were rejected."""

import random
from pathlib import Path
from typing import Any

import pytest

from flows.run import artifacts
from tests.tasks.augment import datasets
from tests.tasks.augment.datasets import Dataset


@pytest.mark.starts
def test_rejected_variants_have_their_reasons_by_class_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setattr(datasets, "POLICIES", [["InvertImg"]])  # one new image of each source
    dataset = Dataset(random.Random(0))
    dataset.files = {f"a{number}.png": ("a", dataset.content()) for number in range(3)}
    dataset.files["b0.png"] = ("b", dataset.content())
    dataset.count = {
        "variants_per_image": 3,
        "per_class": {"b": {"variants_per_image": 1}},
    }
    datasets.run(dataset, tmp_path, monkeypatch)
    shown: dict[str, Any] = {}
    monkeypatch.setattr(
        artifacts, "create_table_artifact", lambda rows, key, description: shown.update({key: rows})
    )
    artifacts.publish_classes()
    counts = {"sources": 3, "planned": 9, "written": 3, "rejected": 6, "training_images": 6}
    whole = {"sources": 1, "planned": 1, "written": 1, "rejected": 0, "training_images": 2}
    assert shown == {
        "images-per-class": [
            {"class": "`a`", **counts, "reasons": "6 not_distinct"},
            {"class": "`b`", **whole, "reasons": ""},
        ],
        "rejected-variants": [
            {
                "reason": "not_distinct",
                "variants": 6,
                "meaning": "equal to their source or to another variant of it",
                "mend": "ask for fewer, or add a step to augment.policy: "
                "it makes no more different images of them",
            }
        ],
    }
