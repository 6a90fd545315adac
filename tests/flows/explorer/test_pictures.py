"""Pictures: what is shown of an image, what is never decoded, and what a browser keeps."""

import os
import re
import shutil
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from flows.explorer import pictures
from flows.explorer.pictures import SIDE, address_of_original, address_of_variant, encoded
from tasks.common import machine, tables
from tasks.common.errors import UserError
from tasks.dataset import image_bytes
from tasks.dataset.columns import VALIDATED_COLUMNS
from tasks.dataset.manifests import preprocessing_metadata, read_ledger, read_validated
from tasks.dataset.paths import LEDGER, RAW, SEGMENTS, VALIDATED_MANIFEST
from tasks.dataset.selections import planned_variants, written_variants
from tasks.pixels.decode import UndecodableError, decode
from tasks.pixels.preprocess import Grey, Preprocessing, Step
from tasks.pixels.thumbnails import fitted, smaller_file
from tests.conftest import Project
from tests.flows.explorer import dataset
from tests.flows.explorer.dataset import EVIL, PLAIN, row_of

ZERO = f"train/{PLAIN}/0.png"


@pytest.fixture
def client(explored: Project) -> TestClient:
    return dataset.client()


def original(client: TestClient, file: str, **more: str) -> httpx.Response:
    return client.get("/picture/original", params={"file": file, **more})


def words_of(answer: httpx.Response, status: int = 200) -> str:
    """What a placeholder says."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "no-store"
    return unescape(" ".join(re.findall(r">([^<>]+)</tspan>", answer.text)))


def replace_row(name: str, **values: Any) -> None:
    """Change a row of the validated manifest."""
    rows = read_validated()
    for column, value in values.items():
        rows.loc[rows["file_name"] == name, column] = value
    tables.write_table(VALIDATED_MANIFEST, rows, VALIDATED_COLUMNS, preprocessing_metadata(NONE))


NONE = Preprocessing()


# --- what is shown ----------------------------------------------------------------------------


def test_thumbnails_and_full_pictures_of_all_that_was_decoded(client: TestClient) -> None:
    decoded = 0
    for row in image_bytes.locate_images(read_validated()).itertuples():
        if not isinstance(row.pixel_sha256, str):
            continue
        pixels = decode(image_bytes.read_row(row)).pixels
        small, full = original(client, row.file_name), original(client, row.file_name, size="full")
        assert small.content == smaller_file(fitted(pixels, SIDE))[0]
        assert (decode(full.content).pixels == pixels).all()
        for answer in (small, full):
            kind = "png" if answer.content.startswith(b"\x89PNG") else "jpeg"
            assert answer.headers["content-type"] == f"image/{kind}"
        decoded += 1
    assert decoded == len(read_validated()) - 1  # all but the broken one


def test_pictures_of_written_variants_are_those_of_their_segments(client: TestClient) -> None:
    for row in image_bytes.locate_variants(written_variants(read_ledger())).itertuples():
        answer = client.get("/picture/variant", params={"id": row.variant_id, "size": "full"})
        assert (decode(answer.content).pixels == decode(image_bytes.read_row(row)).pixels).all()


def test_originals_are_shown_preprocessed(explored: Project, client: TestClient) -> None:
    grey = Preprocessing(preprocess=[Step(grey=Grey())])
    rows = read_validated()
    tables.write_table(VALIDATED_MANIFEST, rows, VALIDATED_COLUMNS, preprocessing_metadata(grey))
    shown = decode(original(client, ZERO, size="full").content).pixels
    expected = Grey().apply(decode((RAW / ZERO).read_bytes()).pixels)
    assert (shown == expected).all()


def test_no_byte_of_a_file_is_passed_on(explored: Project, client: TestClient) -> None:
    """A picture that is a program as well, to those who read it so."""
    path = RAW / ZERO
    path.write_bytes(path.read_bytes() + b"<script>alert(1)</script>")
    explored.stages_here("ingest", "validate")
    answer = original(client, ZERO, size="full")
    assert answer.status_code == 200 and b"<script>" not in answer.content


def test_large_pictures_are_scaled_and_photos_are_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1200, 3), dtype=np.uint8)
    assert encoded(noise, "full").startswith(b"\xff\xd8")
    assert encoded(noise[:300], "full").startswith(b"\x89PNG")
    wide = decode(encoded(np.zeros((3, 10_000), np.uint8), "full")).pixels
    assert wide.shape == (1, 4096)
    deep = np.full((4, 4), 0xABCD, np.uint16)
    assert (decode(encoded(deep, "full")).pixels == 0xAB).all()


def test_a_variant_made_for_a_page_is_shown_and_a_rejected_one_says_why(
    client: TestClient,
) -> None:
    rows = planned_variants(read_ledger())
    for status in ("written", "rejected"):
        row = rows[rows["status"] == status].iloc[0]
        asked = {"source": row["source_id"], "index": str(row["variant_index"]), "size": "full"}
        made = client.get("/picture/made", params=asked)
        stored = client.get("/picture/variant", params={"id": row["variant_id"], "size": "full"})
        assert made.content == stored.content
        if status == "written":
            again = {"If-None-Match": made.headers["etag"]}
            assert client.get("/picture/made", params=asked, headers=again).status_code == 304
        else:
            assert words_of(made) == words_of(stored) == f"rejected: {row['reason']}"


# --- what is not decoded ----------------------------------------------------------------------


def test_what_no_stage_could_decode_is_not_decoded_here(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_row(ZERO, status="quarantined", reason="too_large")
    monkeypatch.setattr(image_bytes, "read_checked", None)  # a call of it would fail
    broken = original(client, f"train/{PLAIN}/broken.png")
    assert words_of(broken) == "not decoded: corrupt, the decoder failed on the bytes"
    assert words_of(original(client, ZERO)).startswith("not decoded: too_large, over 100,000,000")


@pytest.mark.parametrize("size", ["thumbnail", "full"])
def test_a_file_that_changed_is_not_decoded_and_its_old_thumbnail_not_shown(
    client: TestClient, size: str
) -> None:
    before = original(client, ZERO, size=size)
    assert before.headers["content-type"].startswith("image/")
    path = RAW / ZERO
    changed = f"{path}: changed since it was validated; run from ingest again"
    other = bytearray(path.read_bytes())
    other[-1] ^= 1
    for content in (bytes(other), path.read_bytes() * 2, b""):
        path.write_bytes(content)
        headers = {"If-None-Match": before.headers["etag"]}
        answer = client.get(
            "/picture/original", params={"file": ZERO, "size": size}, headers=headers
        )
        assert words_of(answer).replace(" ", "") == changed.replace(" ", "")
    path.unlink()
    assert words_of(original(client, ZERO, size=size)).startswith("gone:")
    path.mkdir()
    assert "changed" in words_of(original(client, ZERO, size=size))
    path.rmdir()
    os.mkfifo(path)  # to read it would never end
    assert "changed" in words_of(original(client, ZERO, size=size))


def test_a_segment_that_changed_is_not_shown(client: TestClient) -> None:
    row = written_variants(read_ledger()).iloc[0]
    path = SEGMENTS / row["segment"]
    data = bytearray(path.read_bytes())
    data[int(row["offset"]) + 50] ^= 1
    path.unlink()
    path.write_bytes(data)
    answer = client.get("/picture/variant", params={"id": row["variant_id"]})
    assert words_of(answer).endswith("since it was written; `variegate verify` says more")
    path.unlink()
    assert words_of(client.get("/picture/variant", params={"id": row["variant_id"]}))


def test_a_source_that_cannot_be_read_is_told_in_the_place_of_its_variant(
    client: TestClient,
) -> None:
    path = RAW / ZERO
    path.unlink()
    path.symlink_to(path.name)  # a loop
    asked = {"source": row_of(ZERO)["source_id"], "index": "1"}
    made = client.get("/picture/made", params=asked)
    assert words_of(made, 404).replace(" ", "").startswith(f"{path}:".replace(" ", ""))


def test_a_variant_that_is_too_large_to_be_shown_says_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> np.ndarray:
        raise UndecodableError("too_large", "over 100 pixels")

    asked = {"source": row_of(ZERO)["source_id"], "index": "1"}
    monkeypatch.setattr(pictures, "AS_DECODED", SimpleNamespace(read=read))
    assert words_of(client.get("/picture/made", params=asked)) == "over 100 pixels"


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_a_manifest_does_not_lead_out_of_the_folder(client: TestClient, name: str) -> None:
    write_image = Image.fromarray(np.zeros((4, 4), np.uint8)).save
    write_image("data/secret.png")
    data = Path("data/secret.png").read_bytes()
    sha256 = pictures.hashlib.sha256(data).hexdigest()
    replace_row(ZERO, file_name=name, sha256=sha256, bytes=len(data))
    assert words_of(original(client, name)) == "lies outside data/raw"


def test_what_is_not_there_or_cannot_be_asked(client: TestClient) -> None:
    for file in ("../params.yaml", "nothing.png", "params.yaml", "a\0b", ZERO.upper()):
        answer = original(client, file)
        assert answer.status_code == 404 and "not in data/validated/manifest.parquet" in answer.text
    source = read_ledger()["source_id"].iloc[0]
    for id in (f"{source}-v000", f"{source}-v999", f"{'0' * 16}-v001"):
        assert client.get("/picture/variant", params={"id": id}).status_code == 404
    made = {"source": source, "index": "1"}
    bad = [
        ("/picture/original", {}),
        ("/picture/original", {"file": ZERO, "size": "huge"}),
        ("/picture/original", {"file": "x" * 5000}),
        ("/picture/variant", {"id": "../../x"}),
        ("/picture/made", {**made, "index": "0"}),
        ("/picture/made", {**made, "index": "10001"}),
        ("/picture/made", {**made, "index": "1e3"}),
        ("/picture/made", {**made, "source": "x"}),
    ]
    for path, params in bad:
        assert client.get(path, params=params).status_code == 400, params
    assert client.get("/picture/made", params={**made, "source": "0" * 16}).status_code == 404


def test_without_manifests_it_says_what_makes_them(client: TestClient) -> None:
    VALIDATED_MANIFEST.unlink()
    LEDGER.write_bytes(b"PAR1 no more")
    assert "run `variegate run --until validate`" in original(client, ZERO).text
    damaged = client.get("/picture/variant", params={"id": f"{'0' * 16}-v001"})
    assert damaged.status_code == 404 and "cannot be read as a manifest" in damaged.text


# --- what is kept -----------------------------------------------------------------------------


def test_thumbnails_are_kept_and_made_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = machine.cache_folder() / "thumbnails"
    shutil.rmtree(folder, ignore_errors=True)
    first = original(client, ZERO)
    (kept,) = folder.iterdir()
    assert kept.read_bytes() == first.content
    os.utime(kept, (0, 0))
    with monkeypatch.context() as patched:
        patched.setattr(image_bytes, "read_checked", None)
        assert original(client, ZERO).content == first.content
    assert kept.stat().st_mtime > 0  # what is used stays longest
    for damaged in (b"", bytes(100)):  # as the power failed
        kept.write_bytes(damaged)
        assert original(client, ZERO).content == first.content == kept.read_bytes()
    kept.unlink()
    assert original(client, ZERO).content == first.content


def test_without_a_cache_pictures_are_shown(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path / "file"))
    assert original(client, ZERO).headers["content-type"] == "image/jpeg"


def test_an_address_that_names_what_it_shows_is_asked_for_once(client: TestClient) -> None:
    row = row_of(ZERO)
    row = {name: None if value != value else value for name, value in row.items()}
    address = address_of_original(row)
    assert client.get(address).headers["cache-control"] == "private, max-age=31536000, immutable"
    plain = original(client, ZERO)
    assert plain.headers["cache-control"] == "no-cache"
    unchanged = {"If-None-Match": plain.headers["etag"]}
    again = client.get(address, headers=unchanged)
    assert (again.status_code, again.content) == (304, b"")
    os.utime(RAW / ZERO, (1, 1))
    assert address_of_original(row) != address
    assert client.get(address).headers["cache-control"] == "no-cache"
    variant = written_variants(read_ledger()).iloc[0].to_dict()
    kept = client.get(address_of_variant(variant))
    assert kept.status_code == 200 and "immutable" in kept.headers["cache-control"]
    full = original(client, ZERO, size="full")
    assert full.headers["etag"] != original(client, ZERO).headers["etag"]


# --- one row of many --------------------------------------------------------------------------


def test_rows_are_found_by_name_among_many_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    names = [f"é {number % 2900}.png" for number in rng.permutation(3000)]
    rows = pd.DataFrame({"file_name": names, "bytes": range(3000), "reason": names})
    table = tables.to_arrow(rows.reindex(columns=VALIDATED_COLUMNS.names), VALIDATED_COLUMNS)
    VALIDATED_MANIFEST.parent.mkdir(parents=True)
    pq.write_table(table, VALIDATED_MANIFEST, row_group_size=100)
    for number in (*range(0, 3000, 101), 3001):
        name = f"é {number}.png"
        found = [row["bytes"] for row in pictures.rows_named(VALIDATED_MANIFEST, name)]
        assert found == rows[rows["file_name"] == name]["bytes"].tolist()
    pq.write_table(table.slice(0, 0), VALIDATED_MANIFEST)
    assert pictures.rows_named(VALIDATED_MANIFEST, names[0]) == ()
    pq.write_table(pa.table({"file_name": names}), VALIDATED_MANIFEST)
    with pytest.raises(UserError, match="cannot be read as a manifest: has no column container"):
        pictures.rows_named(VALIDATED_MANIFEST, names[0])


def test_a_placeholder_is_an_image_that_escapes_what_it_says() -> None:
    text = bytes(pictures.placeholder(f"\x01{EVIL} {'long ' * 99}").body).decode()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "<img" not in text and text.count("<tspan") == 9
