"""What training was shown, counted for each source, in each mode of augmentation."""

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from flows import cli
from tasks.augment import __main__ as augment
from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.dataset.manifests import read_validated
from tasks.ingest import __main__ as ingest
from tasks.model.image_array import decoded_images, split_files
from tasks.pixels.decode import decode
from tasks.pixels.hashing import sha256
from tasks.train import __main__ as train
from tasks.train import exposure
from tasks.train.device_augmentation.mixing import Mixing
from tasks.train.device_augmentation.replay import replay
from tasks.train.feed import Feed
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.state import TrainingState
from tasks.train.order import batches_of_epoch
from tasks.train.params import TrainParams
from tasks.train.samples import class_numbers, device_recipe, input_form
from tasks.validate import __main__ as validate
from tests.conftest import Project
from tests.faults.training import checkpoints, outputs
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
    digits.stages_here("train")
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


def test_on_the_device_each_source_is_shown_once_an_epoch_and_replay_shows_it_again(
    digits: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digits.set_params(
        augment__variants_per_image=3,
        train__augmentation="device",
        train__mixup=0.2,
        train__epochs=3,
        train__batch_size=5,
    )
    run_data_stages(digits)
    digits.stages_here("train")
    found = json.loads(digits.path("metrics/exposure.json").read_text())
    seen = pd.read_csv(digits.path("models/exposure.csv"))
    assert found["samples_per_epoch"] == found["sources"] == len(seen) == 12
    assert found["presentations"] == found["device"] == found["mixed_in"] == 3 * 12
    assert found["original"] == found["stored"] == found["online"] == found["left_out"] == 0
    assert found["distinct_images"] is None
    assert (seen["presentations"] == 3).all() and seen["mixed_in"].sum() == 36
    assert found["presentations_of_a_class"] == {"0": 12, "1": 12, "2": 12}

    monkeypatch.chdir(digits.root)
    params = read_params("train", TrainParams)
    validated = read_validated()
    form = input_form(validated, params)
    recipe = device_recipe(params, form, ["0", "1", "2"])
    assert recipe
    card = json.loads(digits.path("models/model.json").read_text())
    assert card["recipe_hash"] == recipe.hash
    files = split_files(validated, "train")
    with decoded_images(files, form, "decoding") as array:
        labels = class_numbers(files, ["0", "1", "2"])
        feed = Feed(np.array(array), labels, augmentation=recipe.augmentation(validated))
    order = np.concatenate(batches_of_epoch(12, 5, params.seed, 2))
    images = torch.cat([batch for batch, _ in feed.epoch(2, 5, params.seed)])
    for place, sample in list(enumerate(order))[::4]:
        name = f"{files['source_id'].iloc[sample]}-d002"
        again = replay(name, validated, recipe, 3)
        pixels = torch.tensor(decode(again.data).pixels).permute(2, 0, 1)
        assert torch.equal(pixels, images[place])
        assert again.label == files["label"].iloc[sample] and again.partner
    capsys.readouterr()
    cli.replay(name, Path("again.png"))
    assert digits.path("again.png").read_bytes() == again.data
    share = f"{1 - again.share:.0%} of it {again.partner}"
    assert capsys.readouterr().out == (
        f"wrote again.png: 8 x 8, class {again.label}, {share}, sha256 {sha256(again.data)}\n"
    )
    source = name.partition("-")[0]
    now = "params.yaml now says [0-9a-f]{16}"
    other = replace(recipe, mixing=Mixing(0.3, None))
    for asked, made_by, text in (
        (f"{source}-d004", recipe, f"'{source}-d004': needs an epoch from 1 to 3, found '004'"),
        (f"{source}-dx", recipe, f"'{source}-dx': needs an epoch from 1 to 3, found 'x'"),
        ("abc-d001", recipe, "'abc-d001': no training source has the id 'abc'"),
        (name, other, f"'{name}': the model was trained with recipe {recipe.hash}; {now}"),
    ):
        with pytest.raises(UserError, match=f"^variant {text}$"):
            replay(asked, validated, made_by, 3)
    digits.set_params(train__augmentation="offline", train__mixup=None)
    needs = "needs train.augmentation: device in params.yaml, found offline"
    with pytest.raises(UserError, match=f"^variant '{name}': {needs}$"):
        cli.replay(name, Path("again.png"))


def test_online_training_is_the_same_with_any_number_of_workers_and_after_a_kill(
    digits: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, where everything is imported; tests/faults/ kills a stage by SIGKILL."""

    class Killed(BaseException):
        pass

    def save_and_die(checkpoint: Checkpoint, state: TrainingState) -> None:
        save(checkpoint, state)
        raise Killed

    def lines_of_training() -> list[str]:
        capsys.readouterr()
        try:
            train.main()
        finally:
            for worker in multiprocessing.active_children():  # as they end with a stage's process
                worker.kill()
        return capsys.readouterr().out.splitlines()

    save = Checkpoint.save
    monkeypatch.chdir(digits.root)
    digits.set_params(train__augmentation="online", train__epochs=3)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    for stage in (ingest, validate, augment):
        stage.main()
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    lines_of_training()
    expected = outputs(digits)
    assert len(expected) >= 6 and not checkpoints(digits, "*")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Checkpoint, "save", save_and_die)
        lines_of_training()
    assert checkpoints(digits, "[!.]*")
    shutil.rmtree(digits.path("models"))
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    told = [line.partition(":")[0] for line in lines_of_training()]
    assert told[1:4] == ["training goes on after step 1 of 3", "epoch 2", "epoch 3"]
    assert outputs(digits) == expected
    assert not checkpoints(digits, "*")


def test_a_source_shown_too_often_or_too_seldom_is_a_defect() -> None:
    samples = pd.DataFrame(
        {"source_id": ["a", "a"], "source_label": ["x", "x"], "kind": ["original", "online"]}
    )
    samples = samples.assign(shown=[3, 2], replaced=[0, 0], left_out=[0, 1], mixed_in=0)
    exposure.reconcile(exposure.exposure_by_source(samples), np.array([6]))
    for shown in ([4, 2], [3, 1]):
        seen = exposure.exposure_by_source(samples.assign(shown=shown))
        with pytest.raises(RuntimeError, match="source a was not shown as often as planned"):
            exposure.reconcile(seen, np.array([6]))


def samples_of(*rows: tuple[object, ...]) -> pd.DataFrame:
    """A row for each sample: source, its label, kind, how often shown, replaced and left out."""
    columns = ["source_id", "source_label", "kind", "shown", "replaced", "left_out"]
    samples = pd.DataFrame(rows, columns=columns)
    return samples.assign(label=samples["source_label"], mixed_in=range(len(samples)))


# 3 epochs of two sources in mode `both`; b comes first
SHOWN = samples_of(
    ("b", 7, "original", 3, 0, 0),
    ("a", 4, "original", 2, 0, 1),
    ("b", 7, "stored", 3, 0, 0),
    ("b", 7, "stored", 0, 0, 3),
    ("b", 7, "online", 3, 2, 0),
    ("a", 4, "online", 2, 0, 1),
)
COUNTS = [
    *("original", "stored", "online", "device", "replaced", "left_out"),
    *("presentations", "mixed_in"),
]


def test_presentations_are_added_up_for_each_source_in_the_order_of_the_samples() -> None:
    found = exposure.exposure_by_source(SHOWN)
    assert found.columns.tolist() == ["source_id", "label", *COUNTS]
    assert found.to_numpy().tolist() == [
        ["b", 7, 3, 3, 1, 0, 2, 3, 9, 0 + 2 + 3 + 4],
        ["a", 4, 2, 0, 2, 0, 0, 2, 4, 1 + 5],
    ]
    assert (found[COUNTS[:5]].sum(axis=1) == found["presentations"]).all()
    exposure.reconcile(found, exposure.plan(found, "both", 3, pd.Series({"a": 0, "b": 2})))


@pytest.mark.parametrize(
    ("augmentation", "presentations"),
    [("offline", 40), ("online", 10), ("both", 50), ("device", 10)],
)
def test_of_three_stored_variants_an_epoch_shows_four_images_and_one_on_the_fly(
    augmentation: str, presentations: int
) -> None:
    written = pd.Series({"b": 0, "a": 3})  # in another order than the sources, and a third one
    written["c"] = 9
    only = {"offline": 10, "online": 10, "both": 20, "device": 10}[augmentation]
    sources = pd.DataFrame(
        {"source_id": ["a", "b"], "presentations": [presentations - 2, only], "left_out": [2, 0]}
    )
    planned = exposure.plan(sources, augmentation, 10, written)
    assert planned.tolist() == [presentations, only]
    exposure.reconcile(sources, planned)
    for wrong in (-1, 1):
        for source in (0, 1):
            other = sources.copy()
            other.loc[source, "presentations"] += wrong
            text = f"^source {'ab'[source]} was not shown as often as planned$"
            with pytest.raises(RuntimeError, match=text):
                exposure.reconcile(other, planned)


def test_a_balanced_order_is_accounted_for_by_source() -> None:
    # class 0: a and its variant; class 1: b. 3 samples an epoch, so 6 in 2 epochs, 3 of each class
    samples = samples_of(("a", 0, "original", 0, 0, 0), ("a", 0, "stored", 0, 0, 0))
    samples = pd.concat([samples, samples_of(("b", 1, "original", 0, 0, 0))], ignore_index=True)
    samples = samples.assign(number=samples["label"])
    assert exposure.balanced_plan(samples, 5, 2).tolist() == [3, 3]
    assert exposure.balanced_plan(samples, 5, 1).tolist() == [2, 1]
    assert exposure.weights_by_class(samples) == {"0": 0.75, "1": 1.5}


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
        "device": 0,
        "replaced": 2,
        "left_out": 5,
        "presentations": 13,
        "mixed_in": 15,
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
