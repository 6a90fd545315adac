"""The report's part on image quality: box plots on one scale, the classes that are worst."""

import random
import re
from pathlib import Path

import pandas as pd
import pytest

from tasks.dataset.manifests import read_ledger
from tasks.dataset.paths import LEDGER
from tasks.dataset.variant_measures import QUANTILES, UNCHANGED, read_measured
from tasks.evaluate import image_quality
from tasks.evaluate.image_quality import (
    ALL,
    MOST_CLASSES,
    Box,
    box,
    lines,
    quality_section,
    scale_of,
    worst_classes,
)
from tasks.pixels.preprocess import AS_DECODED
from tasks.reports.templates import environment
from tests.tasks.augment import datasets
from tests.tasks.augment.datasets import Dataset


def table(**rows: list[float]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(QUANTILES))


def medians(values: dict[str, float]) -> pd.DataFrame:
    return table(**{name: [value] * 5 for name, value in values.items()})


def test_boxes_stand_between_the_lowest_and_the_highest_of_all() -> None:
    borders = table(a=[0.0, 0.1, 0.2, 0.3, 0.4], b=[0.1, 0.2, 0.3, 0.4, 0.5])
    scale = scale_of("border", borders, borders)
    assert (scale.lowest, scale.highest, scale.untouched) == (0.0, 0.5, 0.0)
    assert scale.ends == "0 to 0.5"
    title = "border: 5% 0.00, 25% 0.10, median 0.20, 75% 0.30, 95% 0.40"
    assert box(borders, "a", scale) == Box(0.0, 20.0, 40.0, 60.0, 80.0, "0.20", title)
    assert box(borders, "c", scale) is None
    [line] = lines({"border": borders}, pd.Series({"a": 7}), [scale], ["a"])
    assert line == ("a", 7, [box(borders, "a", scale)])


def test_noise_does_not_press_all_other_plots_into_a_corner() -> None:
    noisy = table(a=[0.5, 1.0, 1.5, 80.0, 300.0])
    scale = scale_of("sharpness", noisy)
    assert scale.ends == "0.5 to 2 and more" and scale.untouched == pytest.approx(33.33)
    assert box(noisy, "a", scale)[:5] == (0.0, 33.33, 66.67, 100.0, 100.0)


def test_a_scale_has_a_width_where_all_are_equal() -> None:
    assert scale_of("kept", medians({"a": 1.0})).ends == "0 to 1"
    assert scale_of("clipped_low", medians({"a": 0.0})).ends == "0 to 1"
    psnr = scale_of("encoding_psnr", medians({"a": 44.0}))
    assert psnr.ends == "0 to 44" and psnr.untouched is None


def test_of_many_classes_those_with_the_worst_medians_are_shown() -> None:
    many = {f"k{number:03d}": number / 100 for number in range(60)}
    shown = worst_classes({"border": medians(many), "sharpness": medians(many)})
    half = MOST_CLASSES // 2
    ends = [*range(half), *range(60 - half, 60)]
    assert shown == [f"k{number:03d}" for number in ends]
    few = dict.fromkeys(("b", "a"), 0.0)
    assert worst_classes({"border": medians(few)}) == ["a", "b"]


def test_equal_medians_are_no_reason_to_show_a_class() -> None:
    many = {f"k{number:03d}": number / 100 for number in range(60)}
    all_equal = medians(dict.fromkeys(many, 0.0))
    shown = worst_classes({"clipped_low": all_equal, "sharpness": medians(many)})
    assert shown == [f"k{number:03d}" for number in range(MOST_CLASSES)]


@pytest.mark.starts
def test_the_section_shows_the_worst_beside_their_sources_and_escapes_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    turn = {"Rotate": {"limit": 40, "border_mode": 0, "p": 0.9}}
    monkeypatch.setattr(datasets, "POLICIES", [[turn]])
    dataset = Dataset(random.Random(0))
    dataset.files = {f"{label}.png": (label, dataset.content()) for label in ("<b>", "c")}
    dataset.count = {"variants_per_image": 3}
    datasets.run(dataset, tmp_path, monkeypatch)
    measured, ledger = read_measured(LEDGER), read_ledger()
    section = quality_section(measured, dataset.validated(), ledger, AS_DECODED)
    page = render(section)
    assert page == render(quality_section(measured, dataset.validated(), ledger, AS_DECODED))
    assert [line.name for line in section["classes"]] == ["<b>", "c"]
    assert "<b></" not in page
    assert '<td><a href="/class?name=%3Cb%3E">&lt;b&gt;</a></td>' in page
    assert '<td><a href="/operation?name=Rotate">Rotate</a></td>' in page
    assert f"<td>{ALL}</td>" in page  # has no page
    assert not re.findall(r"""src=["'](?!data:)|href=["'](?!/)""", page)
    [border] = [group for group in section["worst"] if group["measure"] == "border"]
    worst = measured.rows["border"].nlargest(4).index
    names = [f"{ledger.label[row]}: {ledger.variant_id[row]}" for row in worst]
    assert [variant["name"] for variant in border["variants"]] == names
    first = ledger.loc[worst[0]]
    address = f"/image?source={first.source_id}#{first.variant_id}"
    assert page.count(f'<a href="{address}">') % 2 == 0 and f'<a href="{address}">' in page
    assert '<a href="/images?kind=variant&amp;sort=border&amp;order=desc">border</a>' in page
    assert '<a href="/images?kind=variant&amp;sort=sharpness&amp;order=asc">sharpness</a>' in page
    assert all(variant["operations"][0].startswith("Rotate") for variant in border["variants"])
    pictures = sum(len(group["variants"]) for group in section["worst"]) * 2
    assert page.count("<img ") == pictures
    assert page.count("<svg ") == page.count("</svg>") > 10


def test_without_variants_the_section_says_so() -> None:
    assert "No variant was measured." in render({"scales": []})


def render(section: dict) -> str:
    folder = Path(image_quality.__file__).parent
    template = environment(folder).get_template("image_quality.html.j2")
    return template.render(quality=section, unchanged=UNCHANGED)
