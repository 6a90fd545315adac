"""What changed between two versions of the dataset, in images: pure comparisons of tables, and their text."""

import json
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from flows.versions.revision import Version

KINDS = ("added", "removed", "relabelled", "moved", "renamed", "status_changed")
SHOWN = 5  # of each kind, in text
CLASSES_SHOWN = 20
COUNTED = ("sources", "written", "training_images")
NONE = dict.fromkeys(COUNTED, 0)  # what a version counts of a class that it lacks
SIDES = ("before", "after")


def compare(before: Version, after: Version) -> dict[str, Any]:
    """All differences, as JSON values.

    An image is its bytes: added and removed are bytes that one version lacks, the other kinds are of equal bytes. A
    file that is elsewhere because its label or split changed is `relabelled` or `moved`, any other is `renamed`.
    """
    removed, added, was, now = pair(before.images, after.images)
    relabelled = was["label"] != now["label"]
    moved = (was["split"] != now["split"]) & (was["split"] != "") & (now["split"] != "")
    kinds = {
        "relabelled": relabelled,
        "moved": moved,
        "renamed": (was["file_name"] != now["file_name"]) & ~relabelled & ~moved,
        "status_changed": was["status"] != now["status"],
    }
    changes = {"added": _records(added), "removed": _records(removed)}
    for kind, chosen in kinds.items():
        sides = zip(_records(was[chosen]), _records(now[chosen]), strict=True)
        changes[kind] = [{"before": left, "after": right} for left, right in sides]
    return {
        "before": before.name,
        "after": after.name,
        "files": {"before": len(before.images), "after": len(after.images)},
        "counts": {kind: len(changes[kind]) for kind in KINDS},
        **changes,
        "recipe_hash": {"before": before.recipe_hash, "after": after.recipe_hash},
        "params": _unequal(before.params, after.params),
        "classes": {
            label: {"before": before.classes.get(label), "after": after.classes.get(label)}
            for label in sorted(before.classes.keys() | after.classes.keys())
        },
    }


def pair(before: pd.DataFrame, after: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    """Rows that only `before` has, rows that only `after` has, and those of both, side by side: two tables, one order.

    Equal bytes may stand under several names: the same name is paired first, then the same label, then the rest.
    """
    before, after = (_with_content(rows).reset_index(drop=True) for rows in (before, after))
    only_before, only_after, pairs = before, after, []
    for keys in (["content", "file_name"], ["content", "label"], ["content"]):
        left, right = _numbered(only_before, keys), _numbered(only_after, keys)
        both = left.merge(right, on=[*keys, "copy"], suffixes=("_before", "_after"))
        pairs.append(both[["index_before", "index_after"]])
        only_before, only_after = (
            only_before.drop(both["index_before"]),
            only_after.drop(both["index_after"]),
        )
    places = pd.concat(pairs).sort_values("index_after")
    was = before.loc[places["index_before"]].reset_index(drop=True)
    return only_before, only_after, was, after.loc[places["index_after"]].reset_index(drop=True)


def _with_content(rows: pd.DataFrame) -> pd.DataFrame:
    """A file that could not be read has no hash: its name stands for it."""
    return rows.assign(
        content=rows["sha256"].where(rows["sha256"] != "", "unread " + rows["file_name"])
    )


def _numbered(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return rows[keys].assign(copy=rows.groupby(keys).cumcount()).reset_index()


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: value or None for name, value in row.items()}
        for row in rows.drop(columns="content").to_dict("records")
    ]


def _unequal(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The keys whose values differ; one that is not there is null."""
    pairs = {
        key: {"before": before.get(key), "after": after.get(key)} for key in {**before, **after}
    }
    return {key: values for key, values in pairs.items() if values["before"] != values["after"]}


# --- text ---------------------------------------------------------------------------------------------------------

Show = Callable[[str], str]


def as_text(found: dict[str, Any]) -> str:
    """The differences for a terminal: counts, then some examples of each kind."""
    lines = [
        _arrow({side: found[side] for side in SIDES}),
        f"files    {_counts(found)}",
        f"recipe   {_recipe(found)}",
        *(f"params   {key}: {_arrow(values)}" for key, values in found["params"].items()),
        *_class_lines(found["classes"]),
    ]
    for kind in KINDS:
        entries = found[kind]
        lines += ["", f"{_word(kind)}: {len(entries):,}"] if entries else []
        lines += [f"  {_entry(kind, entry)}" for entry in entries[:SHOWN]]
        lines += [f"  {_more(entries)}"] if len(entries) > SHOWN else []
    return "\n".join(lines)


def as_markdown(found: dict[str, Any]) -> str:
    """The differences for a pull request: the same in headings, tables and lists."""
    lines = [
        f"## Dataset: {_arrow({side: found[side] for side in SIDES}, code)}",
        "",
        f"Files: {_counts(found)}",
        "",
        f"Recipe: {_recipe(found)}",
        *_class_table(found["classes"]),
        *_params_table(found["params"]),
    ]
    for kind in KINDS:
        entries = found[kind]
        lines += ["", f"### {_word(kind)}: {len(entries):,}", ""] if entries else []
        lines += [f"- {_entry(kind, entry, code)}" for entry in entries[:SHOWN]]
        lines += [f"- {_more(entries)}"] if len(entries) > SHOWN else []
    return "\n".join(lines)


def code(text: str) -> str:
    """What others named, as a span of code in Markdown: no name is a mention, a link or markup."""
    told = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    fence = "`" * (1 + max(map(len, re.findall("`+", told)), default=0))
    return f"{fence} {told} {fence}" if "`" in told or not told.strip() else f"{fence}{told}{fence}"


def _word(kind: str) -> str:
    return {"moved": "moved between splits", "status_changed": "with another status"}.get(
        kind, kind
    )


def count_line(found: dict[str, Any]) -> str:
    """How many images changed, in a few words."""
    counts = [f"{number:,} {_word(kind)}" for kind, number in found["counts"].items() if number]
    unusable = sum(entry["status"] != "ok" for entry in found["added"])
    if unusable:
        counts[0] += f" ({unusable:,} set aside)"
    return ", ".join(counts) or "the same images"


def _counts(found: dict[str, Any]) -> str:
    return f"{_arrow(found['files'])}: {count_line(found)}"


def _more(entries: list[Any]) -> str:
    return f"... and {len(entries) - SHOWN:,} more (`variegate diff --json` has all)"


def _recipe(found: dict[str, Any]) -> str:
    """A recipe is more than parameters: where those are equal, say what else there is."""
    hashes = found["recipe_hash"]
    changed = hashes["before"] != hashes["after"]
    silent = changed and not any(key.startswith("augment.") for key in found["params"])
    return _arrow(hashes) + (
        " (not params.yaml: the libraries that touch pixels)" if silent else ""
    )


def _class_lines(classes: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each class whose counts changed: training sources, variants written, training images."""
    told = _changed(classes)
    lines = []
    for label, row in told[:CLASSES_SHOWN]:
        counts = (f"{_title(name)} {numbers}" for name, numbers in zip(COUNTED, row, strict=True))
        lines.append(f"class    {label}: {', '.join(counts)}")
    more = len(told) - CLASSES_SHOWN
    return [*lines, f"         ... and {more:,} more classes"] if more > 0 else lines


def _class_table(classes: dict[str, dict[str, Any]]) -> list[str]:
    """The same as a table, with the sums of all classes below."""
    told = [(code(label), row) for label, row in _changed(classes)]
    if not told:
        return []
    more = len(told) - CLASSES_SHOWN
    rows = told[:CLASSES_SHOWN] + (
        [(f"... and {more:,} more", [""] * len(COUNTED))] if more > 0 else []
    )
    sums = {side: _sum([its[side] or NONE for its in classes.values()]) for side in SIDES}
    rows.append(("**all classes**", _row(sums)))
    return _table(["class", *map(_title, COUNTED)], [[label, *row] for label, row in rows])


def _params_table(params: dict[str, dict[str, Any]]) -> list[str]:
    rows = [
        [code(key), *(code(_short(values[side])) for side in SIDES)]
        for key, values in params.items()
    ]
    return _table(["parameter", *SIDES], rows) if rows else []


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    safe = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return ["", *(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *safe))]


def _changed(classes: dict[str, dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """The classes whose counts changed, with what is COUNTED before and after."""
    unequal = {
        label: sides
        for label, sides in classes.items()
        if any(
            (sides["before"] or NONE)[name] != (sides["after"] or NONE)[name] for name in COUNTED
        )
    }
    return [(label, _row(sides)) for label, sides in unequal.items()]


def _row(sides: dict[str, Any]) -> list[str]:
    return [_arrow({side: (sides[side] or NONE)[name] for side in SIDES}) for name in COUNTED]


def _sum(counts: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(each[name] for each in counts) for name in COUNTED}


def _title(name: str) -> str:
    return name.replace("_", " ")


def _entry(kind: str, entry: dict[str, Any], show: Show = str) -> str:
    if kind in ("added", "removed"):
        place = entry["split"] or " ".join(filter(None, (entry["status"], entry["reason"])))
        return f"{show(entry['file_name'])} ({place})"
    names = {side: entry[side]["file_name"] for side in SIDES}
    if kind == "renamed":
        return _arrow(names, show)
    column = {"relabelled": "label", "moved": "split", "status_changed": "status"}[kind]
    return f"{_arrow(names, show)}: {_arrow({side: entry[side][column] for side in SIDES}, show)}"


def _arrow(sides: dict[str, Any], show: Show = str) -> str:
    before, after = (show(_short(sides[side])) for side in SIDES)
    return before if before == after else f"{before} -> {after}"


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if type(value) is int else "none" if value is None else json.dumps(value)
