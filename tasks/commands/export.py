"""Export: the images of every split, written for other tools.

    imagefolder    <split>/<label>/<variant_id>.<ext>
    webdataset     <split>-000000.tar, ... with <variant_id>.<ext> and <variant_id>.cls; classes.json

An export is all there when it has its `manifest.parquet`. Until then that file is called `unfinished.parquet`: it names
every file that the export will have, so that the next run knows what is its own, keeps what is whole and removes what a
later dataset has no use for.
"""

import os
import re
import tarfile
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.augment.segments import BLOCK
from tasks.commands.export_layouts import LAYOUTS, other_bytes
from tasks.common import events, tables
from tasks.common.errors import UserError
from tasks.dataset import image_bytes, raw_files
from tasks.dataset.paths import AUGMENTED, LEDGER, VALIDATED_MANIFEST
from tasks.dataset.selections import originals, usable, written_variants
from tasks.variants.make import variant_id

MANIFEST = "manifest.parquet"
UNFINISHED = "unfinished.parquet"
CLASSES = "classes.json"
COLUMNS = pa.schema(
    {
        "variant_id": pa.string(),
        "source_id": pa.string(),
        "label": pa.string(),
        "class_index": pa.int32(),  # place of the label among all labels, sorted
        "split": pa.string(),
        "variant_index": pa.int32(),  # 0 is the original
        "file": pa.string(),  # below the export's folder: the image, or the shard that holds it
        "sha256": pa.string(),  # of the image's bytes
    }
)
EXTENSIONS = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "TIFF": "tif",
    "JPEG2000": "jp2",
}  # others: Pillow's name in small letters


def export(validated: pd.DataFrame, rows: pd.DataFrame, folder: Path, kind: str) -> dict[str, Any]:
    """Write originals of every split and the training split's variants into `folder`, as `kind` (see layouts.LAYOUTS).

    Args:
        validated: the validated manifest.
        rows: the ledger.

    Returns:
        What was written, in numbers; `kept` counts files that were there already, whole.

    Raises:
        UserError: where `folder` holds other files, or bytes are not those that the manifests name.
    """
    if kind not in LAYOUTS:
        raise UserError(f"--format {kind}: needs one of {', '.join(LAYOUTS)}")
    arrange, write = LAYOUTS[kind]
    found = arrange(images_of(validated, rows))
    classes = sorted(found["label"].unique())
    claim(folder, found, {CLASSES} if kind == "webdataset" else set())
    if kind == "webdataset":
        tables.write_json(folder / CLASSES, classes)
    # one process: several are no faster, the disk decides
    count = found["file"].nunique()
    files = groupby(found.itertuples(index=False), key=attrgetter("file"))
    kept = sum(
        write(folder / name, list(of_it))
        for name, of_it in events.track(files, count, "exporting", "file")
    )
    (folder / UNFINISHED).replace(folder / MANIFEST)
    splits = found["split"].value_counts().sort_index()
    return {
        "format": kind,
        "images": len(found),
        "classes": len(classes),
        "splits": {str(name): int(count) for name, count in splits.items()},
        "shards" if kind == "webdataset" else "files": count,
        "kept": kept,
        "bytes": int(found["length"].sum()),
    }


# --- which images -------------------------------------------------------------------------------------------------


def images_of(validated: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """The images to export, originals first: the columns of COLUMNS but `file`, and where each lies and what it is:
    path, offset and length in bytes, extension.

    Raises:
        UserError: where the ledger was made from other sources.
    """
    check_same_sources(usable(validated, "train"), originals(ledger))
    sources = image_bytes.locate(usable(validated))
    sources = sources.assign(
        variant_id=[variant_id(source_id, 0) for source_id in sources["source_id"]],
        variant_index=0,
        extension=sources["format"].map(lambda name: EXTENSIONS.get(name, name.lower())),
    )
    variants = image_bytes.locate_variants(written_variants(ledger))
    formats = variants["source_id"].map(sources.set_index("source_id")["format"])
    variants = variants.assign(extension=extensions_of(variants, formats))
    columns = [name for name in COLUMNS.names if name not in ("class_index", "file")]
    columns += ["path", "offset", "length", "extension"]
    found = pd.concat([sources[columns], variants[columns]], ignore_index=True)
    return found.assign(class_index=pd.Categorical(found["label"]).codes.astype("int32")).astype(
        {"length": "int64"}
    )


def check_same_sources(training: pd.DataFrame, sources: pd.DataFrame) -> None:
    """Raises UserError where the ledger's sources are not the validated training images."""
    both = training.merge(sources, on=["source_id", "label"])
    if not len(both) == len(training) == len(sources):
        raise UserError(
            f"{LEDGER}: needs to be made from {VALIDATED_MANIFEST}, which has other training images; "
            "run `variegate run --until augment`"
        )


def extensions_of(variants: pd.DataFrame, formats: pd.Series) -> pd.Series:
    """The extension of each variant: one recipe gives all sources of one format the same, which segments tell."""
    firsts = variants.groupby(formats).head(1)
    return formats.map(
        {formats[row.Index]: _extension_in_segment(row) for row in firsts.itertuples()}
    )


def _extension_in_segment(row: Any) -> str:
    with Path(row.path).open("rb") as file:
        file.seek(int(row.offset) - BLOCK)
        head = file.read(BLOCK)
    try:
        return tarfile.TarInfo.frombuf(head, "utf-8", "strict").name.rpartition(".")[2]
    except (tarfile.HeaderError, UnicodeDecodeError):
        raise UserError(f"{row.path}: {other_bytes(row.variant_id)}") from None


# --- the folder ---------------------------------------------------------------------------------------------------


def claim(folder: Path, found: pd.DataFrame, extra: set[str]) -> None:
    """Make `folder` this export's: remove what an earlier one left of other images, say what it will hold.

    Raises:
        UserError: where it holds files of others, or lies where the pipeline writes.
    """
    if folder.resolve().is_relative_to(AUGMENTED.parent.resolve()):
        raise UserError(
            f"{folder}: needs a folder outside {AUGMENTED.parent}, which the pipeline owns"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: needs a folder, found a file")
    before = next((name for name in (MANIFEST, UNFINISHED) if (folder / name).is_file()), None)
    own = {UNFINISHED}
    if before:
        own |= {MANIFEST, CLASSES, *files_listed_in(folder / before)}
    there = list(raw_files.list_files(folder)) if folder.is_dir() else []
    others = [name for name in there if _without_temporary(name) not in own]
    if others:
        raise UserError(f"{folder}: needs to be empty or an earlier export, found {min(others)!r}")
    if before:
        (folder / before).replace(folder / UNFINISHED)
    for name in set(there) - set(found["file"]) - extra - {MANIFEST, UNFINISHED}:
        (folder / name).unlink()
    for place, _, _ in os.walk(folder, topdown=False):
        if place != str(folder):
            with suppress(OSError):  # not empty
                Path(place).rmdir()
    tables.write_table(folder / UNFINISHED, found, COLUMNS)


def files_listed_in(manifest: Path) -> list[str]:
    """The files that an earlier export names in its manifest, below the manifest's folder.

    Raises:
        UserError: where it is damaged: nothing else says which files are the export's.
    """
    try:
        return tables.read_table(manifest, COLUMNS, made_by="export")["file"].tolist()
    except UserError:
        raise UserError(
            f"{manifest}: is damaged, and only it says which files an earlier export wrote; "
            f"delete {manifest.parent} or export into an empty folder"
        ) from None


def _without_temporary(name: str) -> str:
    """The name that a file was to get: a killed export leaves a file of manifest.replacing()."""
    temporary = re.fullmatch(r"\.(.+)\.[0-9a-f]+\.tmp", Path(name).name)
    return Path(name).with_name(temporary[1]).as_posix() if temporary else name
