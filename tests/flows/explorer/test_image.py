"""The page of an image, over a dataset that has one of every kind."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS, VALIDATED_COLUMNS
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.paths import (
    EXPOSURE,
    INGESTED_MANIFEST,
    LEDGER,
    PREDICTIONS,
    VALIDATE_METRICS,
    VALIDATED_MANIFEST,
)
from tasks.dataset.selections import planned_variants, usable
from tests.conftest import Project
from tests.flows.explorer import dataset
from tests.flows.explorer.dataset import EVIL, PLAIN, VARIANTS, row_of


@pytest.fixture
def client(explored_once: Project, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Of the dataset as it is."""
    monkeypatch.chdir(explored_once.root)
    return dataset.client()


def page(client: TestClient, file: str, **more: str) -> str:
    answer = client.get("/image", params={"file": file, **more})
    assert answer.status_code == 200, text_of(answer.text)
    return answer.text


def text_of(html: str) -> str:
    """What people read of a page, in one line."""
    body = html.partition('<main id="main">')[2].partition("</main>")[0] or html
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def told(answer: httpx.Response) -> str:
    """The line of a page that says why there is none."""
    return text_of(answer.text)


# --- every image ------------------------------------------------------------------------------


def test_every_row_of_the_manifest_has_a_page_and_names_are_text(client: TestClient) -> None:
    for file in read_validated()["file_name"]:
        html = page(client, file)
        assert "<img src=x" not in html and "onerror=alert(1)>" not in html
        assert not re.search(r"\son\w+=\"|style=\"|<script>", html)
        assert text_of(html).startswith(file)


def test_all_columns_of_a_row_are_shown(client: TestClient) -> None:
    name = f"train/{PLAIN}/shard.tar::inside.jpg"
    row, text = row_of(name), text_of(page(client, name))
    for column in ("label", "container", "source_id", "sha256", "pixel_sha256", "format"):
        assert str(row[column]) in text
    assert f"offset {row['offset']:.0f} " in text and f"bytes {row['bytes']:,} " in text
    assert "size 96 x 96 channels 3 " in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"test/{EVIL}/1.png", "It is used, in test. Its folder, its container or a table says"),
        (f"train/{PLAIN}/broken.png", "It was set aside: corrupt , the decoder failed on the"),
        (f"train/{PLAIN}/copy.bmp", f"equal to those of train/{PLAIN}/0.png , which stands for"),
        (f"train/{EVIL}/leak.png", f"It belongs together with test/{EVIL}/0.png ."),
        (f"train/{EVIL}/conflict.png", f"In detail: labelled {EVIL} and {PLAIN}."),
        (
            f"train/{PLAIN}/brighter.png",
            "It is given as train, and stayed there when other splits were taken out of it: "
            "a hash decided, the same for it and 1 look-alike, which no split parts.",
        ),
    ],
)
def test_what_was_decided_is_said_with_its_reason(client: TestClient, name: str, said: str) -> None:
    assert said in text_of(page(client, name))


def test_an_image_of_validation_was_taken_out_of_train(client: TestClient) -> None:
    name = usable(read_validated(), "validation")["file_name"].iloc[0]
    said = "It is given as train, of which a part became validation: a hash of its bytes decided."
    rule = tables.read_json(VALIDATE_METRICS, "validate")["split"]
    assert f"{said} How all splits were decided: {rule}." in text_of(page(client, name))


@pytest.mark.parametrize(
    ("name", "title", "other"),
    [
        (f"train/{PLAIN}/0.png", "Copies: 1 Their pixels are equal.", f"train/{PLAIN}/copy.bmp"),
        (f"train/{EVIL}/conflict.png", "Conflicts: 1", f"train/{PLAIN}/conflict.png"),
        (f"train/{EVIL}/leak.png", "Look-alikes: 1", f"test/{EVIL}/0.png"),
    ],
)
def test_images_that_belong_together_are_shown_side_by_side(
    client: TestClient, name: str, title: str, other: str
) -> None:
    html = page(client, name)
    assert title in text_of(html)
    picture = re.findall(r'src="(/picture/original\?[^"]+)"', html)[1]
    assert urlencode({"file": other}) in unescape(picture)
    assert client.get(unescape(picture)).headers["content-type"].startswith("image/")
    assert f'href="/image?{urlencode({"file": other})}"' in html


def test_a_test_image_says_what_the_model_said(client: TestClient) -> None:
    rows = usable(read_validated(), "test").sort_values("file_name")["file_name"]
    said = [text_of(page(client, name)) for name in rows]
    wrong = f"The model says {PLAIN}, with 87.5%: wrong. Its class, {EVIL}, has 12.5%."
    assert [wrong in text for text in said] == [True, False, False, False]
    assert said[0].index(wrong) < said[0].index("How all splits were decided")  # the rarer question
    assert all(" with 87.5%: right." in text for text in said[1:])


def test_a_training_image_says_how_often_it_was_shown(client: TestClient) -> None:
    said = "Training showed it 8 times: 2 as it is, 6 as a stored variant."
    assert said in text_of(page(client, f"train/{PLAIN}/0.png"))
    assert "Training showed" not in text_of(page(client, f"test/{PLAIN}/0.png"))


# --- its variants -----------------------------------------------------------------------------


def test_each_variant_has_a_card_with_its_anchor_measures_and_command(client: TestClient) -> None:
    name = f"train/{PLAIN}/deep.png"
    html = page(client, name)
    rows = planned_variants(read_ledger())
    rows = rows[rows["source_id"] == row_of(name)["source_id"]]
    assert len(rows) == VARIANTS and f"Variants: {VARIANTS}" in text_of(html)
    for row in rows.to_dict("records"):
        card = html.partition(f'id="{row["variant_id"]}"')[2].partition("</figure>")[0]
        assert "Rotate" in card and '<a href="/operation?name=Rotate">' in card
        text = text_of(card)
        assert f"sharpness {row['sharpness']:.2f}" in text and "96 x 96" in text
        assert f"variegate replay {row['variant_id']} -o {row['variant_id']}.png" in text
    assert f"border {rows['border'].max():.2f} worst" in text_of(html)


def test_a_rejected_variant_says_why_and_what_mends_it(client: TestClient) -> None:
    text = text_of(page(client, f"train/{EVIL}/0.png"))
    assert "Rejected: not_distinct, equal to their source or to another variant of it." in text
    assert "What mends it: ask for fewer" in text and "drawn again 9 times, and given up" in text


def test_of_very_many_variants_the_first_are_shown(explored: Project) -> None:
    name = f"train/{PLAIN}/0.png"
    ledger, id = read_ledger(), str(row_of(name)["source_id"])
    first = ledger[ledger["variant_id"] == f"{id}-v001"]
    numbers = range(4, 700)
    more = pd.concat([first] * len(numbers)).assign(
        variant_index=list(numbers), variant_id=[f"{id}-v{number:03}" for number in numbers]
    )
    tables.write_table(LEDGER, pd.concat([ledger, more]), LEDGER_COLUMNS)
    counts = pd.read_csv("data/augmented/counts.csv", dtype=str, keep_default_na=False)
    counts.loc[counts["source_id"] == id, "planned"] = "699"
    tables.write_csv(Path("data/augmented/counts.csv"), counts)
    html = page(dataset.client(), name)
    assert "Variants: 699 The first 500 are shown." in text_of(html)
    assert f"{id}-v500" in html and f"{id}-v501" not in html


# --- on the fly -------------------------------------------------------------------------------


def test_a_variant_is_made_for_the_page_where_it_is_asked_for(explored: Project) -> None:
    client, name = dataset.client(), f"train/{PLAIN}/0.png"
    id = row_of(name)["source_id"]
    assert f"{id}-v005" not in page(client, name)
    html = page(client, name, index="5")
    assert f'src="/picture/made?source={id}&amp;index=5&amp;size=full"' in html
    assert f"{id}-v005 Rotate" in text_of(html) and 'value="5"' in html
    explored.set_params(train__augmentation="both")
    html = page(client, name, epoch="2")
    assert f"{id}-v005 : training shows it in epoch 2" in text_of(html)
    fragment = client.get("/image/made", params={"source": id, "index": "5"})
    assert fragment.text.strip() in html and "<html" not in fragment.text
    refused = page(client, name, epoch="10000")
    assert "epoch 10,000: needs a variant up to 10,000, is 10,003" in text_of(refused)


def test_the_slider_says_what_it_does_and_where_it_ends(client: TestClient) -> None:
    html = page(client, f"train/{PLAIN}/0.png")
    text = text_of(html)
    said = (
        "Move the slider to make any variant of this image by the recipe, stored or not. 1 20 The"
    )
    assert said in text
    assert f"Of this image a run stores variants 1 to {VARIANTS}. What is made here is" in text
    assert re.search(r'<input type="range" [^>]*min="1" max="20" value="1"', html)


def test_a_rejected_variant_is_replaced_by_its_source_in_training(explored: Project) -> None:
    explored.set_params(train__augmentation="online")
    text = text_of(page(dataset.client(), f"train/{EVIL}/0.png", index="2"))
    assert "-v002 : training shows its source in its place in epoch 2" in text


def test_what_is_wrong_with_params_is_a_line_of_the_page(explored: Project) -> None:
    explored.set_params(augment__seed="x")
    text = text_of(page(dataset.client(), f"train/{PLAIN}/0.png", index="1"))
    assert "params.yaml augment.seed: input should be a valid integer, found 'x'" in text
    assert f"Variants: {VARIANTS}" in text
    Path("params.yaml").unlink()
    assert "params.yaml" in text_of(page(dataset.client(), f"train/{PLAIN}/0.png", index="1"))


def test_only_training_images_have_a_slider(client: TestClient) -> None:
    for name, there in ((f"train/{PLAIN}/0.png", True), (f"test/{PLAIN}/0.png", False)):
        html = page(client, name)
        assert ("data-slider" in html, "/static/image.js" in html) == (there, there)
    assert client.get("/static/image.js").status_code == 200


def test_forms_name_the_image_by_what_they_send_unchanged(client: TestClient) -> None:
    """A form sends another line break than a file's name has."""
    name = f"train/{PLAIN}/0.png"
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page(client, name))
    assert fields == [("source", row_of(name)["source_id"])]


# --- what is asked ----------------------------------------------------------------------------


def test_a_source_leads_to_the_page_of_the_image_that_is_used(explored: Project) -> None:
    client, row = dataset.client(), row_of(f"train/{PLAIN}/1.png")
    copy = Path("data/raw/train") / PLAIN / "0000.png"  # listed before it
    copy.write_bytes((Path("data/raw") / str(row["file_name"])).read_bytes())
    explored.stages_here("ingest", "validate")
    found = client.get("/image", params={"source": row["source_id"], "epoch": "3"})
    used = read_validated().query("source_id == @row['source_id'] and status == 'ok'")
    expected = {"file": used["file_name"].item(), "epoch": 3}
    assert (found.status_code, found.headers["location"]) == (307, f"/image?{urlencode(expected)}")


def test_two_rows_of_one_name_are_both_shown(explored: Project) -> None:
    name = f"train/{PLAIN}/0.png"
    rows = read_validated()
    twin = rows[rows["file_name"] == name].assign(
        status="quarantined", reason="label_conflict", label="another class", split=None
    )
    tables.write_table(VALIDATED_MANIFEST, pd.concat([twin, rows]), VALIDATED_COLUMNS)
    text = text_of(page(dataset.client(), name))
    assert "The manifest has 2 rows of this name" in text
    assert "class another class" in text and f"class {PLAIN}" in text
    assert f"Variants: {VARIANTS}" in text


def test_what_is_not_there_or_cannot_be_asked_is_one_clear_line(client: TestClient) -> None:
    assert "file 'no.png': not in data/validated/manifest.parquet" in told(
        client.get("/image", params={"file": "no.png"})
    )
    zeros = "0" * 16
    for path in ("/image", "/image/made"):
        missing = client.get(path, params={"source": zeros, "index": "1"})
        assert missing.status_code == 404 and f"source '{zeros}': n" in told(missing)
    neither = client.get("/image")
    assert neither.status_code == 404 and "needs file, a name of the manifest" in told(neither)
    bad = [{"source": "x"}, {"index": "0"}, {"index": "10001"}, {"index": "x"}, {"epoch": "-1"}]
    for params in bad:
        answer = client.get("/image", params={"file": f"train/{PLAIN}/0.png", **params})
        assert answer.status_code == 400 and next(iter(params)) in told(answer)


def test_damaged_files_leave_their_part_out(explored: Project) -> None:
    name = f"train/{PLAIN}/1.png"
    client, id = dataset.client(), row_of(name)["source_id"]
    EXPOSURE.write_text(f"source_id,presentations,stored\n{id},3,x\n")
    assert "Training showed it 3 times. How all splits" in text_of(page(client, name))
    for content in ("", "{", "[]", "{}"):
        VALIDATE_METRICS.write_text(content)
        INGESTED_MANIFEST.write_text(content)
        assert "It is used, in train. Training showed" in text_of(page(client, name))


def test_files_that_are_not_there_yet_leave_their_part_out(explored: Project) -> None:
    name = f"train/{PLAIN}/0.png"
    for path in (LEDGER, EXPOSURE, PREDICTIONS, VALIDATE_METRICS, INGESTED_MANIFEST):
        path.unlink()
    client = dataset.client()
    text = text_of(page(client, name))
    assert "It is used, in train." in text and "Variants:" not in text
    assert "names its split" not in text and "How all splits" not in text
    VALIDATED_MANIFEST.unlink()
    missing = client.get("/image", params={"file": name})
    assert missing.status_code == 404
    assert "run `variegate run --until validate`" in told(missing)
