"""Pages of classes and operations, on manifests made by hand."""

import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from flows.explorer import summary_parts
from flows.explorer.charts import histograms_of
from flows.explorer.server import create_app
from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS, MEASURES, VALIDATED_COLUMNS
from tasks.dataset.paths import (
    AUDIT_FINDINGS,
    AUDIT_REPORT,
    BREAKDOWN,
    COUNTS,
    EXPOSURE,
    EXPOSURE_METRICS,
    LEDGER,
    PREDICTIONS,
    VALIDATED_MANIFEST,
)
from tasks.dataset.variant_measures import UNTOUCHED, high_is_worst

HOSTILE = "<img src=x onerror=alert(1)>"
Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks the pages of a project in an empty folder."""
    monkeypatch.chdir(tmp_path)
    client = TestClient(create_app(), base_url="http://127.0.0.1:4201")
    return lambda path, **values: client.get(path, params=values or None)


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows, columns=schema.names)
    tables.write_table(path, table.astype(object).where(table.notna(), None), schema)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)


def image(number: int, label: str | None, split: str | None, **more: Any) -> dict[str, Any]:
    status = "ok" if split else "quarantined"
    name = f"{label}/{number}.png"
    return {
        "source_id": f"{number:016x}",
        "file_name": name,
        "label": label,
        "split": split,
        "status": status,
        **more,
    }


def variant(source: dict[str, Any], index: int, **more: Any) -> dict[str, Any]:
    return {
        "variant_id": f"{source['source_id']}-v{index:03}",
        "source_id": source["source_id"],
        "label": source["label"],
        "source_label": source["label"],
        "split": "train",
        "variant_index": index,
        "operations": "[]",
        "status": "written",
        **more,
    }


def applied(**operations: dict[str, Any]) -> str:
    """`operations` of a row of the ledger, as it is written there."""
    found = [{"name": name, **values} for name, values in operations.items()]
    return json.dumps(found, separators=(",", ":"))


def text_of(page: httpx.Response) -> str:
    """What a page says, without tags; white space as one space."""
    body = page.text.partition('<main id="main">')[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def figures(**values: float) -> dict[str, float]:
    ends = {
        f"{name}_{end}": 0.5 for name in ("recall", "precision", "f1") for end in ("low", "high")
    }
    return {**dict.fromkeys(("recall", "precision", "f1"), 0.5), **ends, "images": 4, **values}


@pytest.fixture
def dataset(ask: Ask) -> Ask:
    """Two classes: 3 training, 2 test, 2 unused images of `cat`, 1 training image of HOSTILE."""
    train = [image(number, "cat", "train") for number in (1, 2, 3)]
    test = [image(number, "cat", "test") for number in (4, 5)]
    other = image(6, HOSTILE, "train")
    unused = [
        image(7, "cat", None, reason="corrupt"),
        image(8, "cat", None, status="duplicate"),
        image(9, None, None, reason="no_label"),
    ]
    write(VALIDATED_MANIFEST, [*train, *test, other, *unused], VALIDATED_COLUMNS)
    rows = [
        variant(train[0], 0),
        variant(train[0], 1, sharpness=0.5, operations=applied(Blur={"kernel": 3})),
        variant(train[0], 2, sharpness=0.2, operations=applied(Blur={"kernel": 5})),
        variant(train[1], 1, sharpness=1.5, label="dog", operations=applied(D4={})),
        variant(train[1], 2, status="rejected", reason="gate: border 0.7 > 0.5"),
        variant(train[2], 1, status="rejected", reason="failed: ValueError: too small"),
        variant(other, 1, sharpness=0.9, operations=applied(Blur={"kernel": 7}, D4={})),
    ]
    write(LEDGER, rows, LEDGER_COLUMNS)
    counts = [(2, 2), (2, 1), (1, 0), (0, 0), (0, 0), (1, 1)]
    images = [*train, *test, other]
    write_lines(
        COUNTS,
        [
            {**row, "planned": planned, "written": written, "rejected": planned - written}
            for row, (planned, written) in zip(images, counts, strict=True)
        ],
    )
    shown = [
        {**row, "presentations": count} for row, count in zip(train, (30, 20, 10), strict=True)
    ]
    write_lines(EXPOSURE, shown)
    write_lines(
        PREDICTIONS,
        [
            {**test[0], "predicted": HOSTILE, "probability": 0.75, "probability_of_label": 0.25},
            {**test[1], "predicted": "cat", "probability": 0.9, "probability_of_label": 0.9},
        ],
    )
    BREAKDOWN.parent.mkdir(parents=True, exist_ok=True)
    tables.write_json(BREAKDOWN, {"per_class": {"cat": figures(recall=0.5, images=2)}})
    return ask


def test_the_table_of_classes_counts_images_variants_and_presentations(dataset: Ask) -> None:
    page = dataset("/classes")
    rows = [" ".join(cell.split()) for cell in re.findall(r"<tr><td>(.*?)</tr>", page.text, re.S)]
    texts = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in rows]
    assert texts == [
        "&lt;img src=x onerror=alert(1)&gt; 1 0 0 0 1 1 0",
        "cat 3 0 2 2 5 3 2 10 to 30 50.0% 50% to 50%",
    ]
    assert "no_label" not in page.text and HOSTILE not in page.text
    by_recall = text_of(dataset("/classes", sort="recall"))
    assert by_recall.index("cat 3") < by_recall.index(HOSTILE)  # the worst that is known


@pytest.mark.parametrize(
    ("column", "first"), [("train", "b"), ("validation", "a"), ("test", "a"), ("set_aside", "a")]
)
def test_a_heading_sorts_by_its_own_column(ask: Ask, column: str, first: str) -> None:
    images = [image(number, "a", split) for number, split in enumerate(("validation", "test"))]
    images += [image(9, "a", None, reason="corrupt"), image(10, "b", "train")]
    write(VALIDATED_MANIFEST, images, VALIDATED_COLUMNS)
    page = ask("/classes", sort=column).text
    assert re.findall(r"<tr><td><a [^>]*>(.)</a>", page)[0] == first
    assert re.findall(r'aria-sort="descending"><a href="/classes\?sort=(\w+)"', page) == [column]


def test_many_classes_come_page_by_page(ask: Ask) -> None:
    images = [image(number, f"class {number:03}", "train") for number in range(450)]
    write(VALIDATED_MANIFEST, images, VALIDATED_COLUMNS)
    last = ask("/classes", page=3)
    assert "450 classes" in last.text and last.text.count("<tr><td>") == 50
    assert "class 400" in last.text and "page=2" in last.text and "page=4" not in last.text
    beyond = ask("/classes", page=4)
    assert beyond.status_code == 404 and "page 4: there are 3 of classes" in beyond.text
    assert ask("/classes", page=0).status_code == 400
    assert ask("/classes", sort="file_name").status_code == 400


def test_the_page_of_a_class_says_what_became_of_its_images_and_variants(dataset: Ask) -> None:
    said = text_of(dataset("/class", name="cat"))
    for expected in (
        "in train 3 in validation 0 in test 2 duplicate 1 copies of another image",
        "quarantined: corrupt 1 the decoder failed on the bytes",
        "5 planned = 3 written + 2 rejected",
        "failed 1 a step of the policy, or the encoding, failed on the image;",
        "gate border 1 beyond what augment.gates allows;",
        "What variants of its images show: cat (2), dog (1). Of which classes the variants are "
        "that show it: cat (2).",
        "Training showed its 3 images 60 times with their variants: each 10 to 30 times.",
        "Of 2 test images, with 95% intervals: recall 50.0% (50.0% to 50.0%)",
        f"Taken for another class: {HOSTILE} (1).",
        "sharpness variance of the Laplacian over that of the source at the same scale. Median "
        "0.50; 5% below 0.23, 5% above 1.40",
    ):
        assert expected in said, expected


def test_what_is_worst_comes_first_and_leads_to_its_image(dataset: Ask) -> None:
    page = dataset("/class", name="cat").text
    blurriest = page.partition("<h3>Blurriest variants</h3>")[2].partition("</section>")[0]
    found = re.findall(r'href="(/image[^s"][^"]*)"><img src="([^"]*)"', blurriest)
    ids = ["0000000000000001-v002", "0000000000000001-v001"]  # 1.5 is no blurred image
    assert found == [
        (f"/image?source={its[:16]}#{its}", f"/picture/variant?id={its}") for its in ids
    ]
    assert (
        "/images?kind=variant&amp;source_label=cat&amp;status=written&amp;sort=sharp" in blurriest
    )
    wrong = page.partition("Wrong with the highest confidence")[2].partition("</section>")[0]
    assert 'href="/image?file=cat%2F4.png"' in wrong and "75.0%" in wrong and "5.png" not in wrong
    least = page.partition("<h3>Shown least</h3>")[2].partition("</section>")[0]
    assert re.findall(r"cat%2F(\d)\.png\"><img", least) == ["3", "2", "1"]


def test_the_name_of_a_class_is_text_wherever_it_stands(dataset: Ask) -> None:
    page = dataset("/class", name=HOSTILE)
    assert page.status_code == 200 and "<img src=x" not in page.text
    assert f"Class {HOSTILE}" in text_of(page)
    assert "/images?kind=variant&amp;label=%3Cimg+src%3Dx+onerror%3Dalert%281%29%3E" in page.text


@pytest.mark.parametrize("name", ["bird", "Cat", "cat'", '"; DROP TABLE images', "\0", "x" * 1000])
def test_a_class_that_is_not_there_is_not_found(dataset: Ask, name: str) -> None:
    found = dataset("/class", name=name)
    assert found.status_code == 404
    assert f"class {name!r}: the dataset has none of that name" in text_of(found)
    assert dataset("/class").status_code == dataset("/class", name="").status_code == 400


def test_before_the_first_run_pages_say_what_makes_them(ask: Ask) -> None:
    assert "variegate run --until validate" in text_of(ask("/classes"))
    assert "variegate run --until augment" in text_of(ask("/operations"))
    assert (
        ask("/class", name="cat").status_code == ask("/operation", name="Blur").status_code == 404
    )


# --- equal to what pandas finds ---------------------------------------------------------------


def random_ledger(count: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    source = image(1, "cat", "train")
    rows = [
        variant(
            source,
            index,
            source_label=str(random.choice(["cat", "dog"])),
            status="written" if random.random() < 0.8 else "rejected",
            operations=applied(**{name: {} for name in ("Blur", "D4") if random.random() < 0.5}),
            **{
                name: None if random.random() < 0.1 else round(float(random.gamma(2) / 4), 4)
                for name in MEASURES
            },
        )
        for index in range(1, count)
    ]
    write(LEDGER, rows, LEDGER_COLUMNS)
    return pd.DataFrame(rows)


def test_histograms_count_what_numpy_counts(ask: Ask) -> None:
    ledger = random_ledger(600)
    its = ledger[(ledger["source_label"] == "cat") & (ledger["status"] == "written")]
    found = histograms_of("source_label = ?", ["cat"])
    assert [each.drawn.measure for each in found] == list(MEASURES)
    for each in found:
        values = its[each.drawn.measure].dropna()
        counts = [int(bar.title.split(": ")[1].split(" of ")[0]) for bar in each.drawn.bars]
        assert sum(counts) == len(values)
        for bar, count in zip(each.drawn.bars, counts, strict=True):
            low, high = (
                -np.inf if bar.low is None else bar.low,
                np.inf if bar.high is None else bar.high,
            )
            assert count == ((values >= low) & (values < high)).sum(), bar.title
        low, median, high = values.quantile([0.05, 0.5, 0.95])
        assert each.words == f"Median {median:.2f}; 5% below {low:.2f}, 5% above {high:.2f}"


def test_a_bar_leads_to_so_many_variants_as_it_says(ask: Ask) -> None:
    random_ledger(600)
    found = histograms_of("source_label = ?", ["cat"])
    for each in found:
        linked = summary_parts.with_links(each, {"kind": "variant"})
        for bar, page in zip(linked.drawn.bars, linked.pages, strict=True):
            said = int(bar.title.split(": ")[1].split(" of ")[0])
            rows = csv_of(ask(page.replace("/images?", "/images.csv?")))
            assert said == (rows["source_label"] == "cat").sum(), bar.title


def test_where_rules_relabel_a_class_leads_to_the_variants_of_its_images(ask: Ask) -> None:
    cat, dog = image(1, "cat", "train"), image(2, "dog", "train")
    write(VALIDATED_MANIFEST, [cat, dog], VALIDATED_COLUMNS)
    rows = [variant(cat, 1, label="dog"), variant(dog, 1), variant(dog, 2, label="cat")]
    write(LEDGER, rows, LEDGER_COLUMNS)
    page = html.unescape(ask("/class", name="dog").text)
    assert "kind=variant&label=dog" not in page
    assert "/images?kind=variant&source_label=dog" in page
    found = csv_of(ask("/images.csv", kind="variant", source_label="dog"))
    assert found["variant_id"].tolist() == [row["variant_id"] for row in rows[1:]]


def csv_of(answer: httpx.Response) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(answer.text))


def test_the_worst_are_those_that_pandas_finds(ask: Ask) -> None:
    ledger = random_ledger(300)
    its = ledger[(ledger["source_label"] == "cat") & (ledger["status"] == "written")]
    rows = summary_parts.worst_of("source_label = ?", ["cat"], {"kind": "variant", "label": "cat"})
    found = {row.heading: [card.page[-4:] for card in row.cards] for row in rows}
    expected = {}
    for measure, heading in summary_parts.WORST.items():
        high = high_is_worst(measure)
        values = its[[measure, "variant_id"]].dropna()
        worse = (
            (values[measure] > UNTOUCHED[measure])
            if high
            else (values[measure] < UNTOUCHED[measure])
        )
        ordered = values[worse].sort_values([measure, "variant_id"], ascending=[not high, True])
        expected[heading] = [name[-4:] for name in ordered["variant_id"].head(summary_parts.SHOWN)]
    assert found == expected


def test_operations_are_counted_once_for_each_variant_that_had_them(ask: Ask) -> None:
    source = image(1, "cat", "train")
    twice = '[{"name":"Blur","x":1},{"name":"OneOf","operations":[{"name":"Blur","x":2}]}]'
    rows = [
        variant(source, 1, operations=twice, contrast=0.25),
        variant(source, 2, operations=applied(Blur={}), contrast=0.75),
        variant(source, 3, operations=applied(D4={}), status="rejected", reason="not_distinct"),
        variant(source, 4),
    ]
    write(LEDGER, rows, LEDGER_COLUMNS)
    said = text_of(ask("/operations"))
    assert said.endswith("operation variants rejected Blur 2 0 D4 1 1 100.0% OneOf 1 0 none 1 0")


# --- an operation -----------------------------------------------------------------------------

PARAMS = """
augment:
  variants_per_image: 1
  policy:
  - OneOf: {transforms: [{Blur: {blur_limit: [3, 9]}}, HueSaturationValue]}
  labels:
  - {classes: [cat, "d*"], forbid: [Blur]}
  - {classes: dog, bound: {Blur: {blur_limit: [3, 5]}}, relabel: {Blur: {cat: dog}}}
"""


def test_an_operation_is_held_against_all_other_variants(dataset: Ask) -> None:
    page = dataset("/operation", name="Blur")
    said = text_of(page)
    assert (
        "It was applied to 3 of 6 variants (50.0%). Of these 0 were rejected (0.0%; of all" in said
    )
    assert "of all others 66.7%" in said
    assert "0.9 to 1: 1 of 3 variants, 33.3%; 0.0% of the others" in html.unescape(page.text)
    assert 'class="outline"' in page.text


def test_examples_go_over_the_range_of_what_was_drawn(dataset: Ask) -> None:
    Path("params.yaml").write_text(PARAMS)
    said = text_of(dataset("/operation", name="Blur"))
    assert "By kernel, 3 to 7 among 3 stored variants that had it" in said
    shown = said.partition("Over its range")[2]
    places = [shown.index(f"kernel {side} ") for side in (3, 5, 7)]
    assert places == sorted(places)


def test_rules_and_verdicts_stand_with_their_operation(dataset: Ask) -> None:
    assert "`variegate audit`".strip("`") in text_of(dataset("/operation", name="Blur"))
    Path("params.yaml").write_text(PARAMS)
    AUDIT_REPORT.parent.mkdir(exist_ok=True)
    AUDIT_REPORT.write_text("<p>an audit")
    assert "stands on its page" in text_of(dataset("/operation", name="Blur"))
    finding = {
        "class": "cat", "step": "Blur", "argument": "blur_limit", "low": 3.0, "high": 9.0,
        "verdict": "keeps", "to": None, "share": 0.01, "share_low": 0.0, "share_high": 0.02,
        "untouched": 0.0, "variants": 300,
    }  # fmt: skip
    moves = {**finding, "low": 9.0, "verdict": "moves", "to": "dog", "share": 0.5}
    other_step = {**finding, "step": "D4"}
    tables.write_json(AUDIT_FINDINGS, {"findings": [moves, other_step, finding], "labels": []})
    said = text_of(dataset("/operation", name="Blur"))
    assert "each case a magnitude for one class: 1 moves, 1 keeps." in said
    broken, _, others = said.partition("1 that keep their label or cannot be told")
    assert broken.rstrip().endswith("blur_limit 9 cat moves dog 50.0% 0.0% to 2.0% 0.0% 300")
    assert "blur_limit 3 to 9 cat keeps 1.0% 0.0% to 2.0% 0.0% 300" in others
    assert "augment.labels[0]: for cat, d* it is forbidden" in said
    assert "augment.labels[1]: for dog it is bounded: blur_limit [3, 5]" in said
    assert "augment.labels[1]: for dog it changes the label: cat becomes dog" in said
    assert "[3, 9]" in said  # the step


def test_a_step_that_no_variant_had_has_a_page_and_other_names_have_none(dataset: Ask) -> None:
    Path("params.yaml").write_text(PARAMS)
    unused = text_of(dataset("/operation", name="HueSaturationValue"))
    assert "No stored variant had it." in unused
    assert "HueSaturationValue 0 0" in text_of(dataset("/operations"))
    for name in ("Nothing", 'Blur","kernel":', "blur", HOSTILE, "Bl%"):
        found = dataset("/operation", name=name)
        assert found.status_code == 404
        wanted = f"operation {name!r}: neither in the policy nor applied to any variant"
        assert wanted in text_of(found)


def test_presentations_by_what_images_show_are_said_where_they_differ(dataset: Ask) -> None:
    tables.write_json(EXPOSURE_METRICS, {"presentations_of_a_class": {"cat": 50}})
    said = text_of(dataset("/class", name="cat"))
    assert "Images that showed this class, whatever their source, were shown 50 times." in said
