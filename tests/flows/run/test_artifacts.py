"""What Prefect shows of a stage, which is no more than its events take."""

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from flows.pipeline import without_advice
from flows.run import artifacts
from flows.run.artifacts import MOST_BYTES_OF_PICTURE, picture_or_size
from tasks.augment.__main__ import SOURCES_SHOWN
from tasks.augment.contact_sheet import CELL, MOST_SHOWN, SHEET_QUALITY
from tasks.common.tables import write_table
from tasks.common.texts import code_span
from tasks.dataset.columns import MEASURES, VALIDATED_COLUMNS
from tasks.dataset.manifests import read_ledger
from tasks.dataset.paths import VALIDATED_MANIFEST, page_of_class, page_of_variant
from tasks.pixels.encode import encode
from tasks.pixels.thumbnails import data_uri
from tests.tasks.augment import datasets
from tests.tasks.augment.datasets import Dataset

MOST_BYTES_OF_EVENT = 1_500_000  # Prefect's


def test_a_picture_that_prefect_would_refuse_is_named_alone() -> None:
    assert picture_or_size("contact sheet", "data:,x") == "![contact sheet](data:,x)"
    too_large = "x" * (MOST_BYTES_OF_PICTURE + 1)
    said = "The contact sheet is too large for this page: 1,400,001 bytes."
    assert picture_or_size("contact sheet", too_large) == said
    assert MOST_BYTES_OF_PICTURE < MOST_BYTES_OF_EVENT


def test_a_contact_sheet_of_photos_fits() -> None:
    photo = Image.fromarray(load_sample_image("china.jpg"))
    cell = np.asarray(photo.resize((CELL, CELL)))
    sheet = np.tile(cell, (SOURCES_SHOWN, 1 + MOST_SHOWN, 1))
    assert len(data_uri(encode(sheet, "jpeg", SHEET_QUALITY), "jpeg")) < MOST_BYTES_OF_PICTURE


def test_prefects_advice_on_servers_is_no_part_of_a_log() -> None:
    def record(message: str) -> logging.LogRecord:
        return logging.LogRecord("prefect", logging.INFO, __file__, 1, message, None, None)

    starting = record("Starting temporary server on http://127.0.0.1:8350\nSee https://docs x.")
    assert without_advice(starting)
    assert starting.getMessage() == "Starting temporary server on http://127.0.0.1:8350"
    other = record("first\nsecond, see https://x")
    assert without_advice(other) and other.getMessage() == "first\nsecond, see https://x"


def test_classes_have_what_came_by_label_where_a_rule_relabels() -> None:
    found = artifacts.label_cells(2, {"expected": 4.25, "written": 5, "training_images": 7})
    assert found == {"training_images_by_label": 7, "expected_by_label": 6.2}
    assert artifacts.label_cells(2, None) == {}


def test_names_lead_to_pages_of_this_machine_where_the_dashboard_is_this_machines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "4300")
    name = "<img src=x onerror=alert(1)>"
    page = "http://127.0.0.1:4301/class?name=%3Cimg+src%3Dx+onerror%3Dalert%281%29%3E"
    assert artifacts.linked(name, page_of_class(name)) == f"[{name}]({page})"
    for name in ("a](http://elsewhere.example)", "[a](x", "`a`", " ", "a\n"):  # would end the link
        assert artifacts.linked(name, page_of_class(name)) == code_span(name)
    for server in ("", "http://localhost:4200/api", "http://127.0.0.1:4300/api"):
        monkeypatch.setenv("PREFECT_API_URL", server)
        assert artifacts.linked("a", "/x") == "[a](http://127.0.0.1:4301/x)"
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example/api")
    assert artifacts.linked("a", "/x") == "`a`"
    monkeypatch.delenv("PREFECT_API_URL")
    assert artifacts.linked_operation("none") == "none"


def test_what_a_gate_rejected_is_found_by_the_reason_that_the_grid_knows() -> None:
    page = "/images?kind=variant&status=rejected&reason="
    assert artifacts.page_of_rejected("gate border") == f"{page}gate"
    assert artifacts.page_of_rejected("not_distinct") == f"{page}not_distinct"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The Markdown that is published, by key."""
    shown: dict[str, str] = {}
    monkeypatch.setattr(
        artifacts,
        "create_markdown_artifact",
        lambda text, key, description="": shown.update({key: text}),
    )
    return shown


def test_reports_pictures_and_changes_lead_to_their_pages(
    published: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish() -> list[str]:
        artifacts.publish_link("evaluate", "report", "/r/index.html")
        artifacts.publish_link("validate", "images", "/v/report.html")
        artifacts.publish_picture("contact sheet", "data:,x")
        artifacts.publish_picture("training curves", "data:,x")
        artifacts.publish_changes({})
        return list(published.values())

    monkeypatch.setattr(artifacts, "as_markdown", lambda found: "## Dataset")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    here = "http://127.0.0.1:4201"
    assert publish() == [
        f"The [report]({here}/): `/r/index.html`",
        f"The [images]({here}/images): `/v/report.html`",
        f"![contact sheet](data:,x)\n\n[All variants]({here}/images?kind=variant)",
        "![training curves](data:,x)",
        f"## Dataset\n\n[The same with pictures]({here}/versions)",
    ]
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example/api")
    assert publish() == [
        "The report: `/r/index.html`",
        "The images: `/v/report.html`",
        "![contact sheet](data:,x)",
        "![training curves](data:,x)",
        "## Dataset",
    ]
    assert list(published) == [
        "evaluate-report", "validate-images", "contact-sheet", "training-curves", "changes",
    ]  # fmt: skip


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
    pages = "http://127.0.0.1:4201"
    counts = {"sources": 3, "planned": 9, "written": 3, "rejected": 6, "training_images": 6}
    whole = {"sources": 1, "planned": 1, "written": 1, "rejected": 0, "training_images": 2}
    assert shown == {
        "images-per-class": [
            {"class": f"[a]({pages}/class?name=a)", **counts, "reasons": "6 not_distinct"},
            {"class": f"[b]({pages}/class?name=b)", **whole, "reasons": ""},
        ],
        "rejected-variants": [
            {
                "reason": f"[not_distinct]({pages}/images?kind=variant&status=rejected"
                "&reason=not_distinct)",
                "variants": 6,
                "meaning": "equal to their source or to another variant of it",
                "mend": "ask for fewer, or add a step to the policy: "
                "it makes no more different images of them",
            }
        ],
    }


@pytest.mark.starts
def test_measures_are_told_in_all_by_operation_and_as_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    turn = {"Rotate": {"limit": 40, "border_mode": 0, "p": 1}}
    monkeypatch.setattr(datasets, "POLICIES", [[turn, {"HorizontalFlip": {"p": 0.5}}]])
    dataset = Dataset(random.Random(0))
    dataset.files = {f"a{number}.png": ("a", dataset.content()) for number in range(4)}
    dataset.count = {"variants_per_image": 4}
    datasets.run(dataset, tmp_path, monkeypatch)
    tables: dict[str, list[dict[str, Any]]] = {}
    pictures: list[tuple[str, str, str]] = []
    validated = dataset.validated().reindex(columns=VALIDATED_COLUMNS.names)
    write_table(VALIDATED_MANIFEST, validated, VALIDATED_COLUMNS)
    monkeypatch.setattr(
        artifacts, "create_table_artifact", lambda rows, key, **_: tables.update({key: rows})
    )
    monkeypatch.setattr(artifacts, "publish_picture", lambda *shown: pictures.append(shown))
    artifacts.publish_measures()
    ledger = read_ledger()
    borders = ledger["border"].dropna()
    grid = "http://127.0.0.1:4201/images?kind=variant&sort=border&order=desc"
    named = f"[border]({grid})"
    [border] = [row for row in tables["image-measures"] if row["measure"] == named]
    assert border == {
        "measure": named,
        "median": round(borders.median(), 4),
        "5%": round(borders.quantile(0.05), 4),
        "95%": round(borders.quantile(0.95), 4),
        "worst": borders.max(),
        "meaning": MEASURES["border"],
    }
    rows = tables["image-measures-by-operation"]
    page = "http://127.0.0.1:4201/operation?name="
    assert [row["operation"] for row in rows] == [
        f"[HorizontalFlip]({page}HorizontalFlip)",
        f"[Rotate]({page}Rotate)",
    ]
    assert rows[1]["variants"] == len(borders) == 16
    assert rows[1]["border"] == f"{borders.median():.2f} / {borders.quantile(0.95):.2f}"
    assert "encoding_psnr" not in rows[1]  # digits are stored without loss
    [(name, uri, listed)] = pictures
    assert name == "worst variants" and uri.startswith("data:image/jpeg;base64,")
    [line] = [line for line in listed.splitlines() if line.startswith(f"- {named}: ")]
    worst = ledger.loc[borders.nlargest(3).index]
    assert line.partition(": ")[2] == ", ".join(
        f"[{row.variant_id}](http://127.0.0.1:4201{page_of_variant(row.source_id, row.variant_id)})"
        for row in worst.itertuples()
    )
