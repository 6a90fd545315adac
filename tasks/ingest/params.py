"""The ingest block of params.yaml."""

import re
from typing import Literal

from pydantic import field_validator

from tasks.pixels.preprocess import Preprocessing


class IngestParams(Preprocessing):
    """Where labels, splits and groups come from, and what is done to every image.

    `layout`: what names the classes; `auto` finds it out. `label_from`: the folder that names the
    class where folders are nested. `group_pattern`: a regular expression; what its first group
    finds in a file's path (or all of it, where it has no group) is the image's group. `images`:
    which are used: `all`; the `first` of each sample of several (see samples.py), masks counted
    last; or those in whose name a regular expression finds something. `range` and `preprocess`:
    see Preprocessing.
    """

    layout: Literal["auto", "class_folders", "split_folders", "tables"] = "auto"
    label_from: Literal["first", "last", "path"] = "first"
    group_pattern: str | None = None
    images: str = "all"

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
