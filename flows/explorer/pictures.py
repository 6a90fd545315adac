"""Pictures of images and variants: thumbnails, kept in the private cache, and full size.

What is shown is decoded and encoded again here: no byte of a file is passed on as it is. Only bytes
are decoded that the stages decoded before, in processes that they may crash.
"""

import hashlib
import os
import textwrap
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from markupsafe import escape

from flows.explorer import on_the_fly
from flows.explorer.on_the_fly import CHANGED, Index, SourceId, require_same_file
from tasks.common import machine
from tasks.common.errors import UserError, one_line
from tasks.common.temporary import atomic_write
from tasks.dataset import image_bytes
from tasks.dataset.columns import REASONS
from tasks.dataset.manifests import read_preprocessing
from tasks.dataset.paths import LEDGER, RAW, SEGMENTS, VALIDATED_MANIFEST
from tasks.pixels.convert import resize, to_8_bits
from tasks.pixels.decode import DECODING, UndecodableError
from tasks.pixels.encode import encode
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.pixels.thumbnails import fitted, smaller_file

SIDE = 160  # pixels, of a thumbnail
MOST_SIDE = 4096  # pixels, of a full picture: browsers show no image of any size
LARGEST_PNG = 3_000_000  # samples; beyond them a full picture is a JPEG
QUALITY = 95
VERSION = 1  # raise it where the same pixels give another picture: kept ones would be shown
DECODED_AT_ONCE = 2  # an image may take hundreds of megabytes
IMAGES = (b"\x89PNG", b"\xff\xd8")  # how they begin; a kept one is empty where power failed
FOR_GOOD = "private, max-age=31536000, immutable"  # an address that names what it shows
ASK_AGAIN = "no-cache"
NEVER_KEPT = "no-store"
TOO_LARGE = "too large for this machine's memory"
OTHER_VARIANT = "its segment changed since it was written; `variegate verify` says more"

Size = Literal["thumbnail", "full"]
Name = Annotated[str, Query(min_length=1, max_length=4096)]
VariantId = Annotated[str, Query(pattern=r"^[0-9a-f]{16}-v[0-9]{3,7}$")]
Version = Annotated[str, Query(max_length=64)]

router = APIRouter()


class Picture(NamedTuple):
    """Where an image lies, as image_bytes.read_checked() takes it, and how it is to be shown.

    `refusal`: why its bytes are not decoded, for people; None where they may be. `changed`: what is
    said where they are others than those that were hashed.
    """

    path: str
    offset: int | None
    length: int
    sha256: str
    preprocessing: Preprocessing
    changed: str
    refusal: str | None


# --- addresses --------------------------------------------------------------------------------


def address_of_original(row: Mapping[str, Any], size: Size = "thumbnail") -> str:
    """The address of the picture of a row of the validated manifest.

    It names what it shows, so a browser asks for it once; another state of the file has another.
    """
    query = {"file": row["file_name"], "size": size, "v": _version(picture_of_original(row), size)}
    return f"/picture/original?{urlencode(query)}"


def address_of_variant(row: Mapping[str, Any], size: Size = "thumbnail") -> str:
    """The address of the picture of a row of the ledger; see address_of_original()."""
    query = {"id": row["variant_id"], "size": size, "v": _version(picture_of_variant(row), size)}
    return f"/picture/variant?{urlencode(query)}"


def address_by_file_name(file_name: str) -> str:
    """The address of the thumbnail of an original, whatever state its file is in."""
    return f"/picture/original?{urlencode({'file': file_name})}"


def address_by_variant_id(variant_id: str) -> str:
    """The address of the thumbnail of a stored variant, whatever state its segment is in."""
    return f"/picture/variant?{urlencode({'id': variant_id})}"


def _version(picture: Picture, size: Size) -> str:
    with suppress(OSError):
        return key_of(picture, size)[:16]
    return ""


# --- routes -----------------------------------------------------------------------------------


@router.get("/picture/original")
def original(request: Request, file: Name, size: Size = "thumbnail", v: Version = "") -> Response:
    """The picture of an original; `v`: see address_of_original()."""
    rows = rows_named(VALIDATED_MANIFEST, file)
    if not rows:
        raise UserError(f"file {file!r}: not in {VALIDATED_MANIFEST}")
    # several tables may name one file: any of its rows that was decoded
    row = min(rows, key=lambda one: one["pixel_sha256"] is None)
    return answer(request, picture_of_original(row), size, v)


@router.get("/picture/variant")
def variant(request: Request, id: VariantId, size: Size = "thumbnail", v: Version = "") -> Response:
    """The picture of a variant; `v`: see address_of_variant()."""
    rows = rows_named(LEDGER, id)
    if not rows or rows[0]["variant_index"] == 0:
        raise UserError(f"variant {id!r}: not in {LEDGER}")
    return answer(request, picture_of_variant(rows[0]), size, v)


@router.get("/picture/made")
def made(request: Request, source: SourceId, index: Index, size: Size = "thumbnail") -> Response:
    """The picture of a variant that is made for it, see on_the_fly.py."""
    try:
        variant = on_the_fly.make(source, index)
    except (UserError, OSError) as error:
        return placeholder(one_line(error) or str(error), 404)
    if variant.data is None:
        return placeholder(f"rejected: {variant.row['reason']}")
    digest = hashlib.sha256(f"{variant.row['sha256']} {size} {VERSION}".encode()).hexdigest()
    headers = {"ETag": f'"{digest}"', "Cache-Control": ASK_AGAIN}
    if _has(request, digest):
        return Response(status_code=304, headers=headers)
    try:
        with _decoding:
            data = encoded(AS_DECODED.read(variant.data), size)
    except (UndecodableError, MemoryError) as error:  # a policy may enlarge without end
        return placeholder(str(error) or TOO_LARGE)
    return Response(data, media_type=_media_type(data), headers=headers)


def answer(request: Request, picture: Picture, size: Size, version: str = "") -> Response:
    """The picture, or one that says why there is none."""
    if picture.refusal is not None:
        return placeholder(picture.refusal)
    try:
        key = key_of(picture, size)
        lasting = version == key[:16]
        headers = {"ETag": f'"{key}"', "Cache-Control": FOR_GOOD if lasting else ASK_AGAIN}
        if _has(request, key):
            return Response(status_code=304, headers=headers)
        data = thumbnail_of(picture, key) if size == "thumbnail" else _read(picture, size)
    except FileNotFoundError:
        return placeholder(f"gone: {picture.path}")
    except (UserError, UndecodableError, OSError, ValueError, MemoryError) as error:
        return placeholder(str(error) or TOO_LARGE)
    return Response(data, media_type=_media_type(data), headers=headers)


def _has(request: Request, key: str) -> bool:
    """Whether the browser has the picture already."""
    return f'"{key}"' in request.headers.get("if-none-match", "")


def placeholder(text: str, status: int = 200) -> Response:
    """A picture that says why there is none; a browser shows it in the place of the image."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)  # as XML needs
    lines = textwrap.wrap(printable, 24, max_lines=9, placeholder=" …")
    top = (SIDE - 15 * (len(lines) - 1)) // 2
    spans = [
        f'<tspan x="{SIDE // 2}" y="{top + 15 * number}">{escape(line)}</tspan>'
        for number, line in enumerate(lines)
    ]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" '
        f'height="{SIDE}"><rect width="{SIDE}" height="{SIDE}" fill="#e4e7ec"/>'
        '<text fill="#5b6475" font-family="sans-serif" font-size="11" text-anchor="middle">'
        f"{''.join(spans)}</text></svg>"
    )
    headers = {"Cache-Control": NEVER_KEPT}
    return Response(svg, status, headers, media_type="image/svg+xml")


# --- what is shown ----------------------------------------------------------------------------


def picture_of_original(row: Mapping[str, Any]) -> Picture:
    """The picture of a row of the validated manifest."""
    return Picture(
        str(RAW / (row["container"] or row["file_name"])),
        None if row["offset"] is None else int(row["offset"]),
        row["bytes"] or 0,
        row["sha256"] or "",
        _preprocessing(state_of(VALIDATED_MANIFEST)),
        CHANGED,
        refusal_of(row),
    )


def refusal_of(row: Mapping[str, Any]) -> str | None:
    """Why an original is not decoded; None where it was before, and may be again.

    That it was is said by the hash of its pixels: a file that crashes a decoder has none.
    """
    if row["pixel_sha256"] is None or row["reason"] == "too_large":
        reason = row["reason"] or "unreadable"
        return f"not decoded: {reason}, {REASONS.get(reason, '')}".removesuffix(", ")
    path = RAW / (row["container"] or row["file_name"])
    return None if _is_below(path, RAW) else f"lies outside {RAW}"


def picture_of_variant(row: Mapping[str, Any]) -> Picture:
    """The picture of a row of the ledger."""
    refusal, segment = None, row["segment"] or ""
    if row["status"] != "written" or not segment:
        refusal = f"rejected: {row['reason']}"
    elif not _is_below(SEGMENTS / segment, SEGMENTS):
        refusal = f"lies outside {SEGMENTS}"
    return Picture(
        str(SEGMENTS / segment),
        None if refusal else int(row["offset"]),
        row["length"] or 0,
        row["sha256"] or "",
        AS_DECODED,
        OTHER_VARIANT,
        refusal,
    )


def key_of(picture: Picture, size: Size) -> str:
    """What names a picture: a hash of all that decides it, and of the state of its file.

    Raises:
        OSError: where there is no such file.
    """
    facts = Path(picture.path).stat() if not machine.sources_are_remote() else None
    state = facts and (facts.st_mtime_ns, facts.st_size, facts.st_ino)
    preprocessing = picture.preprocessing.model_dump_json()
    decides = (picture.sha256, picture.offset, state, preprocessing, DECODING, size, SIDE, VERSION)
    return hashlib.sha256(repr(decides).encode()).hexdigest()


def thumbnail_of(picture: Picture, key: str) -> bytes:
    """The thumbnail that is named `key`, from the cache or made."""
    with suppress(OSError):  # not kept yet
        path = _kept(key)
        data = path.read_bytes()
        if data.startswith(IMAGES):
            os.utime(path)  # what is used stays longest
            return data
    data = _read(picture, "thumbnail")
    with suppress(OSError), atomic_write(_kept(key)) as temporary:  # without a cache, it is shown
        temporary.write_bytes(data)
    return data


def _kept(key: str) -> Path:
    return machine.cache_folder() / "thumbnails" / f"{key}.thumbnail"


_decoding = threading.BoundedSemaphore(DECODED_AT_ONCE)


def _read(picture: Picture, size: Size) -> bytes:
    """A picture as a file of its own.

    Raises:
        UserError: where the bytes are others than those that were validated or written.
        UndecodableError, OSError, MemoryError: where there is no image.
    """
    whole = picture.offset is None
    require_same_file(picture.path, picture.length if whole else None, picture.changed)
    with _decoding:
        data = image_bytes.read_checked(picture, picture.changed)
        return encoded(picture.preprocessing.read(data), size)


def encoded(pixels: np.ndarray, size: Size) -> bytes:
    """Pixels as an image file for browsers, PNG or JPEG, in 8 bits."""
    if size == "thumbnail":
        return smaller_file(fitted(pixels, SIDE))[0]
    pixels = to_8_bits(pixels)
    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer > MOST_SIDE:
        sides = (max(1, side * MOST_SIDE // longer) for side in (height, width))
        pixels = resize(pixels, *sides)
    if pixels.size <= LARGEST_PNG:
        return encode(pixels, "png")
    return encode(pixels, "jpeg", QUALITY)


def _media_type(data: bytes) -> str:
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a path that a manifest names stays in its folder; links are ingest's business."""
    return ".." not in path.parts and path.is_relative_to(folder)


# --- one row of a million ---------------------------------------------------------------------

# Of each manifest what names a row, and what is read of it.
NAMED_BY = {VALIDATED_MANIFEST: "file_name", LEDGER: "variant_id"}
LOCATION = {
    VALIDATED_MANIFEST: (
        "file_name", "container", "offset", "bytes", "sha256", "pixel_sha256", "reason",
    ),
    LEDGER: (
        "variant_id", "variant_index", "segment", "offset", "length", "sha256", "status", "reason",
    ),
}  # fmt: skip
Row = dict[str, Any]


class State(NamedTuple):
    """A file as it was when its rows were looked up."""

    path: str
    changed_ns: int
    size: int
    inode: int


class _Index(NamedTuple):
    """Where the rows of a manifest are, by what names them.

    `hashes`: of the names, uint64, sorted; `rows`: the row of each; `starts`: the first row of each
    row group. `file` stays open, so that it is the file of the hashes even when it is replaced.
    """

    hashes: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    file: pq.ParquetFile


def state_of(manifest: Path) -> State:
    """The state of a manifest.

    Raises:
        UserError: where there is none.
    """
    try:
        facts = manifest.stat()
    except OSError:
        made_by = "validate" if manifest == VALIDATED_MANIFEST else "augment"
        hint = f"the {made_by} stage makes it: run `variegate run --until {made_by}`"
        raise UserError(f"{manifest}: not found; {hint}") from None
    return State(str(manifest.absolute()), facts.st_mtime_ns, facts.st_size, facts.st_ino)


def rows_named(manifest: Path, name: str) -> tuple[Row, ...]:
    """The rows of a manifest that have this name: see NAMED_BY and LOCATION.

    Raises:
        UserError: where the manifest is missing or damaged.
    """
    state = state_of(manifest)
    try:
        return _rows_named(manifest, state, name)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        problem = (str(error).splitlines() or [""])[0]
        raise UserError(f"{manifest}: cannot be read as a manifest: {problem}") from None


@lru_cache(maxsize=4096)
def _rows_named(manifest: Path, state: State, name: str) -> tuple[Row, ...]:
    with _indexing:
        index = _index(manifest, state)
    hash = _hashes(np.array([name], object))[0]
    first = np.searchsorted(index.hashes, hash, "left")
    numbers = index.rows[first : np.searchsorted(index.hashes, hash, "right")]
    found = [_row(manifest, state, int(number)) for number in numbers]
    return tuple(row for row in found if row[NAMED_BY[manifest]] == name)


def _row(manifest: Path, state: State, number: int) -> Row:
    index = _index(manifest, state)
    group = int(np.searchsorted(index.starts, number, "right")) - 1
    with _reading:
        table = _group(manifest, state, group)
    row: Row = table.slice(number - int(index.starts[group]), 1).to_pylist()[0]
    return row


@lru_cache(maxsize=4)  # of each a few megabytes
def _group(manifest: Path, state: State, group: int) -> pa.Table:
    """A row group: neighbours are often asked for together."""
    return _index(manifest, state).file.read_row_group(group, list(LOCATION[manifest]))


_indexing = threading.Lock()  # one index, however many pictures of a page are waiting for it
_reading = threading.Lock()  # a file is read by one thread at a time


@lru_cache(maxsize=2)
def _index(manifest: Path, state: State) -> _Index:
    file = pq.ParquetFile(state.path, page_checksum_verification=True)
    column = NAMED_BY[manifest]
    missing = [name for name in LOCATION[manifest] if name not in file.schema_arrow.names]
    if missing:
        raise ValueError(f"has no column {missing[0]}, and may be of another version")
    parts = [
        _hashes(batch.column(0).to_numpy(zero_copy_only=False))
        for batch in file.iter_batches(columns=[column])
    ]
    hashes = np.concatenate([np.zeros(0, np.uint64), *parts])
    rows = np.argsort(hashes, kind="stable").astype(np.uint32)
    groups = range(file.metadata.num_row_groups)
    sizes = [file.metadata.row_group(group).num_rows for group in groups]
    return _Index(hashes[rows], rows, np.cumsum([0, *sizes]), file)


def _hashes(names: np.ndarray) -> np.ndarray:
    return pd.util.hash_array(names, categorize=False)


@lru_cache(maxsize=2)
def _preprocessing(state: State) -> Preprocessing:
    return read_preprocessing(Path(state.path))
