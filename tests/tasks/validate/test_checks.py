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


# --- at the thresholds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "within", "beyond"),
    [
        ("tiny", {"width": 8, "height": 8}, {"width": 7, "height": 9}),
        ("huge", {"width": 10_000}, {"height": 10_001}),
        ("blank", {"contrast": 2.0}, {"contrast": 1.99}),
        ("blurred", {"sharpness": 10.0}, {"sharpness": 9.99}),
        ("blurred", {"sharpness": 1.0, "width": 63}, {"sharpness": 1.0, "width": 64}),
        # the median deviation of 40 equal images is taken for 1: 3.5 / 0.6745 = 5.19 levels
        ("dark", {"brightness": 114.9}, {"brightness": 114.8}),
        ("bright", {"brightness": 125.1}, {"brightness": 125.2}),
        # 20 times the median of 100 x 80, or a twentieth
        ("odd_size", {"width": 2000, "height": 79}, {"width": 2000, "height": 81}),
        ("odd_size", {"width": 21, "height": 20}, {"width": 19, "height": 21}),
    ],
)
def test_an_image_at_the_threshold_is_not_odd(check: CheckName, within: dict, beyond: dict) -> None:
    assert found(rows_with(within)).keys() - {"odd_size"} == set()
    assert check not in found(rows_with(within)) and check in found(rows_with(beyond))


def test_odd_channels_are_those_of_less_than_one_in_twenty() -> None:
    assert "odd_channels" not in found(rows_with(*[{"channels": 1}] * 2, good=38))
    assert "odd_channels" in found(rows_with(*[{"channels": 1}] * 2, good=39))
    deep = [{"bits": 16, "highest": 65_535}]  # RGB as the others, but of other bits
    text = "channels or bits that less than 5% of all have: 1 image, 0.png for one"
    assert found(rows_with(*deep))["odd_channels"] == text


def test_classes_and_sets_at_their_thresholds() -> None:
    assert "few_images" not in found(rows_with(*[{"label": "dog"}] * 10))
    assert "imbalance" not in found(rows_with(*[{"label": "dog"}] * 10, good=200))
    empty = {"label": "emu", "status": "quarantined", "reason": "corrupt"}
    assert "imbalance" not in found(rows_with(empty, *[{"label": "dog"}] * 20, good=400))
    assert "imbalance" not in found(rows_with(*[empty] * 3, good=0))
    lost = {"status": "quarantined", "reason": "corrupt"}
    assert "quarantined" not in found(rows_with(*[lost] * 2, good=38))
    assert found(rows_with(*[lost] * 3, good=38))["quarantined"] == (
        "3 of 41 images are quarantined, over 5%"
    )
    two = rows_with(*[{"cluster": "5.png"}] * 2)
    assert "large_cluster" not in found(two)  # whatever share of the set two images are


def test_a_cluster_is_large_by_its_share_of_all_images() -> None:
    def told(size: int, good: int) -> list[str]:
        rows = rows_with(*[{"cluster": "1.png"}] * size, good=good)
        rows.loc[0, "status"] = "quarantined"  # has no part in it
        return [one.text for one in run_checks(rows, ValidateParams())]

    assert told(5, 295) == ["4 images look the same as 1.png, over 1% of the set"]
    assert told(5, 395) == []
    assert told(6, 394) == ["5 images look the same as 1.png, over 1% of the set"]
    assert told(3, 20) == []


def test_names_that_differ_in_more_than_case_and_blanks_are_different() -> None:
    def told(*labels: str) -> str | None:
        rows = rows_with(*[{"label": label} for label in labels] * 10, good=0)
        return found(rows, imbalance=Check(then="off")).get("class_names")

    differ = "differ in case or blanks alone"
    assert told("cat", "dog") is None
    assert told("1", "-1", "01") is None
    assert told("a-1", "a1", "A 1") == f"classes 'A 1' and 'a-1' and 'a1' {differ}"
    assert told("\ufb01sh", "Fish\u00a0") == f"classes 'Fish\\xa0' and 'ﬁsh' {differ}"
    assert told("stra_sse", "Straße") == f"classes 'Straße' and 'stra_sse' {differ}"


def test_what_the_checks_give_by_hand() -> None:
    rows = rows_with({"contrast": 1.0}, *[{"label": "dog"}] * 3, {"contrast": 0.5}, good=40)
    params = ValidateParams(checks={"few_images": Check(then="fail")})
    few, blank = run_checks(rows, params)
    assert few[:2] == ("few_images", "class 'dog' has 3 usable images, fewer than 10")
    assert few.images.tolist() == [] and few.fails
    assert blank[:2] == ("blank", "blank (contrast below 2): 2 images, 0.png for one")
    assert blank.images.tolist() == [0, 4] and not blank.fails


def test_the_range_of_few_samples_in_many_images() -> None:
    """Nine in ten decide; a range of their own is named where not all are dark."""
    dark, full = {**DETECTOR, "highest": 4000}, {**GOOD, "bits": 16, "highest": 60_000}
    text = found(rows_with(*[dark] * 9, full, good=0))["small_range"]
    assert text.startswith("9 of 10 images of 16 bits use 0 to 4,000 of 0 to 65,535 and show few ")
    assert text.endswith("set ingest.range: [0, 4095]")
    assert "small_range" not in found(rows_with(*[dark] * 8, full, good=0))
    one = found(rows_with(dark, good=0))["small_range"]
    assert one.startswith("1 image of 16 bits use 0 to 4,000")
    # an offset: all samples lie above a quarter of the range, and show few levels
    high = {**DETECTOR, "lowest": 40_000, "highest": 44_000}
    text = found(rows_with(*[high] * 3, good=0))["small_range"]
    assert text.endswith("set ingest.range: [40000, 44000]")
    # other thresholds: little of the range, by others than a detector's samples from 0 on
    middle = rows_with(*[{**DETECTOR, "lowest": 9_000, "highest": 10_000}] * 3, good=0)
    text = found(middle, small_range=Check(threshold=0.1))["small_range"]
    assert text.endswith("set ingest.range: [9000, 10000]")
    half = rows_with(*[{**DETECTOR, "lowest": 5, "highest": 20_000}] * 3, good=0)
    text = found(half, small_range=Check(threshold=0.5))["small_range"]
    assert text.endswith("set ingest.range: [5, 20000]")
    spread = [{**DETECTOR, "lowest": low, "highest": low + 100} for low in (0, 30_000)]
    assert "small_range" not in found(rows_with(*spread, good=0))


def test_tone_is_told_of_8_bit_images_where_those_of_16_use_little() -> None:
    dark = {**DETECTOR, "highest": 4000, "contrast": 0.0}
    rows = rows_with(*[dark] * 3, {"contrast": 0.0})
    assert found(rows)["blank"] == "blank (contrast below 2): 1 image, 3.png for one"
    full = {**dark, "highest": 65_535}
    assert "4 images" in found(rows_with(*[full] * 3, {"contrast": 0.0}))["blank"]
    (finding,) = run_checks(rows, ValidateParams(), range="image")
    assert finding.check == "blank" and finding.images.tolist() == [3]


def test_a_range_is_held_against_usable_images_of_16_bits() -> None:
    deep = [{**DETECTOR, "lowest": 100, "highest": high} for high in (4095, 3000)]
    other = {**deep[0], "highest": 65_535, "status": "quarantined"}
    rows = rows_with(*deep, other)

    others = ("quarantined", "odd_channels")

    def told(*range: int, **checks: Check) -> list[str]:
        params = ValidateParams(checks={**dict.fromkeys(others, Check(then="off")), **checks})
        return [one.text for one in run_checks(rows, params, list(range))]

    assert told(100, 4095) == []
    beyond = (
        "samples beyond ingest.range {} are cut off in {} of 2 images of 16 bits, which use 100"
    )
    assert told(100, 4094) == [f"{beyond.format([100, 4094], 1)} to 4,095"]
    assert told(101, 4095) == [f"{beyond.format([101, 4095], 2)} to 4,095"]
    # an eighth or a quarter of the range is little, by the check's threshold
    share = THRESHOLDS["small_range"]
    edge = int((4095 - 100) / share) + 100
    assert told(100, edge - 1) == []
    assert told(100, edge + 5) == [
        f"images of 16 bits use little of ingest.range {[100, edge + 5]}: 4,095 at most"
    ]
    assert told(101, 200, small_range=Check(then="off")) == []
