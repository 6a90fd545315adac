"""Export the images of every split, and the training split's variants, for other tools.

    imagefolder   <split>/<label>/<variant_id>.<ext>
    webdataset    <split>-000000.tar, ... with <variant_id>.<ext> and <variant_id>.cls; classes.json

An export is complete when it has its `manifest.parquet`. Until then that file is called
`unfinished.parquet`. It is written first and names every file that the export will have. So an
export that was killed can be resumed: the next run knows which files are the export's, keeps those
that are whole, and removes those that the dataset no longer has.
"""

import os
import re
import tarfile
from contextlib import nullcontext, suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.augment.tar_format import BLOCK
from tasks.commands.export_layouts import LAYOUTS, changed_bytes_error
from tasks.commands.preprocessed_originals import preprocessed
from tasks.common import events, tables
from tasks.common.errors import UserError
from tasks.dataset import image_bytes, raw_files
from tasks.dataset.paths import AUGMENTED, LEDGER, VALIDATED_MANIFEST
from tasks.dataset.selections import originals, usable, written_variants
from tasks.pixels.preprocess import Preprocessing
from tasks.variants.make import variant_id

MANIFEST = "manifest.parquet"
UNFINISHED = "unfinished.parquet"
CLASSES = "classes.json"
COLUMNS = pa.schema(
    {
        "variant_id": pa.string(),
        "source_id": pa.string(),
        "label": pa.string(),  # what the image shows: its folder, or its .cls
        "source_label": pa.string(),  # the class of its source, see tasks/variants/relabelling.py
        "class_index": pa.int32(),  # index of the label among all labels, sorted
        "split": pa.string(),
        "variant_index": pa.int32(),  # 0 is the original
        "file": pa.string(),  # below the export's folder: the image, or the shard that holds it
        "sha256": pa.string(),  # of the image's bytes
    }
)
# By Pillow's name of the format; of any other format, that name in small letters.
EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif", "JPEG2000": "jp2"}


def export(
    validated: pd.DataFrame,
    ledger: pd.DataFrame,
    folder: Path,
    layout: str,
    preprocessing: Preprocessing | None = None,
) -> dict[str, Any]:
    """Write originals of every split and the training split's variants into `folder`.

    Args:
        validated: the validated manifest.
        ledger: the ledger.
        folder: empty, missing, or an earlier export.
        layout: a key of LAYOUTS.
        preprocessing: where given, originals are written preprocessed, as PNG; else as they are.

    Returns:
        What was written, in numbers; `kept` counts files that were there already, whole.

    Raises:
        UserError: where `folder` holds other files, or bytes are not those that the manifests name.
    """
    if layout not in LAYOUTS:
        raise UserError(f"--format {layout}: needs one of {', '.join(LAYOUTS)}")
    check_same_sources(usable(validated, "train"), originals(ledger))
    files = located_originals(validated)
    with preprocessed(files, preprocessing) if preprocessing else nullcontext(files) as sources:
        return write_export(folder, images_to_export(sources, ledger), layout)


def write_export(folder: Path, images: pd.DataFrame, layout: str) -> dict[str, Any]:
    """Write `images`, those of images_to_export(); see export()."""
    images = LAYOUTS[layout].assign_files(images)
    classes = sorted(images["label"].unique())
    begin_export(folder, images, {CLASSES} if layout == "webdataset" else set())
    if layout == "webdataset":
        tables.write_json(folder / CLASSES, classes)
    kept = write_files(folder, images, layout)
    (folder / UNFINISHED).replace(folder / MANIFEST)
    splits = images["split"].value_counts().sort_index()
    return {
        "format": layout,
        "images": len(images),
        "classes": len(classes),
        "splits": {str(name): int(count) for name, count in splits.items()},
        "shards" if layout == "webdataset" else "files": images["file"].nunique(),
        "kept": kept,
        "bytes": int(images["length"].sum()),
    }


def write_files(folder: Path, images: pd.DataFrame, layout: str) -> int:
    """Write every file of the export; returns how many were there already, whole.

    In this process alone: more are no faster, since the disk is the limit.
    """
    files = groupby(images.itertuples(index=False), key=attrgetter("file"))
    kept = 0
    for name, rows in events.track(files, images["file"].nunique(), "exporting", "file"):
        kept += LAYOUTS[layout].write(folder / name, list(rows))
    return kept


# --- which images ---------------------------------------------------------------------------------


def located_originals(validated: pd.DataFrame) -> pd.DataFrame:
    """The usable images, with the columns of image_bytes.read_row() and their `extension`."""
    sources = image_bytes.locate_images(usable(validated))
    extensions = sources["format"].map(lambda name: EXTENSIONS.get(name, name.lower()))
    return sources.assign(extension=extensions)


def images_to_export(sources: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """The images to export: originals first, then variants.

    Args:
        sources: see located_originals().
        ledger: the ledger.

    Returns:
        The columns of COLUMNS but `file`, and those of image_bytes.read_row() and `extension`.
    """
    sources = sources.assign(
        variant_id=[variant_id(source_id, 0) for source_id in sources["source_id"]],
        variant_index=0,
        source_label=sources["label"],
    )
    variants = image_bytes.locate_variants(written_variants(ledger))
    formats = variants["source_id"].map(sources.set_index("source_id")["format"])
    variants = variants.assign(extension=extensions_of(variants, formats))
    columns = [name for name in COLUMNS.names if name not in ("class_index", "file")]
    columns += ["path", "offset", "length", "extension"]
    images = pd.concat([sources[columns], variants[columns]], ignore_index=True)
    class_index = pd.Categorical(images["label"]).codes.astype("int32")
    return images.assign(class_index=class_index).astype({"length": "int64"})


def check_same_sources(training: pd.DataFrame, sources: pd.DataFrame) -> None:
    """Check that the ledger's sources are the validated training images.

    Raises:
        UserError: where they are not.
    """
    both = training.merge(sources, on=["source_id", "label"])
    if not len(both) == len(training) == len(sources):
        raise UserError(
            f"{LEDGER}: needs to be made from {VALIDATED_MANIFEST}, "
            "which has other training images; run `variegate run --until augment`"
        )


def extensions_of(variants: pd.DataFrame, formats: pd.Series) -> pd.Series:
    """The extension of each variant; `formats` are those of their sources.

    A recipe gives all sources of one format the same extension, so it is read from the segments
    once for each format.
    """
    extensions = {
        formats[row.Index]: _extension_in_segment(row)
        for row in variants.groupby(formats).head(1).itertuples()
    }
    return formats.map(extensions)


def _extension_in_segment(row: Any) -> str:
    """The extension of a variant's name in the tar header before its bytes."""
    with Path(row.path).open("rb") as file:
        file.seek(int(row.offset) - BLOCK)
        header = file.read(BLOCK)
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "strict").name.rpartition(".")[2]
    except (tarfile.HeaderError, UnicodeDecodeError):
        raise UserError(f"{row.path}: {changed_bytes_error(row.variant_id)}") from None


# --- the folder -----------------------------------------------------------------------------------


def begin_export(folder: Path, images: pd.DataFrame, extra: set[str]) -> None:
    """Make `folder` ready for the export: remove files of an earlier one that it will not have.

    Then UNFINISHED names what the export will hold.

    Args:
        folder: see export().
        images: with their `file`.
        extra: files that the export will have besides.

    Raises:
        UserError: where the folder holds files of others, or lies where the pipeline writes.
    """
    if folder.resolve().is_relative_to(AUGMENTED.parent.resolve()):
        raise UserError(
            f"{folder}: needs a folder outside {AUGMENTED.parent}, which the pipeline owns"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: needs a folder, found a file")
    earlier = next((name for name in (MANIFEST, UNFINISHED) if (folder / name).is_file()), None)
    of_export = {UNFINISHED}
    if earlier:
        of_export |= {MANIFEST, CLASSES, *files_listed_in(folder / earlier)}
    present = list(raw_files.list_files(folder)) if folder.is_dir() else []
    foreign = [name for name in present if _name_when_complete(name) not in of_export]
    if foreign:
        raise UserError(f"{folder}: needs to be empty or an earlier export, found {min(foreign)!r}")
    if earlier:
        (folder / earlier).replace(folder / UNFINISHED)
    for name in set(present) - set(images["file"]) - extra - {MANIFEST, UNFINISHED}:
        (folder / name).unlink()
    _remove_empty_folders(folder)
    tables.write_table(folder / UNFINISHED, images, COLUMNS)


def files_listed_in(manifest: Path) -> list[str]:
    """The files that an earlier export names in its manifest, below the manifest's folder.

    Raises:
        UserError: where it is damaged: nothing else says which files are the export's.
    """
    try:
        files = pa.schema([COLUMNS.field("file")])  # of an earlier version it may lack others
        return tables.read_table(manifest, files, made_by="export")["file"].tolist()
    except UserError:
        raise UserError(
            f"{manifest}: is damaged, and only it says which files an earlier export wrote; "
            f"delete {manifest.parent} or export into an empty folder"
        ) from None


def _remove_empty_folders(folder: Path) -> None:
    """Remove the folders below `folder` that hold no file."""
    for path, _, _ in os.walk(folder, topdown=False):
        if path != str(folder):
            with suppress(OSError):  # not empty
                Path(path).rmdir()


def _name_when_complete(name: str) -> str:
    """The name that a file of atomic_write() was to get; a killed export leaves such files."""
    temporary = re.fullmatch(r"\.(.+)\.[0-9a-f]+\.tmp", Path(name).name)
    return Path(name).with_name(temporary[1]).as_posix() if temporary else name
