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
        {"source_id": ["a", "a"], "source_label": ["x", "x"], "kind": ["original", "online"]}
    )
    samples = samples.assign(shown=[3, 2], replaced=[0, 0], left_out=[0, 1])
    exposure.reconcile(exposure.exposure_by_source(samples), "both", 3, pd.Series({"a": 0}))
    for shown in ([4, 2], [3, 1]):
        seen = exposure.exposure_by_source(samples.assign(shown=shown))
        with pytest.raises(RuntimeError, match="source a was not shown as often as planned"):
            exposure.reconcile(seen, "both", 3, pd.Series({"a": 0}))


def samples_of(*rows: tuple[object, ...]) -> pd.DataFrame:
    """A row for each sample: source, its label, kind, how often shown, replaced and left out."""
    columns = ["source_id", "source_label", "kind", "shown", "replaced", "left_out"]
    samples = pd.DataFrame(rows, columns=columns)
    return samples.assign(label=samples["source_label"])


# 3 epochs of two sources in mode `both`; b comes first
SHOWN = samples_of(
    ("b", 7, "original", 3, 0, 0),
    ("a", 4, "original", 2, 0, 1),
    ("b", 7, "stored", 3, 0, 0),
    ("b", 7, "stored", 0, 0, 3),
    ("b", 7, "online", 3, 2, 0),
    ("a", 4, "online", 2, 0, 1),
)
COUNTS = ["original", "stored", "online", "replaced", "left_out", "presentations"]


def test_presentations_are_added_up_for_each_source_in_the_order_of_the_samples() -> None:
    found = exposure.exposure_by_source(SHOWN)
    assert found.columns.tolist() == ["source_id", "label", *COUNTS]
    assert found.to_numpy().tolist() == [["b", 7, 3, 3, 1, 2, 3, 9], ["a", 4, 2, 0, 2, 0, 2, 4]]
    assert (found[COUNTS[:4]].sum(axis=1) == found["presentations"]).all()
    exposure.reconcile(found, "both", 3, pd.Series({"a": 0, "b": 2}))


@pytest.mark.parametrize(
    ("augmentation", "presentations"), [("offline", 40), ("online", 10), ("both", 50)]
)
def test_of_three_stored_variants_an_epoch_shows_four_images_and_one_on_the_fly(
    augmentation: str, presentations: int
) -> None:
    written = pd.Series({"b": 0, "a": 3})  # in another order than the sources, and a third one
    written["c"] = 9
    only = {"offline": 10, "online": 10, "both": 20}[augmentation]
    sources = pd.DataFrame(
        {"source_id": ["a", "b"], "presentations": [presentations - 2, only], "left_out": [2, 0]}
    )
    exposure.reconcile(sources, augmentation, 10, written)
    for wrong in (-1, 1):
        for source in (0, 1):
            other = sources.copy()
            other.loc[source, "presentations"] += wrong
            text = f"^source {'ab'[source]} was not shown as often as planned$"
            with pytest.raises(RuntimeError, match=text):
                exposure.reconcile(other, augmentation, 10, written)


def test_different_images_are_those_from_disk_that_were_shown_and_those_made() -> None:
    # 3 from disk (the stored variant that was always left out is none), 1 + 2 made
    assert exposure.distinct_images(SHOWN) == 6
    # without originals, a source in the place of its rejected variant is one more, however often
    online = SHOWN[SHOWN["kind"] == "online"]
    assert exposure.distinct_images(online) == 3 + 1
    assert exposure.distinct_images(online.assign(replaced=[3, 0])) == 2 + 1
    assert exposure.distinct_images(online.assign(replaced=[1, 0])) == 4 + 1
    assert exposure.distinct_images(online.assign(replaced=0)) == 5


def test_the_summary_by_hand() -> None:
    sources = exposure.exposure_by_source(SHOWN)
    found = exposure.summary(sources, "both", 3, 6, {"4": 4, "7": 9})
    assert type(found["samples_per_epoch"]) is int
    assert found == {
        "augmentation": "both",
        "epochs": 3,
        "sources": 2,
        "samples_per_epoch": 6,
        "original": 5,
        "stored": 3,
        "online": 3,
        "replaced": 2,
        "left_out": 5,
        "presentations": 13,
        "distinct_images": 6,
        "presentations_of_a_source": {"least": 4, "most": 9},
        "presentations_of_a_class": {"4": 4, "7": 9},
    }
    assert exposure.summary(sources, "both", 3, None, {})["distinct_images"] is None


def test_presentations_of_a_class_count_what_was_shown_not_what_it_was_made_of() -> None:
    samples = SHOWN.assign(label=["right", "left", "left", "left", "right", "left"])
    classes = ["down", "left", "right", "up"]
    # from disk: 3 right, 2 + 3 + 0 left; on the fly, by the numbers of the classes
    found = exposure.presentations_by_class(samples, {1: 3, 3: 2}, classes)
    assert found == {"left": 8, "right": 3, "up": 2}
    assert sum(found.values()) == SHOWN["shown"].sum()
