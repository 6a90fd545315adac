"""What was decided about an image, and what became of it, in words: only what the files say."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flows.explorer.rendering import number
from tasks.dataset.captions import operations_in_words
from tasks.dataset.columns import MEASURES, REASONS, REJECTIONS
from tasks.dataset.paths import (
    RAW,
    page_of_class,
    page_of_image,
    page_of_images,
    page_of_operation,
)
from tasks.dataset.variant_measures import UNTOUCHED, high_is_worst
from tasks.pixels.encode import EXTENSIONS, Format

GIVEN = "the given split"  # what metrics/validate.json says where no split was made
BELONGS = "belongs together with "  # before a file's name, in the detail of a leak
EXPOSURE = {
    "original": "as it is",
    "stored": "as a stored variant",
    "online": "as a variant made on the fly",
    "device": "augmented on the device",
    "replaced": "as it is, in place of a variant that was rejected",
}
DIGITS = 2  # of a measure
DECIMALS = 4  # of the smallest that is told from 0
Row = Mapping[str, Any]


class Sentence(NamedTuple):
    """A sentence; `linked` is the text of its link, between `text` and `rest`."""

    text: str
    linked: str = ""
    address: str = ""
    rest: str = ""


class Part(NamedTuple):
    """A value with its name, for lists and tables; `address`: of a page of it, or ""."""

    name: str
    value: str
    address: str = ""


def page_of_source(source_id: str) -> str:
    """The page of the image that has a source_id."""
    return f"/image?{urlencode({'source': source_id})}"


# --- an original ------------------------------------------------------------------------------


def status_in_words(row: Row) -> list[Sentence]:
    """Whether a row of the validated manifest is used, and why not."""
    if row["status"] == "ok":
        return [Sentence(f"It is used, in {row['split']}.")]
    if row["status"] == "duplicate":
        other = row["duplicate_of"]
        text = "It is not used, for its pixels are equal to those of "
        return [Sentence(text, other, page_of_image(other), ", which stands for it.")]
    reason, detail = row["reason"], row["detail"] or ""
    grid = page_of_images(status="quarantined", reason=reason)
    meaning = REASONS.get(reason, "")
    found = [Sentence("It was set aside: ", str(reason), grid, f", {meaning}." if meaning else ".")]
    if detail.startswith(BELONGS):
        other = detail.removeprefix(BELONGS)
        found.append(Sentence(f"It {BELONGS}", other, page_of_image(other), "."))
    elif detail:
        found.append(Sentence(f"In detail: {detail}."))
    return found


def split_in_words(
    row: Row, given: str | None, rule: str | None, others: Sequence[str]
) -> list[Sentence]:
    """Why an image that is used is in its split.

    Args:
        row: of the validated manifest.
        given: the split that its folder, container or a table names; None where none does.
        rule: how splits were decided, of metrics/validate.json; None where that is not there.
        others: in words the images that belong together with it, see related_in_words().
    """
    split = row["split"]
    if row["status"] != "ok":
        return []
    told = [Sentence(f"How all splits were decided: {rule}.")] if rule and rule != GIVEN else []
    if given == split and (given != "train" or not told):
        return [Sentence(f"Its folder, its container or a table says {given}."), *told]
    named = "No folder, container or table names its split" if given is None else ""
    if given is not None and given != split:
        named = f"It is given as {given}, of which a part became {split}"
    elif given is not None:
        named = f"It is given as {given}, and stayed there when other splits were taken out of it"
    exact = (rule or "").endswith("; exact")
    if others:
        how = "what each split still lacked" if exact else "a hash"
        together = f"the same for it and {' and '.join(others)}, which no split parts"
        return [Sentence(f"{named}: {how} decided, {together}."), *told]
    how = "the order of hashes in its class" if exact else "a hash of its bytes"
    return [Sentence(f"{named}: {how} decided."), *told]


def related_in_words(row: Row, counts: Mapping[str, int]) -> list[str]:
    """What an image belongs together with; `counts`: how many others have its value of a column."""
    names = {
        "pixel_sha256": ("copy", "copies"),
        "cluster": ("look-alike", "look-alikes"),
        "group_id": (f"other of group {row['group_id']}", f"others of group {row['group_id']}"),
    }
    return [f"{count:,} {names[column][count != 1]}" for column, count in counts.items()]


def model_in_words(row: Row) -> list[Sentence]:
    """What the model says of a test image; [] of others."""
    if row["predicted"] is None:
        return []
    said = f"The model says {row['predicted']}, with {_percent(row['probability'])}: "
    if row["correct"]:
        return [Sentence(f"{said}right.")]
    of_label = _percent(row["probability_of_label"])
    return [Sentence(f"{said}wrong. Its class, {row['label']}, has {of_label}.")]


def exposure_in_words(line: Row | None) -> list[Sentence]:
    """How often training showed a source, from its line of models/exposure.csv."""
    if line is None:
        return []
    counts = {name: _count(line, name) for name in EXPOSURE}
    parts = [f"{count:,} {EXPOSURE[name]}" for name, count in counts.items() if count]
    ways = f": {', '.join(parts)}" if parts else ""
    found = [Sentence(f"Training showed it {_times(_count(line, 'presentations'))}{ways}.")]
    if mixed_in := _count(line, "mixed_in"):
        found.append(Sentence(f"It was mixed into other images {_times(mixed_in)}."))
    return found


def facts_of(row: Row) -> list[Part]:
    """The columns of the validated manifest for people, those that are known."""
    size = f"{row['width']} x {row['height']}" if row["width"] else None
    values = {
        "class": row["label"],
        "split": row["split"],
        "status": row["status"],
        "group": row["group_id"],
        "look-alikes": row["cluster"],
        "format": row["format"],
        "size": size,
        "channels": row["channels"],
        "grey": {True: "yes", False: "no"}.get(row["grey"]),
        "bits": row["bits"],
        "lowest, highest sample": None if size is None else f"{row['lowest']}, {row['highest']}",
        "brightness": _short(row["brightness"]),
        "contrast": _short(row["contrast"]),
        "sharpness": _short(row["sharpness"]),
        "container": row["container"],
        "offset": row["offset"],
        "bytes": None if row["bytes"] is None else f"{row['bytes']:,}",
        "source id": row["source_id"],
        "SHA-256": row["sha256"],
        "SHA-256 of the pixels": row["pixel_sha256"],
    }
    pages = {
        "class": page_of_class(row["label"]) if row["label"] is not None else "",
        "split": page_of_images(split=row["split"] or ""),
        "status": page_of_images(status=row["status"]),
        "look-alikes": page_of_images(cluster=row["cluster"] or ""),
    }
    return [
        Part(name, str(value), pages.get(name, ""))
        for name, value in values.items()
        if value is not None
    ]


# --- a variant --------------------------------------------------------------------------------


def operations_of(row: Row) -> list[Part]:
    """What was done to a variant: of each step its name, what it drew, and its page."""
    operations = json.loads(row["operations"])
    texts = operations_in_words(operations)
    if not operations:
        return [Part(text, "") for text in texts]
    names = [operation["name"] for operation in operations]
    return [
        Part(name, text.removeprefix(name).strip(), page_of_operation(name))
        for name, text in zip(names, texts, strict=True)
    ]


class Measure(NamedTuple):
    """A measure of a variant, `worst` where no other variant of its source has a worse value."""

    name: str
    value: str
    meaning: str
    worst: bool


def measures_of(row: Row, worst: Mapping[str, float]) -> list[Measure]:
    """The measures of a variant that are known; `worst`: see worst_of()."""
    return [
        Measure(name, _text_of(row, name), meaning, _shown(row, name) == worst.get(name))
        for name, meaning in MEASURES.items()
        if _known(row.get(name))
    ]


def worst_of(rows: Iterable[Row]) -> dict[str, float]:
    """Of each measure the worst value of several variants, where it is worse than untouched.

    As it is shown: none of them is the worst where all show the same.
    """
    listed, found = list(rows), {}
    for name in MEASURES:
        values = {_shown(row, name) for row in listed if _known(row.get(name))}
        if len(values) < 2:
            continue
        high = high_is_worst(name)
        value = max(values) if high else min(values)
        if value > UNTOUCHED[name] if high else value < UNTOUCHED[name]:
            found[name] = value
    return found


def draws_in_words(row: Row) -> str:
    """How often a variant was drawn again; "" where it was not."""
    again = row["attempt"]
    if not again:
        return ""
    end = "and kept" if row["status"] == "written" else "and given up"
    return f"drawn again {_times(again)}, {end}"


def rejection_in_words(row: Row) -> list[Sentence]:
    """Why a variant was rejected, and what mends it; [] for one that was written."""
    if row["status"] == "written":
        return []
    kind, _, detail = (row["reason"] or "").partition(":")
    known = REJECTIONS.get(kind)
    found = [Sentence(f"Rejected: {kind}{f', {known.meaning}' if known else ''}.")]
    if kind.startswith("equals_") and detail:
        other = detail.strip()
        found.append(Sentence("The image is ", other, page_of_source(other), "."))
    elif detail:
        found.append(Sentence(f"In detail: {detail.strip()}."))
    if known:
        found.append(Sentence(f"What mends it: {known.mend}."))
    return found


# --- commands ---------------------------------------------------------------------------------


def replay_command(variant_id: str, format: Format) -> str:
    """The command that makes a variant again."""
    return f"variegate replay {variant_id} -o {variant_id}.{EXTENSIONS[format]}"


def commands_for(row: Row, augmentation: str) -> list[Part]:
    """What shows the same on a command line: what a command is for, and the command.

    `augmentation`: of params.yaml, how training shows variants.
    """
    found = []
    if row["status"] == "ok" and row["split"] == "train":
        preview = f"variegate preview --class {shlex.quote(row['label'])}"
        found.append(Part("variants of its class, by the present policy", preview))
        found.append(Part("the blurriest of them", f"{preview} --worst sharpness"))
        if augmentation == "device":
            name = f"{row['source_id']}-d001"
            command = f"variegate replay {name} -o {name}.png"
            found.append(Part("what the first epoch showed", command))
    if row["predicted"] is not None and row["container"] is None:
        path = shlex.quote(str(RAW / row["file_name"]))
        found.append(Part("what the model says of it", f"variegate predict {path}"))
    return found


def _count(line: Row, column: str) -> int:
    """A number of a CSV file; 0 where it has none."""
    text = line.get(column) or ""
    return int(text) if text.isdecimal() else 0


def _shown(row: Row, measure: str) -> float:
    """A measure that is known, as exactly as it is shown."""
    return float(_text_of(row, measure))


def _text_of(row: Row, measure: str) -> str:
    """A measure that is known, in two decimals.

    In two digits where it is small and the lowest is the worst: a sharpness of 0.002 is half as
    much as one of 0.004.
    """
    value = round(float(row[measure]), DECIMALS)
    small = 0 < value < 0.1 and not high_is_worst(measure)
    return f"{value:.{DIGITS}{'g' if small else 'f'}}"


def _known(value: Any) -> bool:
    return value is not None and value == value


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _short(value: float | None) -> str | None:
    return None if value is None else number(value, 2)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
