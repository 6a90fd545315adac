import pandas as pd
import pytest

from tasks.pixels.decode import CUT_TO_8_BITS
from tasks.validate.checks import run_checks
from tasks.validate.params import THRESHOLDS, Check, CheckName, ValidateParams

GOOD = {
    "width": 100, "height": 80, "channels": 3, "bits": 8, "lowest": 0, "highest": 255,
    "brightness": 120.0, "contrast": 50.0, "sharpness": 500.0,
    "status": "ok", "reason": None, "detail": None, "cluster": None, "label": "cat",
}  # fmt: skip


def rows_with(*odd: dict, good: int = 40) -> pd.DataFrame:
    rows = pd.DataFrame([*({**GOOD, **one} for one in odd), *[GOOD] * good])
    rows["file_name"] = [f"{number}.png" for number in rows.index]
    rows["source_id"] = rows["file_name"]
    return rows


def found(rows: pd.DataFrame, **checks: Check) -> dict[str, str]:
    return {
        finding.check: finding.text for finding in run_checks(rows, ValidateParams(checks=checks))
    }


def test_nothing_is_found_where_nothing_is_odd() -> None:
    assert found(rows_with()) == {}


@pytest.mark.parametrize(
    ("check", "odd", "text"),
    [
        (
            "tiny",
            {"height": 7, "width": 700},
            "a side of less than 8 pixels: 1 image, 0.png for one",
        ),
        (
            "huge",
            {"width": 10_001, "height": 15},
            "a side of more than 10000 pixels: 1 image, 0.png for one",
        ),
        ("blank", {"contrast": 1.9}, "blank (contrast below 2): 1 image, 0.png for one"),
        ("blurred", {"sharpness": 9.9}, "blurred (sharpness below 10): 1 image, 0.png for one"),
        (
            "dark",
            {"brightness": 110.0},
            "darker than the rest by 3.5 deviations: 1 image, 0.png for one",
        ),
        (
            "bright",
            {"brightness": 126.0},
            "brighter than the rest by 3.5 deviations: 1 image, 0.png for one",
        ),
        (
            "odd_size",
            {"width": 1000, "height": 161},
            "20 times as many pixels as the median, or as few: 1 image",
        ),
        (
            "odd_channels",
            {"channels": 1},
            "channels or bits that less than 5% of all have: 1 image, 0.png for one",
        ),
    ],
)
def test_odd_images_are_found_by_their_measures(check: CheckName, odd: dict, text: str) -> None:
    texts = found(rows_with(odd))
    assert list(texts) == [check] and texts[check].startswith(text)
    (finding,) = run_checks(rows_with(odd), ValidateParams(checks={check: Check(then="fail")}))
    assert finding.fails and finding.images.tolist() == [0]
    assert found(rows_with(odd), **{check: Check(then="off")}) == {}
    lax = 0 if check in ("tiny", "blank", "blurred", "odd_channels") else 1e9
    assert found(rows_with(odd), **{check: Check(threshold=lax)}) == {}


def test_brightness_is_odd_by_its_distance_from_the_median() -> None:
    """Of brightnesses 0..100 the median is 50 and the median distance from it 25.

    So 3.5 deviations are 130 levels.
    """
    spread = [{"brightness": float(value)} for value in range(101)]
    assert found(rows_with(*spread, {"brightness": 50 + 129.0}, good=0)) == {}
    assert list(found(rows_with(*spread, {"brightness": 50 + 134.0}, good=0))) == ["bright"]


def test_small_images_are_never_blurred() -> None:
    assert "blurred" not in found(rows_with({"sharpness": 0.0, "width": 63, "height": 63}))


@pytest.mark.parametrize(
    ("check", "rows", "text"),
    [
        (
            "few_images",
            rows_with(*[{"label": "dog"}] * 9),
            "class 'dog' has 9 usable images, fewer than 10",
        ),
        (
            "few_images",
            rows_with({"label": "dog", "status": "quarantined"}),
            "class 'dog' has 0 usable images, fewer than 10",
        ),
        (
            "imbalance",
            rows_with(*[{"label": "dog"}] * 10, good=201),
            "class 'cat' has 201 images and 'dog' 10: over 20 times as many",
        ),
        (
            "class_names",
            rows_with(*[{"label": "T Shirt"}, {"label": "t-shirt"}] * 10),
            "classes 'T Shirt' and 't-shirt' differ in case or blanks alone",
        ),
        (
            "quarantined",
            rows_with(*[{"status": "quarantined"}] * 3),
            "3 of 43 images are quarantined, over 5%",
        ),
        (
            "large_cluster",
            rows_with(*[{"cluster": "5.png"}] * 3),
            "3 images look the same as 5.png, over 1% of the set",
        ),
        (
            "small_range",
            rows_with(*[{"bits": 16, "lowest": 11, "highest": 4012}] * 3),
            "3 images of 16 bits use 11 to 4,012 of 0 to 65,535 and show few grey levels; if that "
            "is all that they can hold, set ingest.range: [0, 4095]",
        ),
    ],
)
def test_odd_classes_and_sets(check: CheckName, rows: pd.DataFrame, text: str) -> None:
    assert found(rows)[check] == text
    assert check not in found(rows, **{check: Check(then="off")})


def test_images_that_params_yaml_leaves_out_are_no_reason_to_warn() -> None:
    left_out = [{"status": "quarantined", "reason": "not_chosen"}] * 40
    assert "quarantined" not in found(rows_with(*left_out))
    bad = [{"status": "quarantined", "reason": "corrupt"}] * 3
    expected = "3 of 43 images are quarantined, over 5%"
    assert found(rows_with(*left_out, *bad))["quarantined"] == expected


DETECTOR = {"bits": 16, "lowest": 0, "contrast": 1.0, "sharpness": 1.0, "brightness": 7.0}


@pytest.mark.parametrize(
    ("lowest", "highest", "limits"),
    [
        (0, 1, "[0, 255]"),
        (3, 255, "[0, 255]"),
        (0, 256, "[0, 1023]"),
        (0, 1369, "[0, 4095]"),
        (0, 4095, "[0, 4095]"),
        (900, 16_383, "[0, 16383]"),  # 14 bits
        (31_768, 35_863, "[31768, 35863]"),  # 12 bits around an offset
        (0, 16_384, None),
        (0, 65_535, None),
        (700, 700, None),  # blank
    ],
)
def test_the_range_of_16_bit_images_is_that_of_a_detector_that_holds_them(
    lowest: int, highest: int, limits: str | None
) -> None:
    rows = rows_with({**DETECTOR, "lowest": lowest, "highest": highest}, good=30)
    text = found(rows).get("small_range")
    assert (text and text.partition("ingest.range: ")[2]) == limits


def test_images_that_use_their_range_show_that_the_others_do_too() -> None:
    dark, full = {**DETECTOR, "highest": 4000}, {**GOOD, "bits": 16, "highest": 60_000}
    assert "small_range" not in found(rows_with(*[dark] * 20, *[full] * 3, good=0))
    text = found(rows_with(*[dark] * 20, full, good=0))["small_range"]  # a dead pixel, perhaps
    assert text.startswith("20 of 21 images of 16 bits use 0 to 4,000 of 0 to 65,535")
    unused = {**full, "status": "quarantined"}
    assert "small_range" in found(rows_with(*[dark] * 20, unused, good=0))


def test_what_looks_black_for_its_range_is_told_once() -> None:
    rows = rows_with(*[{**DETECTOR, "highest": 4000}] * 3)
    assert list(found(rows)) == ["small_range"]
    assert set(found(rows, small_range=Check(then="off"))) == {"blank", "blurred", "dark"}
    assert run_checks(rows, ValidateParams(), range="image") == []
    assert run_checks(rows, ValidateParams(), range=[0, 4095]) == []


def test_a_range_that_does_not_fit_is_told() -> None:
    rows = rows_with(*[{**DETECTOR, "highest": 4000}] * 3, {"detail": CUT_TO_8_BITS})

    def told(*range: int) -> list[str]:
        return [one.text for one in run_checks(rows, ValidateParams(), list(range))]

    cut = "images that are read as 8 bits, which ingest.range does not change: 1, 3.png for one"
    assert told(0, 4095) == [cut]
    assert told(0, 255) == [
        cut,
        "samples beyond ingest.range [0, 255] are cut off in 3 of 3 images of 16 bits, which use 0 "
        "to 4,000",
    ]
    assert told(0, 60_000) == [
        cut,
        "images of 16 bits use little of ingest.range [0, 60000]: 4,000 at most",
    ]


def test_texts_that_come_with_images_are_no_reason_to_warn() -> None:
    """A folder of notes is no class without images, and a README no image that is lost."""
    rows = rows_with(*[{"status": "quarantined", "reason": "not_an_image", "label": "docs"}] * 3)
    texts = ["README", "docs/LICENSE.md", "docs/notes.txt"]
    assert found(rows.assign(file_name=[*texts, *rows["file_name"][3:]])) == {}
    assert set(found(rows)) == {"few_images", "quarantined"}
    rows = rows.assign(reason=["corrupt"] * 3 + [None] * 40)
    rows["file_name"] = [*texts, *rows["file_name"][3:]]
    assert "quarantined" in found(rows)


@pytest.mark.parametrize("names", [("train", "test"), ("training_set", "Test-Set")])
def test_classes_called_as_splits_are_told(names: tuple[str, str]) -> None:
    rows = rows_with(*[{"label": label} for label in names] * 10)
    found_classes = found(rows)["class_names"]
    shown = ", ".join(map(repr, sorted(names)))
    assert found_classes == f"classes {shown} have names of splits: is that what they are?"


def test_every_check_has_a_test() -> None:
    tested = {"tiny", "huge", "blank", "blurred", "dark", "bright", "odd_size", "odd_channels"}
    assert tested | {
        "few_images",
        "imbalance",
        "class_names",
        "quarantined",
        "large_cluster",
        "small_range",
    } == set(THRESHOLDS)
