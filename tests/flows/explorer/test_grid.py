"""The grid's pages: every row once, counts, CSV, escaped names, and clear answers to the rest."""

import io
import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from flows.explorer import grid, server
from flows.explorer.queries import database
from flows.explorer.queries.fields import FIELDS
from flows.explorer.queries.query import Query
from tasks.common.errors import UserError
from tasks.dataset.paths import LEDGER, VALIDATED_MANIFEST
from tests.flows.explorer.queries.test_query import chosen_by_pandas, random_query
from tests.flows.explorer.random_tables import LABELS, Tables, write_tables
from tests.flows.explorer.test_server import client_of

SCRIPT = next(label for label in LABELS if "<img" in label)


@pytest.fixture
def tables(random_dataset: tuple[Path, Tables], monkeypatch: pytest.MonkeyPatch) -> Tables:
    monkeypatch.chdir(random_dataset[0])
    return random_dataset[1]


@pytest.fixture
def client() -> TestClient:
    return client_of(server.create_app())


def cells(page: str) -> list[str]:
    """The addresses that pictures lead to."""
    return [unescape(found) for found in re.findall(r'class="cell" href="([^"]*)"', page)]


def follow(page: str, relation: str) -> str | None:
    found = re.search(rf'href="([^"]*)" rel="{relation}"', page)
    return unescape(found[1]) if found else None


def test_pages_show_every_row_once_in_order(tables: Tables, client: TestClient) -> None:
    address: str | None = "/images?sort=sharpness&order=desc"
    seen: list[str] = []
    while address is not None:
        page = client.get(address).text
        shown = cells(page)
        first, last = len(seen) + 1, len(seen) + len(shown)
        assert f"<strong>{first} to {last} of 300</strong>" in page
        assert (follow(page, "prev") is None) == (not seen)
        seen += [parse_qs(urlsplit(each).query)["file"][0] for each in shown]
        address = follow(page, "next")
    asked = {"kind": "original", "sort": "sharpness", "order": "desc"}
    assert seen == chosen_by_pandas(tables, asked)["file_name"].tolist()


def test_choices_have_their_values_beside_their_text_in_which_spaces_collapse(
    tables: Tables, client: TestClient
) -> None:
    page = client.get("/images?label=two++spaces").text
    options = re.findall(r"<option[^>]*>", page.partition('name="label"')[2].partition("</sel")[0])
    values = [unescape(re.findall(r'value="([^"]*)"', option)[0]) for option in options]
    assert values == ["", "two  spaces", *sorted(LABELS)]


def test_variants_lead_to_their_place_on_the_page_of_their_source(
    tables: Tables, client: TestClient
) -> None:
    page = client.get("/images?kind=variant&status=rejected").text
    rejected = tables.variants[tables.variants["status"] == "rejected"].head(60)
    for address, row in zip(cells(page), rejected.itertuples(), strict=True):
        parts = urlsplit(address)
        assert parse_qs(parts.query)["file"] == [row.file_name]
        assert parts.fragment == row.variant_id
    reasons = [
        f"<span>rejected: {reason.replace('>', '&gt;')}</span>" for reason in rejected.reason
    ]
    assert [line for line in page.splitlines() if line.startswith("<span>rejected")] == reasons


def test_a_picture_says_what_it_is_filtered_and_sorted_by(
    tables: Tables, client: TestClient
) -> None:
    asked = "prediction=wrong&sort=width&measure=height&from=1"
    page = client.get(f"/images?{asked}").text
    query = {"kind": "original", "prediction": "wrong", "sort": "width", "order": "asc"}
    row = chosen_by_pandas(tables, query).iloc[0]
    first = unescape(page.partition('class="cell"')[2].partition("</a>")[0])
    lines = [
        row["label"],
        f"predicted {row['predicted']}",
        f"confidence {row['probability']:.1%}",
        f"width {row['width']}",
        "height 16",
    ]
    assert re.findall(r"<span>(.*)</span>", first) == lines
    assert "width, lowest first" in page and "predicted wrong" in page


def test_filters_that_leave_nothing_are_told_once(tables: Tables, client: TestClient) -> None:
    page = client.get("/images?name=nothing").text
    assert "<strong>none</strong>" in page and "There is none that all of these filters" in page
    assert 'class="pager"' not in page and "CSV of" not in page
    assert "There is nothing to count." in client.get("/images/counts?name=nothing").text


@pytest.mark.parametrize("path", ["/images", "/images?kind=variant", "/images/counts"])
def test_names_are_text_and_no_part_of_the_page(
    path: str, tables: Tables, client: TestClient
) -> None:
    page = client.get(path).text
    assert "&lt;img src=x" in page
    assert "<img src=x" not in page
    chosen = client.get("/images", params={"label": SCRIPT}).text
    assert "<img src=x" not in chosen
    assert len(cells(chosen)) == min(60, (tables.images["label"] == SCRIPT).sum())


def test_counts_are_of_the_rows_that_the_other_filters_choose(tables: Tables) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        asked = {**random_query(rng), "order": "asc"}
        query = Query.model_validate(asked)
        for facet in grid.read_facets(query):
            for count in facet.counts:
                address = dict(parse_qs(urlsplit(count.address).query))
                named = {name: values[0] for name, values in address.items()}
                there = Query.model_validate(named)
                parameter = {"class": "label", "near-duplicates": "cluster"}.get(
                    facet.title, facet.title
                )
                value = {parameter: count.text}
                expected = chosen_by_pandas(tables, {**asked, **value})
                assert count.rows == len(expected), (asked, facet.title, count)
                assert getattr(there, parameter) == (None if count.chosen else count.text)


def rows_of(facet: grid.Facet) -> dict[str, int]:
    return {count.text: count.rows for count in facet.counts}


def test_every_value_is_counted(tables: Tables) -> None:
    counted = {facet.title: rows_of(facet) for facet in grid.read_facets(Query())}
    for title, column in (("class", "label"), ("split", "split"), ("status", "status")):
        assert counted[title] == tables.images[column].value_counts().to_dict()
    operations = grid.read_facets(Query(kind="variant"))[-1]
    texts = tables.variants["operations"]
    expected = {
        name: int(texts.str.contains(f'"{name}"').sum())
        for name in ("Rotate", "RotateAlike", "HorizontalFlip")
    }
    expected["none"] = int((texts == "[]").sum())
    assert rows_of(operations) == expected


def test_ranges_are_those_of_the_chosen_rows(tables: Tables) -> None:
    found = {each.field.name: each for each in grid.read_ranges(Query(split="test"))}
    rows = tables.images[tables.images["split"] == "test"]
    for name, each in found.items():
        assert (each.least, each.most) == (rows[name].min(), rows[name].max())
    assert "presentations" not in found and "probability" in found
    assert found["width"].downwards == "/images?split=test&sort=width&order=desc"


def test_counts_are_a_part_for_a_script_and_a_page_for_a_link(
    tables: Tables, client: TestClient
) -> None:
    part = client.get("/images/counts?split=test", headers={"Sec-Fetch-Dest": "empty"})
    page = client.get("/images/counts?split=test", headers={"Sec-Fetch-Dest": "document"})
    assert "<html" not in part.text and "</html>" in page.text
    assert part.headers["vary"] == "Sec-Fetch-Dest"
    assert part.text.strip() in page.text or "<h3>class</h3>" in part.text
    grid_page = client.get("/images?split=test&page=1").text
    assert 'data-fetch="/images/counts?split=test"' in grid_page


@pytest.mark.parametrize("kind", ["original", "variant"])
def test_a_csv_file_has_all_chosen_rows_and_columns_in_order(
    kind: str, tables: Tables, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "ROWS_AT_ONCE", 7)
    asked = {"kind": kind, "sort": "label", "order": "desc", "label": "NA"}
    answer = client.get("/images.csv", params=asked)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="{kind}s.csv"'
    found = pd.read_csv(io.StringIO(answer.text), keep_default_na=False, dtype=str)
    expected = chosen_by_pandas(tables, asked).reset_index(drop=True)
    assert list(found) == [field.name for field in FIELDS[kind].values()]
    assert len(found) == len(expected) > 20
    for name in found:
        column = found[name]
        if expected[name].dtype.kind in "fiu":
            known = expected[name].notna()
            assert (column[known].astype(float) == expected[name][known].astype(float)).all()
            assert (column[~known] == "").all()
        else:
            flags = {True: "true", False: "false"}
            texts = ["" if pd.isna(value) else flags.get(value, value) for value in expected[name]]
            assert column.tolist() == texts, name


def test_a_csv_file_breaks_off_where_its_manifest_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grid, "ROWS_AT_ONCE", 7)
    write_tables(images=30)
    parts = grid.write_csv(
        Query(), database.row_numbers(*Query().numbers()), database.state_of_files()
    )
    assert next(parts).startswith(b"source_id,") and next(parts).count(b"\n") == 7
    write_tables(images=40)
    with pytest.raises(UserError, match="being replaced"):
        next(parts)


def test_a_page_is_of_one_state_of_the_files(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tables(images=30)
    read_cells, replaced = grid.read_cells, []

    def replacing(query: Query, chosen: np.ndarray) -> list[grid.Cell]:
        if not replaced:
            replaced.append(write_tables(seed=1, images=20))
        return read_cells(query, chosen)

    monkeypatch.setattr(grid, "read_cells", replacing)
    page = client.get("/images").text
    names = [parse_qs(urlsplit(each).query)["file"][0] for each in cells(page)]
    assert names == replaced[0].images["file_name"].tolist()
    assert "<strong>1 to 20 of 20</strong>" in page


def test_without_a_dataset_the_pages_say_what_makes_one(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, path in (("original", VALIDATED_MANIFEST), ("variant", LEDGER)):
        page = client.get(f"/images?kind={kind}")
        assert page.status_code == 200
        assert f"{path}: not there yet; `variegate run` makes it" in page.text
        assert client.get(f"/images/counts?kind={kind}").status_code == 200
        assert client.get(f"/images.csv?kind={kind}").text.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("/images?page=7", 404, "page 7: the last page is 5"),
        ("/images?label=nothing&page=2", 404, "page 2: the last page is 1"),
        ("/images?page=0", 400, "page: "),
        ("/images?page=9999999999999", 400, "page: "),
        ("/images?colour=red", 400, "colour: "),
        ("/images.csv?sort=nothing", 400, "sort: originals have no such field"),
        ("/images/counts?kind=both", 400, "kind: "),
        ("/images?kind=variant&cluster=any", 400, "cluster: variants have none"),
    ],
)
def test_a_bad_address_gets_a_clear_answer(
    address: str, status: int, told: str, tables: Tables, client: TestClient
) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert f"<p>{told}" in answer.text


@pytest.mark.parametrize("value", ["\0", "' OR 1=1 --", '"', "%", "\ud7ff\U0010ffff", "a" * 4096])
def test_odd_values_choose_nothing(value: str, tables: Tables, client: TestClient) -> None:
    for kind in ("original", "variant"):
        page = client.get("/images", params={"kind": kind, "label": value, "reason": value})
        assert page.status_code == 200
        assert "<strong>none</strong>" in page.text


def test_a_damaged_manifest_is_told_and_the_server_goes_on(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tables(images=5)
    whole = VALIDATED_MANIFEST.read_bytes()
    VALIDATED_MANIFEST.write_bytes(whole[:100])
    for path in ("/images", "/images/counts", "/images.csv"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert f"<p>{VALIDATED_MANIFEST}: cannot be read as a manifest" in answer.text
    VALIDATED_MANIFEST.write_bytes(whole)
    assert len(cells(client.get("/images").text)) == 5
