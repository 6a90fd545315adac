"""The fields of originals and variants that can be filtered, sorted by and shown."""

from typing import Literal, NamedTuple

import pyarrow as pa

from tasks.dataset.columns import LEDGER_COLUMNS, MEASURES, VALIDATED_COLUMNS

Kind = Literal["original", "variant"]
FieldType = Literal["text", "integer", "number", "flag"]

ROWS_OF: dict[Kind, str] = {"original": "manifest", "variant": "ledger"}
# How what another file says of a row is found: relations of database.py.
_OF_SOURCE = "LEFT JOIN {0} ON manifest.status = 'ok' AND {0}.source_id = {1}.source_id"
JOINS: dict[Kind, dict[str, str]] = {
    "original": {
        name: _OF_SOURCE.format(name, "manifest") for name in ("predictions", "exposure", "counts")
    },
    "variant": {"manifest": _OF_SOURCE.format("manifest", "ledger")},
}


class Field(NamedTuple):
    """A column of a relation of database.py, and how people call it."""

    name: str
    title: str
    type: FieldType
    relation: str

    @property
    def sql(self) -> str:
        return f'{self.relation}."{self.name}"'

    @property
    def is_number(self) -> bool:
        return self.type in ("integer", "number")


TITLES = {  # where a column's name is not what people would say
    "sha256": "SHA-256",
    "pixel_sha256": "SHA-256 of its pixels",
    "pixel_xxh3": "XXH3 of its pixels",
    "pixel_hash": "XXH3 of its pixels",
    "group_id": "group",
    "cluster": "near-duplicates of",
    "duplicate_of": "copy of",
    "source_id": "source",
    "source_label": "class of its source",
    "label": "class",
    "variant_id": "variant",
    "variant_index": "index",
    "recipe_hash": "recipe",
    "encoding_psnr": "PSNR of its encoding",
    "lowest": "lowest sample",
    "highest": "highest sample",
    "probability": "confidence",
    "probability_of_label": "confidence in its class",
    "correct": "predicted right",
    "presentations": "exposure",
    "planned": "variants planned",
    "written": "variants written",
    "rejected": "variants rejected",
}
# What people compare images by: of all numbers these come first.
MEASURED: dict[Kind, tuple[str, ...]] = {
    "original": (
        *("sharpness", "contrast", "brightness", "width", "height", "bytes"),
        *("probability", "presentations"),
    ),
    "variant": tuple(MEASURES),
}
# Their texts are long: sorting a million of them takes more memory than there is, and helps nobody.
NOT_SORTED_BY = ("operations", "detail")


def _type_of(column: pa.Field) -> FieldType:
    if pa.types.is_integer(column.type):
        return "integer"
    if pa.types.is_floating(column.type):
        return "number"
    return "flag" if pa.types.is_boolean(column.type) else "text"


def _fields_of(columns: pa.Schema, relation: str) -> dict[str, Field]:
    return {
        column.name: Field(column.name, _title(column.name), _type_of(column), relation)
        for column in columns
    }


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " "))


def _joined(name: str, type: FieldType, relation: str) -> dict[str, Field]:
    return {name: Field(name, _title(name), type, relation)}


FIELDS: dict[Kind, dict[str, Field]] = {
    "original": {
        **_fields_of(VALIDATED_COLUMNS, "manifest"),
        **_joined("predicted", "text", "predictions"),
        **_joined("probability", "number", "predictions"),
        **_joined("probability_of_label", "number", "predictions"),
        **_joined("correct", "flag", "predictions"),
        **_joined("presentations", "integer", "exposure"),
        **_joined("planned", "integer", "counts"),
        **_joined("written", "integer", "counts"),
        **_joined("rejected", "integer", "counts"),
    },
    "variant": {
        **_fields_of(LEDGER_COLUMNS, "ledger"),
        **_joined("file_name", "text", "manifest"),
    },
}


def sortable(kind: Kind) -> list[Field]:
    """The fields to sort by, those that people compare images by first."""
    fields = FIELDS[kind]
    first = [fields[name] for name in MEASURED[kind]]
    return first + [
        field
        for name, field in fields.items()
        if name not in MEASURED[kind] and name not in NOT_SORTED_BY
    ]


def numbers(kind: Kind) -> list[Field]:
    """The fields that a range can be asked of, those that people compare images by first."""
    return [field for field in sortable(kind) if field.is_number]
