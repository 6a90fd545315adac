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

from tasks.common.texts import counted, noun
from tasks.ingest.containers import IMAGE_ENDINGS
from tasks.ingest.params import IngestParams

# `0001_mask.png`, `0001.seg.png`, `0001_mask_1.png`
MASK_NAME = r"[._ -](?:masks?|seg|segm|segmentation|matte|gt|annotation)(?:[._-]?\d+)?\.[a-z0-9]+$"
MASK_FOLDER = r"(^|/|::)(?:masks?|segmentations?|ground[_ -]?truth)/([^/]+)$"  # `masks/0001.png`
PHOTO_FOLDER = r"(^|/|::)(?:images?|imgs?|photos?)/([^/]+)$"
ENDINGS_SHOWN = 4


def join_names(rows: pa.Table) -> pa.Table:
    """The rows; images of one name get it as `sample` where they have none.

    These are a photo and its masks, which lie beside it or in a folder `masks` beside its own.
    Where most photos have a file of another format beside them (`1.jpg` and `1.png`), these too:
    they are masks, or copies.
    """
    names = rows["file_name"]
    is_free = pc.and_(pc.is_null(rows["sample"]), _have_image_names(names))
    is_mask = pc.and_(is_free, _are_masks(names))
    is_photo = pc.and_not(is_free, is_mask)
    stems = _stems(names)
    photos = pc.filter(stems, is_photo)
    counts = pc.value_counts(photos)
    twins = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))
    if 2 * len(twins) < len(counts):
        twins = twins.slice(0, 0)
    masked = pc.filter(stems, pc.and_(is_mask, pc.is_in(stems, photos)))
    joined = pc.or_(pc.is_in(stems, masked), pc.is_in(stems, twins))
    samples = pc.if_else(pc.and_(is_free, joined), stems, rows["sample"])
    return _with_column(rows, "sample", samples)


def _are_masks(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which names are such as masks have; only beside a photo it means that they are masks."""
    by_name, by_folder = (
        pc.match_substring_regex(names, pattern, ignore_case=True)
        for pattern in (MASK_NAME, MASK_FOLDER)
    )
    return pc.or_(by_name, by_folder)


def _stems(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """What the names of a photo and of its masks have in common: `cat/1` of `cat/masks/1.png`."""
    stems = pa.chunked_array([[name.rpartition(".")[0] for name in names.to_pylist()]], pa.string())
    by_name = pc.match_substring_regex(names, MASK_NAME, ignore_case=True)
    if pc.any(by_name).as_py():
        stripped = pc.replace_substring_regex(names, f"(?i){MASK_NAME}", "")
        stems = pc.if_else(by_name, stripped, stems)
    if pc.any(pc.match_substring_regex(names, MASK_FOLDER, ignore_case=True)).as_py():
        for folder in (MASK_FOLDER, PHOTO_FOLDER):
            stems = pc.replace_substring_regex(stems, f"(?i){folder}", r"\1\2")
    return stems


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
    is_mask = _are_masks(pa.chunked_array([several["file_name"]], pa.string())).to_pandas()
    ordered = several.assign(is_mask=is_mask.to_numpy()).sort_values(
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
    is_mask = _are_masks(pa.chunked_array([found["file_name"]], pa.string())).to_pandas()
    pairs = zip(found["file_name"], found["sample"], strict=True)
    found = found.assign(ending=[_ending(name, sample) for name, sample in pairs])
    masks, photos = found[is_mask], found[~is_mask]
    views = photos[photos["sample"].duplicated(keep=False)]
    if len(masks):
        rule = "first" if views.empty else _all_but(set(masks["ending"]))
        count = counted(len(masks), "mask lies", "masks lie")
        used = noun(
            len(masks), "is used as an image of its class", "are used as images of their class"
        )
        left_out = f"{_advice(rule)} leaves {noun(len(masks), 'it', 'them')} out"
        yield f"{count} beside photos ({_shown(masks)}) and {used}; {left_out}"
    if len(views):
        samples = counted(views["sample"].nunique(), "sample has", "samples have")
        count = f"{samples} several images ({_shown(views)})"
        yield f"{count}, which belong together; {_advice('first')} uses one of each{_or_one(views)}"


def _ending(name: str, sample: str) -> str:
    """What tells an image of a sample from the others: `.left.jpg`, or the folder `masks/`."""
    if name.startswith(sample) and "/" not in name[len(sample) :]:
        return name[len(sample) :]
    return re.split("/|::", name)[-2] + "/"


def _shown(images: pd.DataFrame) -> str:
    endings = sorted(set(images["ending"]))
    more = ", ..." if len(endings) > ENDINGS_SHOWN else ""
    return f"{', '.join(endings[:ENDINGS_SHOWN])}{more}; {images['file_name'].iloc[0]} for one"


def _advice(rule: str) -> str:
    return f"`images: {rule}` in params.yaml's block ingest"


def _all_but(endings: set[str]) -> str:
    """The pattern of all names but those of these endings and folders."""
    parts = [
        f"/{re.escape(ending)}" if ending.endswith("/") else f"{re.escape(ending)}$"
        for ending in sorted(endings)
    ]
    return _quoted(f"^(?!.*({'|'.join(parts)}))")


def _quoted(pattern: str) -> str:
    """The pattern as YAML's text in single quotes."""
    return "'" + pattern.replace("'", "''") + "'"


def _or_one(views: pd.DataFrame) -> str:
    """The pattern of the commonest ending, unless it matches others too."""
    commonest = views["ending"].mode()[0]
    alike = sum(ending.endswith(commonest) for ending in set(views["ending"]))
    if alike > 1 or commonest.endswith("/"):
        return ""
    return f", `images: {_quoted(re.escape(commonest) + '$')}` those alone"
