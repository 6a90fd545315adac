"""What commands print: exact tables, in a file as in a terminal."""

import io
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest

from flows.console import tables
from flows.doctor import Finding
from flows.versions.diff import compare
from flows.versions.revision import COLUMNS, Version

LONG = "a class whose name is much longer than any terminal is wide " * 5


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The lines that show() prints into a file, whatever the environment says of terminals."""
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)

    def show(parts: Iterable[tables.Part]) -> list[str]:
        tables.show(parts)
        return capsys.readouterr().out.splitlines()

    return show


def test_in_a_file_nothing_is_folded_cut_or_coloured(printed: Any) -> None:
    table = tables.table(["class", "images"], [[LONG.strip(), "1"], ["[red]:cat:", "1,234"]])
    assert printed(["x" * 300, table]) == [
        "x" * 300,
        "class".ljust(len(LONG) - 1) + "  images",
        LONG.strip() + "       1",
        "[red]:cat:".ljust(len(LONG) - 1) + "   1,234",
    ]


def test_a_wide_letter_takes_two_columns(printed: Any) -> None:
    table = tables.table(["class", "images"], [["猫", "1"], ["cats", "2"]])
    assert printed([table]) == ["class  images", "猫          1", "cats        2"]


def test_in_a_narrow_terminal_names_are_folded_and_numbers_are_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    tables.show([tables.table(["class", "images"], [[LONG, "1,234,567,890"]])])
    text = terminal.getvalue()
    assert "\x1b[1m" in text
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert max(map(len, lines)) <= 40 and any(line.endswith("1,234,567,890") for line in lines)


def forecast(**more: Any) -> dict[str, Any]:
    """A forecast of 2 classes; every number but those of its training is made up."""
    counts = {"sources": 1, "variants": 2_000, "training_images": 2_001}
    return {
        "classes": {
            "cat": {**counts, "multiplier": 2_001.0, "expected_distinct": 12.4},
            "a dog": {**counts, "multiplier": 2_001.0, "expected_distinct": 1_999.6},
        },
        "sources": 2,
        "variants": 4_000,
        "policies": [],
        "training_images": 4_002,
        "multiplier": 2_001.0,
        "expected_distinct": 2_012.0,
        "capacity_per_image": 7,
        "capacity_per_image_most": 9,
        "capacity_exact": True,
        "disk_bytes": 1_240_000,
        "seconds": 61.0,
        "warnings": [],
        **more,
    }


def test_a_plan_is_a_table_and_what_it_takes(printed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "3")
    assert printed(tables.plan_forecast(forecast(warnings=["much " * 30]))) == [
        "class  sources  variants  training    times  distinct",
        "cat          1     2,000     2,001  2001.00        12",
        "a dog        1     2,000     2,001  2001.00     2,000",
        "all          2     4,000     4,002  2001.00     2,012",
        "",
        "capacity   one source has exactly 7 to 9, by its size and colours, different images",
        "distinct   of the variants, about how many are expected to differ without drawing again",
        "disk       about 1.2 MB of segments",
        "time       about 61 s here, with 3 workers",
        "",
        "warning    " + ("much " * 18).strip(),
        "           " + ("much " * 12).strip(),
    ]


def test_a_plan_says_what_is_expected_by_label(printed: Any) -> None:
    by_label = {"cat": {"expected": 2_300.25}, "a dog": {"expected": 1_699.75}}
    assert printed([tables._plan_table(forecast(by_label=by_label))]) == [
        "class  sources  variants  training    times  distinct  by label",
        "cat          1     2,000     2,001  2001.00        12   2,301.2",
        "a dog        1     2,000     2,001  2001.00     2,000   1,700.8",
        "all          2     4,000     4,002  2001.00     2,012",
    ]


def test_a_run_says_what_came_by_label_beside_what_was_expected(printed: Any) -> None:
    numbers = {"sources": 2, "planned": 4, "written": 4, "rejected": 0, "training_images": 6}
    classes = {"left": numbers, "right": {**numbers, "written": 3, "training_images": 5}}
    by_label = {
        "left": {"expected": 4, "written": 5, "training_images": 7},
        "right": {"expected": 4.5, "written": 2, "training_images": 4},
    }
    assert printed([tables._variants_table(classes, {}, by_label)]) == [
        "  class  sources  variants  training images  by label  expected",
        "  left         2         4                6         7       6.0",
        "  right        2         3                5         4       6.5",
    ]
    lost = {"right": {"failed": 1}}
    assert printed([tables._variants_table(classes, lost, by_label)])[2].endswith("6.5  1 failed")


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [
        (None, None, "any number of different images of one source"),
        (1, None, "by its size and colours, one source has 1 different images or any number"),
        (1_200, 1_200, "one source has exactly 1,200 different images"),
    ],
)
def test_a_plan_says_what_its_policy_can_make(
    printed: Any, least: int | None, most: int | None, text: str
) -> None:
    found = forecast(capacity_per_image=least, capacity_per_image_most=most)
    assert f"capacity   {text}" in printed(tables.plan_forecast(found))


def test_a_plan_says_what_gates_refuse_and_by_how_large_a_sample(printed: Any) -> None:
    found = forecast(gates={"sampled": 96, "redrawn": 1_200, "rejected": 30})
    line = "gates      about 1,200 variants drawn again and 30 rejected, by a sample of 96"
    assert line in printed(tables.plan_forecast(found))


def test_what_training_sees_marks_the_configured_mode_and_fits_100_columns(printed: Any) -> None:
    row = {
        "stored_images": 50_000_050,
        "samples_per_epoch": 50_000_050,
        "dropped_per_epoch": 1,
        "presentations": 500_000_490_000,
        "expected_distinct_seen": 50_000_050.4,
    }
    modes = dict.fromkeys(("offline", "online", "both"), row)
    training = {"epochs": 10**4, "batch_size": 3, "augmentation": "both", "balance": "none"}
    training["modes"] = modes
    lines = printed(tables.training_forecast(training))
    assert max(map(len, lines)) <= 100
    assert lines[:3] == [
        "epochs     10,000, each image once per epoch in random order, in batches of 3",
        "                 stored   per epoch  dropped    presentations         different",
        "    offline  50,000,050  50,000,050        1  500,000,490,000  about 50,000,050",
    ]
    assert [line[2] for line in lines[2:5]] == [" ", " ", "*"]


def version(sources: int) -> Version:
    counts = {"sources": sources, "written": 8, "training_images": sources + 8}
    classes = {f"{number:02}": counts for number in range(22)}
    same = {"sources": 3, "written": 0, "training_images": 3}
    images = pd.DataFrame(columns=COLUMNS, dtype=str)
    return Version(f"v{sources}", images, {**classes, "same": same}, "0123", {"seed": sources})


def test_a_diff_has_a_table_of_the_classes_whose_counts_changed(printed: Any) -> None:
    lines = printed(tables.dataset_diff(compare(version(2), version(1_000))))
    assert lines[:7] == [
        "v2 -> v1000",
        "files    0: the same images",
        "recipe   0123",
        "params   seed: 2 -> 1,000",
        "",
        "class     sources  written  training images",
        "00     2 -> 1,000        8      10 -> 1,008",
    ]
    assert lines[-2:] == ["19     2 -> 1,000        8      10 -> 1,008", "... and 2 more classes"]
    assert printed(tables.dataset_diff(compare(version(2), version(2)))) == [
        "v2",
        "files    0: the same images",
        "recipe   0123",
    ]


def test_findings_have_their_mend_below(printed: Any) -> None:
    findings = [
        Finding("python", True, "3.11"),
        Finding("raw data", False, "data/raw is empty", "variegate sample digits"),
    ]
    assert printed([tables.findings_table(findings)]) == [
        "ok   python    3.11",
        "BAD  raw data  data/raw is empty",
        "     mend      variegate sample digits",
    ]


def test_a_shortfall_is_told_with_its_reasons_in_all_and_by_class(
    printed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {"sources": 1_000, "planned": 4, "written": 3, "rejected": 1}
    classes = {
        "cat": {**numbers, "training_images": 1_003},
        "dog": {**numbers, "written": 4, "rejected": 0, "training_images": 1_004},
    }
    found = {**numbers, "training_images": 1_003, "warnings": ["new", "printed"]}
    found["rejections"] = {"equals_other_class": 1}
    lost = {"label": ["cat"], "kind": ["equals_other_class"], "count": [1]}
    monkeypatch.setattr(tables, "read_metrics", lambda stage: found)
    monkeypatch.setattr(tables, "read_counts", lambda: None)
    monkeypatch.setattr(tables, "read_rejections", lambda: pd.DataFrame(lost))
    monkeypatch.setattr(tables, "counts_by_class", lambda counts: classes)
    assert printed(tables.run_summary(["augment"], ["warning: printed"])) == [
        "variants         3 of 4 planned",
        "rejected         1 equals_other_class: equal to an original of another class; "
        "say in augment.labels which step to forbid for such classes, or what it makes of them",
        "warning          new",
        "  class  sources  variants  training images              rejected",
        "  cat      1,000         3            1,003  1 equals_other_class",
        "  dog      1,000         4            1,004",
        "training images  1,003",
    ]
    found |= {"rejected": 0, "rejections": {}, "warnings": []}
    assert printed(tables.run_summary(["augment"], []))[:3] == [
        "variants         3 of 4 planned",
        "  class  sources  variants  training images",
        "  cat      1,000         3            1,003",
    ]


def test_the_summary_tells_the_accuracy_with_its_interval_and_what_is_left_of_it_under_noise(
    printed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, Any] = {"accuracy": 0.9924, "accuracy_low": 0.973, "accuracy_high": 0.998}
    found["images"] = 1_264
    monkeypatch.setattr(tables, "read_metrics", lambda stage: found)
    line = "test accuracy    99.24% (97.3 to 99.8) of 1,264 images"
    assert printed(tables.run_summary(["evaluate"], []))[:-1] == [line]
    corrupted = {"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": 0.92}
    found["robustness"] = {**corrupted, "images": 200, "clean_accuracy": 0.995}
    found["test_time_augmentation"] = {**corrupted, "forward_passes": 5}
    assert printed(tables.run_summary(["evaluate"], []))[:-1] == [
        line,
        "corrupted        90.00% (88.0 to 92.0) of 200 of them, "
        "with noise, blur and the like; clean 99.50%",
        "                 90.00% (88.0 to 92.0) with test-time augmentation, 5 times the work",
    ]


def validated(**changes: Any) -> dict[str, Any]:
    """What metrics/validate.json holds of an empty dataset, but for changes."""
    return {
        "layout": "class folders",
        "images": 0,
        "files": 0,
        "clutter": {"files": 2, "first": "._1.jpg"},
        "status": {"ok": 0, "duplicate": 0, "quarantined": 0},
        "quarantined": {},
        "pairs": {"bytes": 0, "pixels": 0, "near": 0, "mirrored": 0, "turned": 0},
        "not_compared": 0,
        "groups": 0,
        "leaks": 0,
        "classes": 0,
        "splits": {},
        "split": "",
        "warnings": [],
        "failures": [],
        **changes,
    }


def test_clutter_is_one_line_of_what_validate_prints(printed: Any) -> None:
    found = validated()
    line = "clutter          2 files of systems and editors left out, ._1.jpg for one"
    lines = printed(tables.validation(found, {}, [], []))
    assert lines[1:4] == [
        "images in        0 in 0 files: 0 usable, 0 duplicates, 0 quarantined",
        line,
        "quarantined      none",
    ]
    found["clutter"] = {"files": 0, "first": None}
    without = printed(tables.validation(found, {}, [], []))
    assert without == [shown for shown in lines if shown != line]


def test_one_of_anything_is_singular(printed: Any) -> None:
    status = {"ok": 1, "duplicate": 1, "quarantined": 0}
    found = validated(status=status, images=2, files=1, not_compared=1)
    lines = printed(
        tables.validation(found, {}, [{"file_name": "a", "before": "train", "after": "test"}], [])
    )
    assert "images in        2 in 1 file: 1 usable, 1 duplicate, 0 quarantined" in lines
    assert "not compared     1 image, for looking the same: see near_duplicates" in lines
    assert any(line.startswith("moved            1 image is in another split") for line in lines)


def test_validate_says_where_to_look_at_images_that_are_set_aside(printed: Any) -> None:
    status = {"ok": 0, "duplicate": 0, "quarantined": 1}
    lines = printed(tables.validation(validated(status=status), {}, [], []))
    at = "images           `variegate ui`, then /images?status=quarantined at its address"
    assert lines[-2] == at


def test_a_plan_shows_the_policies_that_label_rules_leave(printed: Any) -> None:
    steps = ["HorizontalFlip", {"Affine": {"scale": {"x": [0.9, 1], "y": [1, 1.5]}, "p": 1e-05}}]
    changes = ["policy[0] VerticalFlip: forbidden", "policy[2] Affine.scale: x [0.9, 1] instead"]
    own = {"classes": ["6", "a dog"], "policy": steps, "changes": changes}
    written = {"classes": ["cat"], "policy": [{"D4": {"elements": ["e"]}}], "changes": []}
    lines = printed(tables.plan_forecast(forecast(policies=[own, written])))
    assert lines[9:] == [
        "",
        "policy     of '6', 'a dog': policy[0] VerticalFlip: forbidden; policy[2] Affine.scale: x "
        "[0.9, 1]",
        "           instead",
        "           - HorizontalFlip",
        "           - Affine: {scale: {x: [0.9, 1], y: [1, 1.5]}, p: 1e-05}",
        "policy     of 'cat': as augment.per_class has it",
        "           - D4: {elements: [e]}",
    ]
    many = printed(tables.plan_forecast(forecast(policies=[own] * 1_212)))
    assert many[-1] == "           and 1,202 more; --json shows all"


def test_with_a_sampler_no_original_is_said_to_be_shown_once_per_epoch() -> None:
    found = {"augmentation": "device", "epochs": 4, "presentations": 5008, "mixed_in": 0}
    found |= {"original": 0, "stored": 0, "online": 0}
    device = "5,008 in 4 epochs (device): "
    plain = tables._exposure(found)
    assert plain == device + "each original once per epoch, augmented on the device"
    balanced = tables._exposure(found | {"balance": "sampler"})
    assert balanced == device + "originals, augmented on the device, each class equally often"
