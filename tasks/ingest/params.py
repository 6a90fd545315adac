"""The ingest block of params.yaml."""

import re
from typing import Any, Literal

from pydantic import field_validator

from tasks.ingest.tables.names import MatchNames
from tasks.pixels.preprocess import Preprocessing


class IngestParams(Preprocessing):
    """Where labels, splits and groups come from, and what is done to every image.

    `layout`: what names the classes; `auto` finds it out. `label_from`: the folder that names the
    class where folders are nested. `group_pattern`: a regular expression; what its first group
    finds in a file's path (or all of it, where it has no group) is the image's group. `images`:
    which are used: `all`; the `first` of each sample of several (see samples.py), masks counted
    last; or those in whose name a regular expression finds something. `match_names`: in what the
    names in tables may differ from those of files. `file_column` and `label_column`: the columns of
    tables that hold names and labels, by name or number from 1. `range` and `preprocess`: see
    Preprocessing.
    """

    layout: Literal["auto", "class_folders", "split_folders", "tables"] = "auto"
    label_from: Literal["first", "last", "path"] = "first"
    group_pattern: str | None = None
    images: str = "all"
    match_names: MatchNames = "exact"
    file_column: str | int | None = None
    label_column: str | int | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(range=self.range, preprocess=self.preprocess)

    @field_validator("group_pattern", "images")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"needs a regular expression, found {pattern!r}: {error}") from None
        return pattern

    @field_validator("file_column", "label_column", mode="before")
    @classmethod
    def _is_a_column(cls, column: Any) -> Any:
        is_number = isinstance(column, int) and not isinstance(column, bool) and column >= 1
        if not (column is None or is_number or (isinstance(column, str) and column)):
            need = "needs a column's name, in quotes where it is no word, or its number from 1"
            raise ValueError(f"{need}, found {column!r}")
        return column
