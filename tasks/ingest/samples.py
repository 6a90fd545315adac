"""Samples of several images (views of one thing, or a photo and its mask), and which of them count.

The images of one WebDataset sample belong together (see tar_shards.py), and so do a photo and the
mask that lies beside it: `0001.jpg` and `0001_mask.png`. `ingest.images` says which are used. All
is told by names: nothing is decoded here.
"""

import re
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.containers import IMAGE_ENDINGS
from tasks.ingest.params import IngestParams

# `0001_mask.png`, `0001.seg.png`, `0001_mask_1.png`
MASK = r"(?i)[._ -](?:masks?|seg|segm|segmentation|matte|gt|annotation)(?:[._-]?\d+)?\.[a-z0-9]+$"
ENDINGS_SHOWN = 4


def join_names(rows: pa.Table) -> pa.Table:
    """The rows; images of one name get it as `sample` where they have none.

    These are a photo and the masks beside it, and where most photos have a file of another format
    beside them (`1.jpg` and `1.png`), these too: they are masks, or copies.
    """
    names = rows["file_name"]
    is_free = pc.and_(pc.is_null(rows["sample"]), _have_image_names(names))
    is_mask = pc.and_(is_free, pc.match_substring_regex(names, MASK))
    is_photo = pc.and_not(is_free, is_mask)
    stems = pa.array([name.rpartition(".")[0] for name in names.to_pylist()], pa.string())
    if pc.any(is_mask).as_py():
        stems = pc.if_else(is_mask, pc.replace_substring_regex(names, MASK, ""), stems)
    photos = pc.filter(stems, is_photo)
    counts = pc.value_counts(photos)
    twins = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))
    if 2 * len(twins) < len(counts):
        twins = twins.slice(0, 0)
    masked = pc.filter(stems, pc.and_(is_mask, pc.is_in(stems, photos)))
    joined = pc.or_(pc.is_in(stems, masked), pc.is_in(stems, twins))
    samples = pc.if_else(pc.and_(is_free, joined), stems, rows["sample"])
    return _with_column(rows, "sample", samples)


def _have_image_names(names: pa.ChunkedArray) -> pa.ChunkedArray:
    endings = [name[name.rfind(".") :].lower() for name in names.to_pylist()]
    return pc.is_in(pa.array(endings, pa.string()), pa.array(IMAGE_ENDINGS))


def choose(rows: pa.Table, params: IngestParams) -> pa.Table:
    """The rows; those that `ingest.images` leaves out get the reason `not_chosen`."""
    if params.images == "all":
        return rows
    table = rows.select(["file_name", "sample", "offset", "reason", "detail"]).to_pandas()
    images = table[table["reason"].isna()]
    if params.images == "first":
        first = _first_of_samples(images)
        left_out = first.index[first.notna() & (first != images["file_name"])]
        details = "its sample is used by " + first[left_out]
    else:
        matches = re.compile(params.images).search
        left_out = images.index[[not matches(name) for name in images["file_name"]]]
        details = "its name does not match ingest.images"
    table.loc[left_out, "reason"] = "not_chosen"
    table.loc[left_out, "detail"] = details
    for column in ("reason", "detail"):
        rows = _with_column(rows, column, pa.array(table[column], pa.string(), from_pandas=True))
    return rows


def _first_of_samples(images: pd.DataFrame) -> pd.Series:
    """The name of the first image of each image's sample, masks counted last; null without one."""
    several = images[images["sample"].notna()]
    is_mask = several["file_name"].str.contains(MASK)
    ordered = several.assign(is_mask=is_mask).sort_values(
        ["is_mask", "offset", "file_name"], kind="stable"
    )
    return ordered.groupby("sample")["file_name"].transform("first").reindex(images.index)


def _with_column(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)


def notes_on_samples(rows: pa.Table, params: IngestParams) -> Iterator[str]:
    """A line for photos with masks, and one for samples of several views.

    None where `ingest.images` says what to do with them.
    """
    found = rows.select(["file_name", "sample"]).filter(pc.is_valid(rows["sample"])).to_pandas()
    if params.images != "all" or found.empty:
        return
    lengths = found["sample"].str.len()
    endings = [name[length:] for name, length in zip(found["file_name"], lengths, strict=True)]
    is_mask = found["file_name"].str.contains(MASK)
    found = found.assign(ending=endings)
    masks, photos = found[is_mask], found[~is_mask]
    views = photos[photos["sample"].duplicated(keep=False)]
    if len(masks):
        rule = "first" if views.empty else _all_but(set(masks["ending"]))
        count = f"{len(masks):,} masks lie beside photos ({_shown(masks)})"
        yield f"{count} and are used as images of their class; {_advice(rule)} leaves them out"
    if len(views):
        count = f"{views['sample'].nunique():,} samples have several images ({_shown(views)})"
        yield f"{count}, which belong together; {_advice('first')} uses one of each{_or_one(views)}"


def _shown(images: pd.DataFrame) -> str:
    endings = sorted(set(images["ending"]))
    more = ", ..." if len(endings) > ENDINGS_SHOWN else ""
    return f"{', '.join(endings[:ENDINGS_SHOWN])}{more}; {images['file_name'].iloc[0]} for one"


def _advice(rule: str) -> str:
    return f"`images: {rule}` in params.yaml's block ingest"


def _all_but(endings: set[str]) -> str:
    """The pattern of all names but those that end so."""
    parts = [f"(?<!{re.escape(ending)})" for ending in sorted(endings)]
    return _quoted("".join(parts) + "$")


def _quoted(pattern: str) -> str:
    """The pattern as YAML's text in single quotes."""
    return "'" + pattern.replace("'", "''") + "'"


def _or_one(views: pd.DataFrame) -> str:
    """The pattern of the commonest ending, unless it matches others too."""
    commonest = views["ending"].mode()[0]
    if sum(ending.endswith(commonest) for ending in set(views["ending"])) > 1:
        return ""
    return f", `images: {_quoted(re.escape(commonest) + '$')}` those alone"
