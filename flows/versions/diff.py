"""What changed between two versions of the dataset: compared as tables, shown as text."""

import json
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

import pandas as pd

from flows.versions.revision import Version
from tasks.common.texts import code_span, counted, table

KINDS = ("added", "removed", "relabelled", "moved", "renamed", "status_changed")
MOST_EXAMPLES = 5  # of each kind, in text
MOST_CLASSES = 20  # in text
COUNTED = ("sources", "written", "training_images")
NO_COUNTS = dict.fromkeys(COUNTED, 0)  # of a class that a version lacks
SIDES = ("before", "after")


class Pairs(NamedTuple):
    """The images of two versions, matched by their bytes.

    Attributes:
        removed: rows that the version before alone has.
        added: rows that the version after alone has.
        before: rows of images in both, as they were; row i of `after` is the same image.
        after: the same images as they are now, with the same index.
    """

    removed: pd.DataFrame
    added: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame


class Entries:
    """The images of one kind of change; each becomes a JSON object only when it is read.

    A million such objects would take more than a gigabyte of memory, their rows a few hundred MB.

    Attributes:
        before: rows of the version before; None where the images were added.
        after: rows of the same images in the version after; None where they were removed.
    """

    def __init__(self, before: pd.DataFrame | None, after: pd.DataFrame | None) -> None:
        self.before = before
        self.after = after

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self[:])

    def __getitem__(self, chosen: slice) -> list[dict[str, Any]]:
        pairs = self.pairs(chosen)
        if self.before is not None and self.after is not None:
            return pairs
        return [pair["before"] or pair["after"] for pair in pairs]

    def pairs(self, chosen: slice) -> list[dict[str, Any]]:
        """Images as they were, `before`, and are, `after`; None where a version has none."""
        sides = (self.before, self.after)
        missing = [None] * len(self.rows[chosen])
        was, now = (missing if side is None else _records(side[chosen]) for side in sides)
        return [{"before": old, "after": new} for old, new in zip(was, now, strict=True)]

    @property
    def rows(self) -> pd.DataFrame:
        """The images as they are now; as they were, where they were removed."""
        rows = self.before if self.after is None else self.after
        assert rows is not None
        return rows


def compare(before: Version, after: Version) -> dict[str, Any]:
    """All differences: JSON values, and for each kind of change its Entries, lists in JSON.

    An image is its bytes: added and removed are bytes that one version lacks, the other kinds are
    of equal bytes. A file that is elsewhere because its label or split changed is `relabelled` or
    `moved`, any other is `renamed`.
    """
    pairs = pair_images(*unequal_rows(before.images, after.images))
    was, now = pairs.before, pairs.after
    relabelled = was["label"] != now["label"]
    moved = (was["split"] != now["split"]) & (was["split"] != "") & (now["split"] != "")
    kinds = {
        "relabelled": relabelled,
        "moved": moved,
        "renamed": (was["file_name"] != now["file_name"]) & ~relabelled & ~moved,
        "status_changed": was["status"] != now["status"],
    }
    changes = {"added": Entries(None, pairs.added), "removed": Entries(pairs.removed, None)}
    changes |= {kind: Entries(was[chosen], now[chosen]) for kind, chosen in kinds.items()}
    return {
        "before": before.name,
        "after": after.name,
        "files": {"before": len(before.images), "after": len(after.images)},
        "counts": {kind: len(changes[kind]) for kind in KINDS},
        **changes,
        "recipe_hash": {"before": before.recipe_hash, "after": after.recipe_hash},
        "params": _unequal(before.params, after.params),
        "accuracy": {"before": _accuracy(before.metrics), "after": _accuracy(after.metrics)},
        "classes": {
            label: {"before": before.classes.get(label), "after": after.classes.get(label)}
            for label in sorted(before.classes.keys() | after.classes.keys())
        },
    }


def unequal_rows(before: pd.DataFrame, after: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that the other version does not have as they are: mostly few.

    A version has a file's name once, so an equal row is the same image, and no other could be.
    """
    is_equal = pd.concat([before, after], ignore_index=True).duplicated(keep=False).to_numpy()
    return before[~is_equal[: len(before)]], after[~is_equal[len(before) :]]


def pair_images(before: pd.DataFrame, after: pd.DataFrame) -> Pairs:
    """Match the images of two versions by their bytes.

    Equal bytes may have several names: the same name is matched first, then the same label, then
    the rest in order.
    """
    before = _with_content(before).reset_index(drop=True)
    after = _with_content(after).reset_index(drop=True)
    removed, added, matches = before, after, []
    for keys in (["content", "file_name"], ["content", "label"], ["content"]):
        left, right = _numbered(removed, keys), _numbered(added, keys)
        both = left.merge(right, on=[*keys, "copy"], suffixes=("_before", "_after"))
        matches.append(both[["index_before", "index_after"]])
        removed = removed.drop(both["index_before"])
        added = added.drop(both["index_after"])
    rows = pd.concat(matches).sort_values("index_after")
    return Pairs(
        removed,
        added,
        before.loc[rows["index_before"]].reset_index(drop=True),
        after.loc[rows["index_after"]].reset_index(drop=True),
    )


def _with_content(rows: pd.DataFrame) -> pd.DataFrame:
    """With the column `content`, what an image is matched by: its SHA-256, else its file's name."""
    unread = "unread " + rows["file_name"]  # a file that could not be read has no hash
    return rows.assign(content=rows["sha256"].where(rows["sha256"] != "", unread))


def _numbered(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The columns `keys` and `copy`, which numbers rows of equal keys; the index as a column."""
    return rows[keys].assign(copy=rows.groupby(keys).cumcount()).reset_index()


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values, all text; what is unknown, "", becomes null."""
    records = rows.drop(columns="content").to_dict("records")
    return [dict(zip(row, map(_or_null, row.values()), strict=True)) for row in records]


def _or_null(text: str) -> str | None:
    return text or None


def _unequal(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The keys whose values differ; one that is not there is null."""
    pairs = {
        key: {"before": before.get(key), "after": after.get(key)} for key in {**before, **after}
    }
    return {key: values for key, values in pairs.items() if values["before"] != values["after"]}


def _accuracy(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """How many test images there were, their accuracy and its interval.

    None where they are not known: it was not evaluated, or by a version without intervals.
    """
    names = ("images", "accuracy", "accuracy_low", "accuracy_high")
    return {name: metrics[name] for name in names} if metrics.keys() >= set(names) else None


# --- text -------------------------------------------------------------------------------------

Quote = Callable[[str], str]  # what shows a name or a value: str, or code() in Markdown


def as_text(found: dict[str, Any]) -> str:
    """The differences as plain text: counts, then examples of each kind.

    Args:
        found: see compare().
    """
    lines = [*summary_lines(found), *_class_lines(found), *example_lines(found)]
    return "\n".join(lines)


def summary_lines(found: dict[str, Any]) -> list[str]:
    """The two versions, counts of files, the recipe and changed parameters, as plain text."""
    return [
        _arrow({side: found[side] for side in SIDES}),
        f"files    {_file_counts(found)}",
        f"recipe   {recipe_in_words(found)}",
        *(f"accuracy {words}" for words in [accuracy_in_words(found)] if words),
        *(f"params   {key}: {_arrow(values)}" for key, values in found["params"].items()),
    ]


def example_lines(found: dict[str, Any]) -> list[str]:
    """At most MOST_EXAMPLES images of each kind of change, as plain text."""
    lines = []
    for kind in KINDS:
        entries = found[kind]
        lines += ["", f"{_kind_name(kind)}: {len(entries):,}"] if entries else []
        lines += [f"  {_entry(kind, entry)}" for entry in entries[:MOST_EXAMPLES]]
        lines += [f"  {_more(entries)}"] if len(entries) > MOST_EXAMPLES else []
    return lines


def as_markdown(found: dict[str, Any]) -> str:
    """The differences for a pull request: the same in headings, tables and lists."""
    lines = [
        f"## Dataset: {_arrow({side: found[side] for side in SIDES}, code_span)}",
        "",
        f"Files: {_file_counts(found)}",
        "",
        f"Recipe: {recipe_in_words(found)}",
        *(f"\nAccuracy: {words}" for words in [accuracy_in_words(found)] if words),
        *_class_table(found["classes"]),
        *_params_table(found["params"]),
    ]
    for kind in KINDS:
        entries = found[kind]
        lines += ["", f"### {_kind_name(kind)}: {len(entries):,}", ""] if entries else []
        lines += [f"- {_entry(kind, entry, code_span)}" for entry in entries[:MOST_EXAMPLES]]
        lines += [f"- {_more(entries)}"] if len(entries) > MOST_EXAMPLES else []
    return "\n".join(lines)


def _kind_name(kind: str) -> str:
    names = {"moved": "moved between splits", "status_changed": "with another status"}
    return names.get(kind, kind)


def count_line(found: dict[str, Any]) -> str:
    """How many images changed, as `3 added (1 set aside), 2 removed`."""
    counts = [
        f"{number:,} {_kind_name(kind)}" for kind, number in found["counts"].items() if number
    ]
    unusable = (found["added"].rows["status"] != "ok").sum()
    if unusable:
        counts[0] += f" ({unusable:,} set aside)"
    return ", ".join(counts) or "the same images"


def _file_counts(found: dict[str, Any]) -> str:
    return f"{_arrow(found['files'])}: {count_line(found)}"


def _more(entries: Entries) -> str:
    return f"... and {len(entries) - MOST_EXAMPLES:,} more (`variegate diff --json` has all)"


def recipe_in_words(found: dict[str, Any]) -> str:
    """The recipes' hashes; where no parameter explains that they differ, what does."""
    hashes = found["recipe_hash"]
    by_params = any(key.startswith("augment.") for key in found["params"])
    if hashes["before"] != hashes["after"] and not by_params:
        return f"{_arrow(hashes)} (not params.yaml: another version of Variegate or its libraries)"
    return _arrow(hashes)


def accuracy_in_words(found: dict[str, Any]) -> str:
    """The test accuracies with their 95% intervals; "" where neither version was evaluated."""
    accuracies = found["accuracy"]
    if not any(accuracies.values()):
        return ""
    return _arrow({side: _in_percent(accuracies[side]) for side in SIDES})


def _in_percent(accuracy: dict[str, Any] | None) -> str:
    if accuracy is None:
        return "not evaluated"
    from tasks.evaluate.intervals import in_percent  # scipy, which takes a while to import

    figures = (accuracy[name] for name in ("accuracy", "accuracy_low", "accuracy_high"))
    return f"{in_percent(*figures)} of {counted(accuracy['images'], 'test image')}"


class ClassChange(NamedTuple):
    """A class whose counts changed; `cells` shows each of COUNTED, as `2 -> 1,000`."""

    label: str
    cells: list[str]


def class_changes(classes: dict[str, dict[str, Any]]) -> list[ClassChange]:
    """The classes whose counts of COUNTED changed.

    Args:
        classes: of each class the counts `before` and `after`, None in a version that lacks it.
    """
    changes = []
    for label, sides in classes.items():
        before, after = (_counted(sides[side]) for side in SIDES)
        if before != after:
            changes.append(ClassChange(label, _cells(before, after)))
    return changes


def more_classes(changes: list[ClassChange]) -> str:
    """Says how many classes are not among the MOST_CLASSES that are shown; "" where all are."""
    more = len(changes) - MOST_CLASSES
    return f"... and {more:,} more" if more > 0 else ""


def _class_lines(found: dict[str, Any]) -> list[str]:
    """A line for each class whose counts changed."""
    changes = class_changes(found["classes"])
    lines = []
    for change in changes[:MOST_CLASSES]:
        counts = map(" ".join, zip(map(count_title, COUNTED), change.cells, strict=True))
        lines.append(f"class    {change.label}: {', '.join(counts)}")
    more = more_classes(changes)
    return [*lines, f"         {more} classes"] if more else lines


def _class_table(classes: dict[str, dict[str, Any]]) -> list[str]:
    """The same as a table in Markdown, with the sums of all classes below."""
    changes = class_changes(classes)
    if not changes:
        return []
    rows = [[code_span(change.label), *change.cells] for change in changes[:MOST_CLASSES]]
    more = more_classes(changes)
    if more:
        rows.append([more, *[""] * len(COUNTED)])
    before, after = (_sum(classes, side) for side in SIDES)
    rows.append(["**all classes**", *_cells(before, after)])
    return table(["class", *map(count_title, COUNTED)], rows)


def _params_table(params: dict[str, dict[str, Any]]) -> list[str]:
    rows = []
    for key, values in params.items():
        rows.append(
            [
                code_span(key),
                code_span(in_words(values["before"])),
                code_span(in_words(values["after"])),
            ]
        )
    return table(["parameter", *SIDES], rows) if rows else []


def _counted(counts: dict[str, int] | None) -> dict[str, int]:
    """The counts of COUNTED; zeros of a class that a version lacks."""
    return {name: (counts or NO_COUNTS)[name] for name in COUNTED}


def _cells(before: dict[str, int], after: dict[str, int]) -> list[str]:
    return [_arrow({"before": before[name], "after": after[name]}) for name in COUNTED]


def _sum(classes: dict[str, dict[str, Any]], side: str) -> dict[str, int]:
    counts = [_counted(sides[side]) for sides in classes.values()]
    return {name: sum(map(itemgetter(name), counts)) for name in COUNTED}


def count_title(name: str) -> str:
    """One of COUNTED as a heading."""
    return name.replace("_", " ")


def _entry(kind: str, entry: dict[str, Any], quote: Quote = str) -> str:
    """One image of a kind of change."""
    if kind in ("added", "removed"):
        status = entry["split"] or " ".join(filter(None, (entry["status"], entry["reason"])))
        return f"{quote(entry['file_name'])} ({status})"
    names = {side: entry[side]["file_name"] for side in SIDES}
    if kind == "renamed":
        return _arrow(names, quote)
    column = {"relabelled": "label", "moved": "split", "status_changed": "status"}[kind]
    values = {side: entry[side][column] for side in SIDES}
    return f"{_arrow(names, quote)}: {_arrow(values, quote)}"


def _arrow(sides: dict[str, Any], quote: Quote = str) -> str:
    """`before -> after`, or one value where both are shown alike."""
    before, after = (quote(in_words(sides[side])) for side in SIDES)
    return before if before == after else f"{before} -> {after}"


def in_words(value: Any) -> str:
    """A JSON value as people read it: numbers with their thousands parted, null as `none`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    return f"{value:,}" if type(value) is int else json.dumps(value)
