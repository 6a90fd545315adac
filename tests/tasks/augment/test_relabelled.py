"""Drawn arrows that are flipped: what their variants are labelled as, wherever labels are used."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xxhash

from tasks.augment import committed_segments, counts
from tasks.augment.contact_sheet import variant_name
from tasks.augment.plan import plan_counts
from tasks.augment.segment_cache import DIGEST_BYTES
from tasks.commands.export import export
from tasks.commands.forecast import forecast
from tasks.commands.verify import remake_variant, verify
from tasks.common import tables
from tasks.dataset.image_bytes import locate_variants, read_row
from tasks.dataset.manifests import read_ledger
from tasks.dataset.paths import AUGMENT_METRICS, LEDGER
from tasks.dataset.selections import class_names, example_rows, planned_variants, written_variants
from tasks.dataset.variant_measures import read_measured
from tasks.evaluate.report import count_table
from tasks.lint.count_rules import Planned
from tasks.lint.findings import Finding
from tasks.lint.relabelling_rules import partly_relabelled, relabelled_targets
from tasks.pixels.decode import decode
from tasks.pixels.encode import encode
from tasks.pixels.preprocess import AS_DECODED
from tasks.train import exposure
from tasks.train.device_augmentation.batches import DeviceAugmentation
from tasks.train.device_augmentation.mixing import Mixing
from tasks.train.feed import Feed
from tasks.train.online import OnlineBatches, OnlineVariants
from tasks.train.samples import class_numbers, training_samples
from tasks.variants import recipe
from tasks.variants.originals import NO_ORIGINALS, read_originals
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tasks.variants.sources import to_sources, training_sources
from tests.tasks.augment import datasets
from tests.tasks.augment.datasets import COMMITTED, Dataset, files_below, run
from tests.tasks.variants.test_relabelling import SWAP, arrow

Find = Callable[[AugmentParams, Recipes, Planned], list[Finding]]
OTHER = {"left": "right", "right": "left"}
FLIPS = [{"HorizontalFlip": {"p": 0.5}}, {"RandomBrightnessContrast": {"p": 1.0}}]


def noisy(direction: str, seed: int) -> np.ndarray:
    """An arrow on noise, which makes it another image than any other."""
    noise = np.random.default_rng(seed).integers(0, 60, (9, 9), dtype=np.uint8)
    return arrow(direction) // 2 + 30 + noise


def points_to(pixels: np.ndarray) -> str:
    """Where an arrow points, by its pixels."""
    return max(SWAP, key=lambda each: float(pixels[arrow(each) > 0].mean()))


@pytest.fixture
def arrows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """6 arrows to the left and 3 to the right for training, and one of each to test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setattr(recipe, "library_versions", dict)
    monkeypatch.setattr(datasets, "POLICIES", [FLIPS, [{"HorizontalFlip": {"p": 1.0}}]])
    monkeypatch.setattr(datasets, "RELABEL", ({}, {"HorizontalFlip": SWAP}))
    monkeypatch.setattr(committed_segments, "COMMITS", ("HEAD",))
    monkeypatch.setattr(committed_segments, "committed_files", lambda *_: files_below(COMMITTED))
    dataset = Dataset(random.Random(0))
    names = {f"1{number}": "left" for number in range(6)} | dict.fromkeys("234", "right")
    names |= {"00": "left", "01": "right"}
    pictures = {name: noisy(label, int(name)) for name, label in names.items()}
    dataset.files = {
        f"{name}.png": (names[name], encode(pixels, "png")) for name, pixels in pictures.items()
    }
    dataset.count, dataset.maps = {"variants_per_image": 4}, 1
    return dataset


def recipes_of(dataset: Dataset) -> Recipes:
    return Recipes.from_params(dataset.params(), AS_DECODED, class_names(dataset.validated()))


def test_the_label_is_what_a_variant_shows_and_counts_are_by_its_source(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(arrows, tmp_path, monkeypatch)
    ledger, validated = read_ledger(), arrows.validated()
    labels = validated.set_index("source_id")["label"]
    assert (ledger["source_label"] == ledger["source_id"].map(labels)).all()
    first = ledger["variant_index"] == 0
    assert (ledger["label"] == ledger["source_label"])[first].all()
    for row in locate_variants(written_variants(ledger)).itertuples():
        flipped = '"HorizontalFlip"' in str(row.operations)
        assert row.label == (OTHER[row.source_label] if flipped else row.source_label)
        assert row.label == points_to(decode(read_row(row)).pixels)
    by_source = counts.counts_by_class(counts.read_counts())
    assert {label: row["written"] for label, row in by_source.items()} == {"left": 24, "right": 12}
    # 24 of left and 12 of right, half of each flipped
    found = json.loads(AUGMENT_METRICS.read_text())["by_label"]
    written = written_variants(ledger)["label"].value_counts()
    assert found == {
        "left": {
            "expected": 18,
            "written": written["left"],
            "training_images": written["left"] + 6,
        },
        "right": {
            "expected": 18,
            "written": written["right"],
            "training_images": written["right"] + 3,
        },
    }
    assert written["left"] + written["right"] == 36 and 8 < written["left"] < 28
    assert list(read_measured(LEDGER).by_class("kept").index) == ["left", "right"]
    shown = {row["label"]: row for row in count_table(validated, ledger)}
    assert shown["left"]["written"] == 24 and shown["left"]["after"] == 30
    assert shown["left"]["shown"] == 6 + written["left"]


def test_without_a_map_no_number_by_label_is_told(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrows.maps = 0
    run(arrows, tmp_path, monkeypatch)
    ledger = read_ledger()
    assert (ledger["label"] == ledger["source_label"]).all()
    assert "by_label" not in json.loads(AUGMENT_METRICS.read_text())
    assert "by_label" not in forecast(arrows.validated(), arrows.params(), recipes_of(arrows))


def test_a_changed_map_makes_nothing_again_and_leaves_what_a_cold_run_leaves(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, edited = tmp_path / "plain", tmp_path / "edited"
    arrows.maps = 0
    run(arrows, edited, monkeypatch)
    arrows.maps = 1
    relabelled, said = run(arrows, edited, monkeypatch)
    assert (said["made"], said["reused"]) == (0, 36)
    assert relabelled == run(arrows, tmp_path / "cold", monkeypatch)[0]
    monkeypatch.chdir(edited)
    arrows.commit_and_clone()
    arrows.maps = 0
    left, said = run(arrows, edited, monkeypatch)
    assert said["made"] == 0
    assert left == run(arrows, plain, monkeypatch)[0]
    assert left["counts.csv"] == relabelled["counts.csv"]


def test_segments_of_a_version_without_labels_of_sources_are_reused(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = run(arrows, tmp_path, monkeypatch)
    for index in Path(".variegate/segments").glob("*.sources"):
        rows = index.with_suffix(".parquet")
        older = pq.read_table(rows).drop_columns(["source_label"])
        with tables.ParquetWriter(rows, older.schema) as file:
            file.write(older)
        digest = xxhash.xxh3_64_digest(rows.read_bytes())
        index.write_bytes(digest + index.read_bytes()[DIGEST_BYTES:])
    older = pq.read_table(LEDGER).drop_columns(["source_label"])
    for committed in (False, True):
        if committed:
            with tables.ParquetWriter(LEDGER, older.schema) as file:
                file.write(older)
            arrows.commit_and_clone()
        left, said = run(arrows, tmp_path, monkeypatch)
        assert left == expected and said["made"] == 0


def test_images_that_come_go_and_move_leave_what_a_cold_run_leaves(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(arrows, tmp_path / "warm", monkeypatch)
    arrows.files["5.png"] = "right", encode(noisy("right", 99), "png")
    arrows.files["a/6.png"] = arrows.files.pop("10.png")
    del arrows.files["11.png"]
    arrows.files["12.png"] = "right", arrows.files["12.png"][1]
    warm, said = run(arrows, tmp_path / "warm", monkeypatch)
    assert said["made"] == 4
    assert warm == run(arrows, tmp_path / "cold", monkeypatch)[0]


@pytest.mark.starts
def test_with_any_number_of_workers(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = run(arrows, tmp_path / "one", monkeypatch)
    monkeypatch.setenv("VARIEGATE_WORKERS", "4")
    assert run(arrows, tmp_path / "four", monkeypatch)[0] == one


def test_a_variant_may_equal_an_original_of_what_it_shows_and_none_of_another_class(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = {number: noisy("left", number) for number in (1, 2, 3)}
    arrows.files = {f"1{n}.png": ("left", encode(pixels, "png")) for n, pixels in pictures.items()}
    mirrored = {
        n: encode(np.ascontiguousarray(pixels[:, ::-1]), "png") for n, pixels in pictures.items()
    }
    arrows.files |= {
        "5.png": ("right", mirrored[1]),
        "6.png": ("left", mirrored[2]),  # as an arrow whose label is wrong
        "0.png": ("right", mirrored[3]),  # to test
    }
    arrows.policy, arrows.count = 1, {"variants_per_image": 1}
    for maps, forbidden in ((0, {"11", "5"}), (1, {"12", "6"})):
        arrows.maps = maps
        left, said = run(arrows, tmp_path / "warm", monkeypatch)
        assert left == run(arrows, tmp_path / f"cold{maps}", monkeypatch)[0]
        monkeypatch.chdir(tmp_path / "warm")
        names = arrows.validated().set_index("source_id")["file_name"].str.removesuffix(".png")
        rejected = read_ledger().dropna(subset="reason")
        reasons = (
            rejected["reason"].str.partition(":")[0].set_axis(rejected["source_id"].map(names))
        )
        held_out = {name for name, reason in reasons.items() if reason == "equals_held_out"}
        assert held_out == {"13"}
        assert set(reasons.index) - held_out == forbidden
        assert set(reasons) == {"equals_held_out", "equals_other_class"}
        # the label of a variant that is left out is what it would have shown
        assert (rejected["label"] != rejected["source_label"]).all() == bool(maps)
    assert said["made"] == 0


def test_variants_equal_under_two_labels_are_those_that_show_two_classes(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = noisy("left", 1)
    pair = ("left", pixels), ("right", np.ascontiguousarray(pixels[:, ::-1]))
    arrows.files = {
        f"{n}.png": (label, encode(image, "png")) for n, (label, image) in enumerate(pair, 1)
    }
    monkeypatch.setattr(datasets, "POLICIES", [["HorizontalFlip", "InvertImg"]])
    arrows.count = {"variants_per_image": 3}
    found = {}
    for arrows.maps in (0, 1):
        run(arrows, tmp_path, monkeypatch)
        found[arrows.maps] = json.loads(AUGMENT_METRICS.read_text())["equal_under_two_labels"]
    assert found[0] > 0 and found[1] == 0


def test_what_is_made_again_has_the_labels_of_the_ledger(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(arrows, tmp_path, monkeypatch)
    ledger, validated = read_ledger(), arrows.validated()
    assert verify(validated, recipes_of(arrows), remake=9)["differences"] == []
    changed = planned_variants(ledger).query("label != source_label").iloc[0]
    made = remake_variant(changed["variant_id"], validated, recipes_of(arrows), NO_ORIGINALS)
    assert (made.row["label"], made.row["source_label"]) == tuple(
        changed[["label", "source_label"]]
    )
    name = f"v{changed['variant_index']:03d}"
    change = f"{changed['source_label']} -> {changed['label']}"
    assert variant_name(made.row) == variant_name(changed.to_dict()) == f"{name} {change}"
    arrows.maps = 0
    differences = verify(validated, recipes_of(arrows), remake=9)["differences"]
    remade = example_rows(planned_variants(ledger), 9)
    flipped = remade.query("label != source_label")["variant_id"]
    assert 0 < len(flipped) < 9
    assert sorted(differences) == sorted(
        f"{each}: made again it has another label than the ledger says" for each in flipped
    )


def test_an_export_puts_variants_into_the_folder_of_what_they_show(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(arrows, tmp_path, monkeypatch)
    validated, ledger = arrows.validated(), read_ledger()
    export(validated, ledger, Path("out"), "imagefolder")
    for path in Path("out/train").rglob("*.png"):
        assert points_to(decode(path.read_bytes()).pixels) == path.parent.name
    export(validated, ledger, Path("shards"), "webdataset")
    labels = ["variant_id", "label", "source_label"]
    for folder in ("out", "shards"):
        listed = pd.read_parquet(f"{folder}/manifest.parquet").set_index("variant_id")
        for row in written_variants(ledger)[labels].itertuples():
            assert tuple(listed.loc[row.variant_id, labels[1:]]) == (row.label, row.source_label)
        classes = sorted(set(listed["label"]))
        assert (listed["class_index"].map(dict(enumerate(classes))) == listed["label"]).all()
        older = pd.read_parquet(f"{folder}/manifest.parquet").drop(columns="source_label")
        older.to_parquet(f"{folder}/manifest.parquet")
    export(validated, ledger, Path("out"), "imagefolder")  # of an earlier version: its files


def online(dataset: Dataset, epochs: int) -> OnlineVariants:
    validated = dataset.validated()
    rows, classes = training_sources(validated), class_names(validated)
    planned = pd.Series(0, rows.index)
    its = Recipes.from_params(dataset.params(), AS_DECODED, classes)
    sources = list(to_sources(rows, planned))
    originals = read_originals(validated, AS_DECODED)
    return OnlineVariants(sources, its, epochs, three_channels, originals, classes)


def three_channels(pixels: np.ndarray) -> np.ndarray:
    return np.array([pixels] * 3)


def test_on_the_fly_the_label_is_the_ledgers(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrows.files["5.png"] = "right", encode(noisy("left", 1)[:, ::-1], "png")
    run(arrows, tmp_path, monkeypatch)
    classes = class_names(arrows.validated())
    variants, dataset = planned_variants(read_ledger()), online(arrows, epochs=4)
    for epoch in range(1, 5):
        dataset.set_epoch(epoch)
        stored = variants[variants["variant_index"] == epoch].set_index("source_id")
        for number, source in enumerate(dataset.sources):
            row, shown = stored.loc[source.source_id], dataset[number]
            expected = row["label"] if row["status"] == "written" else row["source_label"]
            assert classes[shown.label] == expected
            assert shown.made == (row["status"] == "written")


@pytest.mark.parametrize("mode", ["offline", "online", "both", "device"])
def test_presentations_of_a_class_are_of_what_was_shown(
    mode: str, arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(arrows, tmp_path, monkeypatch)
    validated, ledger = arrows.validated(), read_ledger()
    classes, samples = class_names(validated), training_samples(validated, ledger, mode)
    stored = samples[samples["kind"] != "online"]
    decoded = [
        np.broadcast_to(decode(read_row(row)).pixels, (3, 9, 9)) for row in stored.itertuples()
    ]
    array = np.array(decoded, np.uint8).reshape(-1, 3, 9, 9)
    batches = OnlineBatches(online(arrows, 3), 0) if mode in ("online", "both") else None
    labels = class_numbers(samples, classes)
    hashes, none = training_sources(validated)["sha256"].tolist(), Mixing(None, None)
    made_by = DeviceAugmentation(hashes, labels, classes, recipes_of(arrows), 9, none)
    feed = Feed(array, labels, batches, made_by if mode == "device" else None)
    shown = dict.fromkeys(classes, 0)
    for epoch in (1, 2, 3):
        for images, labels in feed.epoch(epoch, 4, seed=5):
            for image, label in zip(images.numpy(), labels.tolist(), strict=True):
                assert points_to(image[0]) == classes[label]
                shown[classes[label]] += 1
    counted = samples.assign(**feed.counts())
    assert exposure.presentations_by_class(counted, feed.online_classes, classes) == shown
    sources = exposure.exposure_by_source(counted)
    written = written_variants(ledger).groupby("source_id").size()
    exposure.reconcile(sources, exposure.plan(sources, mode, 3, written))
    own = validated.set_index("source_id")["label"]
    assert (sources["label"] == sources["source_id"].map(own)).all()
    assert sources["presentations"].sum() == sum(shown.values()) and len(sources) == 9


# --- findings -------------------------------------------------------------------------------------


def findings(dataset: Dataset, find: Find = relabelled_targets, **block: object) -> list[Finding]:
    params = AugmentParams(**{**dataset.params().model_dump(exclude_unset=True), **block})
    rows = training_sources(dataset.validated())
    planned = Planned(rows, plan_counts(rows, params), np.zeros(len(rows), int), [])
    its = Recipes.from_params(params, AS_DECODED, class_names(dataset.validated()))
    return find(params, its, planned)


def test_a_class_that_a_rule_names_in_its_map_alone_is_told(arrows: Dataset) -> None:
    swap = {"HorizontalFlip": {"left": "right", "right": "left"}}
    (found,) = findings(arrows, partly_relabelled, labels=[{"classes": "left", "relabel": swap}])
    assert found.text == (
        "params.yaml augment.labels[0].relabel.HorizontalFlip: says what becomes of 'right', and "
        "variants of their own images keep the label; `classes: [left, right]` relabels them too "
        "(lint: partly_relabelled)"
    )
    silent = [
        [{"classes": ["left", "right"], "relabel": swap}],
        [{"classes": name, "relabel": swap} for name in ("left", "right")],
        [
            {"classes": "left", "relabel": swap},
            {"classes": "right", "forbid": "HorizontalFlip"},
        ],
    ]
    for labels in silent:
        assert findings(arrows, partly_relabelled, labels=labels) == []
    none = {"right": {"variants_per_image": 0}}
    labels = [{"classes": "left", "relabel": swap}]
    assert findings(arrows, partly_relabelled, labels=labels, per_class=none) == []


INSTEAD = (
    "`{classes: [left, right], forbid: [HorizontalFlip]}` in augment.labels, in place of relabel, "
    "keeps each class at its target"
)


def test_targets_of_classes_that_are_relabelled_are_told(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = findings(arrows, variants_per_image=None, target_per_class=26)
    assert found.text == (
        "params.yaml augment.target_per_class: counts variants by the class of their source, and "
        "augment.labels relabels them: about 12 of the 23 variants of class 'right' become 'left', "
        f"about 10 of the 20 variants of class 'left' become 'right'; {INSTEAD} "
        "(lint: relabelled_targets)"
    )
    own = {"right": {"target_per_class": 13}}
    (found,) = findings(arrows, per_class=own)
    assert found.place == "params.yaml augment.per_class 'right' target_per_class"
    assert found.instead == INSTEAD
    assert findings(arrows) == []
    arrows.maps = 0
    assert findings(arrows, variants_per_image=None, target_per_class=26) == []


def test_a_plan_tells_what_is_expected_by_label(
    arrows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arrows.count = {"variants_per_image": 4, "per_class": {"right": {"variants_per_image": 1}}}
    found = forecast(arrows.validated(), arrows.params(), recipes_of(arrows))
    # of 24 variants of left and 3 of right half are flipped
    assert found["by_label"] == {"left": {"expected": 13.5}, "right": {"expected": 13.5}}
    assert {label: row["variants"] for label, row in found["classes"].items()} == {
        "left": 24,
        "right": 3,
    }
