"""What training was shown, counted for each source, in each mode of augmentation."""

import json

import pandas as pd
import pytest

from tasks.train import exposure
from tests.conftest import Project
from tests.tasks.augment.test_stage import run_data_stages


@pytest.mark.parametrize(
    ("augmentation", "samples", "kinds"),
    [
        ("offline", 12 * 4, {"original": 12, "stored": 36, "online": 0}),
        ("online", 12, {"original": 0, "stored": 0, "online": 12}),
        ("both", 12 * 5, {"original": 12, "stored": 36, "online": 12}),
    ],
)
def test_what_was_shown_is_what_was_planned(
    augmentation: str, samples: int, kinds: dict[str, int], digits: Project
) -> None:
    # batches of 47: the offline epoch of 48 leaves its last image out
    digits.set_params(
        augment__variants_per_image=3,
        train__augmentation=augmentation,
        train__epochs=3,
        train__batch_size=47,
    )
    run_data_stages(digits)
    digits.stage("train")
    found = json.loads(digits.path("metrics/exposure.json").read_text())
    seen = pd.read_csv(digits.path("models/exposure.csv"))
    left_out = 3 * (samples % 47 == 1)
    assert found["samples_per_epoch"] == samples and found["left_out"] == left_out
    assert found["presentations"] == 3 * samples - left_out == seen["presentations"].sum()
    assert (
        found["presentations_of_a_class"]
        == seen.groupby(seen["label"].astype(str))["presentations"].sum().to_dict()
    )
    assert len(seen) == found["sources"] == 12
    assert found["distinct_images"] == kinds["original"] + kinds["stored"] + 3 * kinds["online"]
    for kind, count in kinds.items():
        assert 3 * count - left_out <= found[kind] <= 3 * count
    assert sum(found[kind] for kind in kinds) + found["replaced"] == found["presentations"]


def test_online_training_gives_the_same_weights_with_any_number_of_workers(digits: Project) -> None:
    digits.set_params(train__augmentation="online")
    run_data_stages(digits)
    digits.stage("train")
    expected = digits.path("models/model.safetensors").read_bytes()
    digits.stage("train", VARIEGATE_WORKERS="2")
    assert digits.path("models/model.safetensors").read_bytes() == expected


def test_a_source_shown_too_often_or_too_seldom_is_a_defect() -> None:
    samples = pd.DataFrame(
        {"source_id": ["a", "a"], "label": ["x", "x"], "kind": ["original", "online"]}
    )
    samples = samples.assign(shown=[3, 2], replaced=[0, 0], left_out=[0, 1])
    exposure.reconcile(exposure.exposure_by_source(samples), "both", 3, pd.Series({"a": 0}))
    for shown in ([4, 2], [3, 1]):
        seen = exposure.exposure_by_source(samples.assign(shown=shown))
        with pytest.raises(RuntimeError, match="source a was not shown as often as planned"):
            exposure.reconcile(seen, "both", 3, pd.Series({"a": 0}))
