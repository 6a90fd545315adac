"""Write the images inside Parquet files, such as Hugging Face's datasets, into class folders.

A row holds an image (a struct with its `bytes` and `path`, or the bytes alone) and its label: a
number that the schema's metadata name (ClassLabel), or any text or number. The split is what a
column `split` or the file's name says (`train-00000-of-00001.parquet`). Files are not trusted, as
archives are not.
"""

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.acquire.archives import Member, Unpacking, damage_as_user_error
from tasks.acquire.folder_names import FolderNames, safe_name
from tasks.common import events
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_folder
from tasks.common.texts import counted
from tasks.dataset.split_names import SPLIT_WORDS, split_named, split_of_folder

MAGIC = b"PAR1"
SPLIT = "split"
LABEL_NAMES = {"label", "labels", "class", "class_name", "category", "target", "y"}
ROWS_PER_BATCH = 64  # held in memory at once
STEM_CHARACTERS = 50
SHOWN = 3
ENDINGS = {  # of image files, by their first bytes
    b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp",
    b"II*\0": ".tif", b"MM\0*": ".tif",
}  # fmt: skip


class Columns(NamedTuple):
    """The columns of a file that matter, by name; `split` is None where there is none.

    `classes` and `splits`: what the numbers in the columns of labels and of splits are called.
    """

    image: str
    label: str
    split: str | None
    classes: list[str]
    splits: list[str]


class Written(NamedTuple):
    """How many images were written, and what a user should know, in lines."""

    files: int
    notes: list[str]


def find_parquet(sources: Sequence[Path]) -> list[Path]:
    """The Parquet files among `sources` and in the folders among them; empty where there are none.

    Raises:
        UserError: where other files are among the sources too.
    """
    found = []
    others = []
    for source in sources:
        files = sorted(source.rglob("*.parquet")) if source.is_dir() else [source]
        parquet = [path for path in files if _is_parquet(path)]
        found += parquet
        others += [] if parquet else [source]
    if found and others:
        raise UserError(f"{others[0]}: needs to be Parquet, as {found[0]} is, found something else")
    return found


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def write_images(
    paths: Sequence[Path],
    folder: Path,
    max_gb: float,
    image: str | None = None,
    label: str | None = None,
) -> Written:
    """Write the images of Parquet files to `folder`/<split>/<label>/<number>.<ext>: all or nothing.

    Without splits they go to `folder`/<label>.

    Args:
        paths: of the files.
        folder: has to hold no files.
        max_gb: the most that may be written, in 10^9 bytes.
        image: the column of images, where a file has several.
        label: the column of labels, where a file has several.

    Raises:
        UserError: where a file is damaged, where it is not plain which columns or splits are meant,
            or where nothing can be written.
    """
    with atomic_folder(folder, "an import") as temporary:
        reader = _Reader(paths, image, label)
        unpacking = Unpacking(temporary, max_gb)
        for path in paths:
            unpacking.require_room(path, path.stat().st_size)
        for member in events.track(reader.images(), reader.rows, "unpacking", "image"):
            if member is not None:
                unpacking.unpack_member(member)
        if not unpacking.files:
            found = "; ".join(reader.notes()) or "no rows"
            raise UserError(f"{paths[0]}: needs images with labels, found none: {found}")
    return Written(unpacking.files, reader.notes())


class _Reader:
    """The rows of Parquet files as files to write, with what was counted so far."""

    def __init__(self, paths: Sequence[Path], image: str | None, label: str | None) -> None:
        self.columns: dict[Path, Columns] = {}
        self.splits: dict[Path, str | None] = {}
        self.rows = 0
        for path in sorted(paths):
            with damage_as_user_error(path), pq.ParquetFile(path) as file:
                self.columns[path] = find_columns(path, file.schema_arrow, image, label)
                self.rows += file.metadata.num_rows
            self.splits[path] = split_named(path.stem) or split_of_folder(path.parent.name)
        self._require_splits_of_all()
        self.names = FolderNames()
        self.folders: dict[str, str] = {}  # by label
        self.numbers: dict[str, int] = defaultdict(int)  # of images so far, by split
        self.left_out: Counter[str] = Counter()
        self.first_path = ""  # of those that are not inside

    def _require_splits_of_all(self) -> None:
        """A file without a split beside others would be classes beside splits."""
        without = [
            path
            for path, columns in self.columns.items()
            if not columns.split and not self.splits[path]
        ]
        if without and len(without) < len(self.columns):
            need = "needs a split in its name, as in train-00000-of-00001.parquet"
            raise UserError(f"{without[0]}: {need}: others have one")

    def images(self) -> Iterator[Member | None]:
        """A member for each row; None for rows that are left out."""
        for path, columns in self.columns.items():
            names = [columns.image, columns.label, *filter(None, [columns.split])]
            with (
                damage_as_user_error(path),
                pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file,
            ):
                for batch in file.iter_batches(ROWS_PER_BATCH, columns=names):
                    for row in batch.to_pylist():
                        yield self._member(path, columns, row)

    def _member(self, path: Path, columns: Columns, row: dict[str, Any]) -> Member | None:
        image = row[columns.image]
        data, name = (
            (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
        )
        label = _text(row[columns.label], columns.classes)
        if not data or label is None:
            self.left_out["label" if data else "path" if name else "image"] += 1
            self.first_path = self.first_path or (name or "" if not data else "")
            return None
        split = self._split(path, columns, row)
        number = self.numbers[split]
        self.numbers[split] += 1
        parts = (split, self._folder(label), _file_name(number, data, name))
        return Member(path, "/".join(filter(None, parts)), "file", partial(io.BytesIO, data))

    def _split(self, path: Path, columns: Columns, row: dict[str, Any]) -> str:
        """The split of a row; empty where nothing names one.

        Raises:
            UserError: where the column names none.
        """
        if columns.split is None:
            return self.splits[path] or ""
        text = _text(row[columns.split], columns.splits)
        if (text or "").lower() not in SPLIT_WORDS:
            need = f"column {columns.split} needs to be train, validation or test"
            raise UserError(f"{path}: {need}, found {text!r}")
        return SPLIT_WORDS[(text or "").lower()]

    def _folder(self, label: str) -> str:
        if label not in self.folders:
            self.folders[label] = self.names.add(label)
        return self.folders[label]

    def notes(self) -> list[str]:
        """What was left out, and which labels are written otherwise, in lines."""
        words = {
            "image": ("row", "rows", "without an image"),
            "path": (
                "row that holds",
                "rows that hold",
                f"only the path of an image ({self.first_path} for one): "
                "embed the files when the Parquet is written",
            ),
            "label": ("image", "images", "without a label"),
        }
        lines = [
            f"left out {counted(self.left_out[kind], one, more)} {text}"
            for kind, (one, more, text) in words.items()
            if self.left_out[kind]
        ]
        other = [f"{text!r} as {name}" for text, name in self.folders.items() if text != name]
        if other:
            shown = ", ".join(other[:SHOWN]) + (", ..." if len(other) > SHOWN else "")
            labels = counted(
                len(other), "label is no name of a folder", "labels are no names of folders"
            )
            lines.append(f"{labels}: wrote {shown}")
        return lines


def _file_name(number: int, data: bytes, path: Any) -> str:
    """The number, what the image was called, and the ending of its format."""
    was = PurePosixPath(str(path or "").replace("\\", "/"))
    stem = safe_name(was.stem)[:STEM_CHARACTERS].strip(". ")
    known = next((ending for start, ending in ENDINGS.items() if data.startswith(start)), "")
    ending = known or safe_name(was.suffix.lower())[:10]
    ending = ending if ending.startswith(".") or not ending else f".{ending}"
    return f"{number:06d}{'_' if stem else ''}{stem}{ending}"


def _text(value: Any, names: list[str]) -> str | None:
    """A label or split as text: a number's name where it has one; None where there is none.

    Of named numbers -1 stands for none.
    """
    if names and isinstance(value, int):
        return None if value < 0 else names[value] if value < len(names) else str(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None or value != value else str(value).strip() or None


# --- which columns --------------------------------------------------------------------------------


def find_columns(path: Path, schema: pa.Schema, image: str | None, label: str | None) -> Columns:
    """The columns of a Parquet file of images.

    Args:
        path: of the file, for the error.
        schema: its schema.
        image: the column that is asked for; None lets features and types decide.
        label: as `image`.

    Raises:
        UserError: where there is not one of each.
    """
    features = _features(schema)
    split = SPLIT if SPLIT in schema.names else None
    images = [field.name for field in schema if _holds_images(field.type)]
    typed = [name for name in images if _feature(features, name).get("_type") == "Image"]
    structs = [name for name in images if pa.types.is_struct(schema.field(name).type)]
    image = _choose(path, schema, "images", typed or structs or images, image)
    if image not in images:
        need = f"column {image} needs to hold the bytes of images"
        raise UserError(f"{path}: {need}, found {schema.field(image).type}")
    fields = [field for field in schema if _may_label(field.type) and field.name != split]
    labels = [field.name for field in fields]
    classes = [name for name in labels if _feature(features, name).get("_type") == "ClassLabel"]
    called = [name for name in labels if name.lower() in LABEL_NAMES]
    # pandas makes floats of whole numbers with gaps, and may add its index
    others = [
        field.name
        for field in fields
        if not pa.types.is_floating(field.type) and not field.name.startswith("__index_level_")
    ]
    label = _choose(path, schema, "labels", classes or called or others, label)
    if label not in labels:
        need = f"column {label} needs to hold text or numbers"
        raise UserError(f"{path}: {need}, found {schema.field(label).type}")
    return Columns(
        image, label, split, _names(features, label), _names(features, split) if split else []
    )


def _choose(
    path: Path, schema: pa.Schema, what: str, candidates: list[str], asked: str | None
) -> str:
    """The column that is asked for, or the only candidate.

    Raises:
        UserError: where there is none, or several.
    """
    option = f"--{what.removesuffix('s')}-column"
    if asked is not None:
        if asked not in schema.names:
            raise UserError(f"{path}: needs the column {asked} ({option}), {_found(schema.names)}")
        return asked
    if not candidates:
        raise UserError(f"{path}: needs a column of {what}, {_found(schema.names)}")
    if len(candidates) > 1:
        raise UserError(f"{path}: needs one column of {what} ({option}), {_found(candidates)}")
    return candidates[0]


def _found(names: list[str]) -> str:
    return f"found {', '.join(names)[:200] or 'none'}"


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What Hugging Face's datasets note of the columns; empty for other files."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _feature(features: dict[str, Any], name: str) -> dict[str, Any]:
    feature = features.get(name)
    return feature if isinstance(feature, dict) else {}


def _names(features: dict[str, Any], name: str) -> list[str]:
    """The names of a ClassLabel's numbers, in order; empty for other columns."""
    names = _feature(features, name).get("names")
    return list(map(str, names)) if isinstance(names, list) else []


def _holds_images(type: pa.DataType) -> bool:
    if pa.types.is_struct(type):
        names = [field.name for field in type]
        return "bytes" in names and _is_binary(type.field("bytes").type)
    return _is_binary(type)


def _is_binary(type: pa.DataType) -> bool:
    return pa.types.is_binary(type) or pa.types.is_large_binary(type)


def _may_label(type: pa.DataType) -> bool:
    if pa.types.is_dictionary(type):
        type = type.value_type
    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_boolean,
    )
    return any(is_kind(type) for is_kind in kinds)
