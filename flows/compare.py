"""What changed between two versions of the dataset, in images: pure comparisons of tables, and their text."""

import json
from typing import Any

import pandas as pd

from flows.versions import Version

KINDS = ("added", "removed", "relabelled", "moved", "renamed", "status_changed")
SHOWN = 5  # of each kind, in text
CLASSES_SHOWN = 20
COUNTED = ("sources", "written", "training_images")


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
        only_before, only_after = only_before.drop(both["index_before"]), only_after.drop(both["index_after"])
    places = pd.concat(pairs).sort_values("index_after")
    was = before.loc[places["index_before"]].reset_index(drop=True)
    return only_before, only_after, was, after.loc[places["index_after"]].reset_index(drop=True)


def _with_content(rows: pd.DataFrame) -> pd.DataFrame:
    """A file that could not be read has no hash: its name stands for it."""
    return rows.assign(content=rows["sha256"].where(rows["sha256"] != "", "unread " + rows["file_name"]))


def _numbered(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return rows[keys].assign(copy=rows.groupby(keys).cumcount()).reset_index()


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: value or None for name, value in row.items()} for row in rows.drop(columns="content").to_dict("records")
    ]


def _unequal(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The keys whose values differ; one that is not there is null."""
    pairs = {key: {"before": before.get(key), "after": after.get(key)} for key in {**before, **after}}
    return {key: values for key, values in pairs.items() if values["before"] != values["after"]}


# --- text ---------------------------------------------------------------------------------------------------------


def as_text(found: dict[str, Any]) -> str:
    """The differences for a terminal: counts, then some examples of each kind."""
    lines = [
        f"{found['before']} -> {found['after']}",
        f"files    {_arrow(found['files'])}: {count_line(found)}",
        f"recipe   {_recipe(found)}",
        *(f"params   {key}: {_arrow(values)}" for key, values in found["params"].items()),
        *_class_lines(found["classes"]),
    ]
    for kind in KINDS:
        entries = found[kind]
        lines += ["", f"{_word(kind)}: {len(entries):,}"] if entries else []
        lines += [f"  {_entry(kind, entry)}" for entry in entries[:SHOWN]]
        lines += [f"  ... and {len(entries) - SHOWN:,} more (--json has all)"] if len(entries) > SHOWN else []
    return "\n".join(lines)


def count_line(found: dict[str, Any]) -> str:
    """How many images changed, in a few words."""
    counts = [f"{number:,} {_word(kind)}" for kind, number in found["counts"].items() if number]
    return ", ".join(counts) or "the same images"


def _word(kind: str) -> str:
    return {"moved": "moved between splits", "status_changed": "with another status"}.get(kind, kind)


def _recipe(found: dict[str, Any]) -> str:
    """A recipe is more than parameters: where those are equal, say what else there is."""
    hashes = found["recipe_hash"]
    changed = hashes["before"] != hashes["after"]
    silent = changed and not any(key.startswith("augment.") for key in found["params"])
    return _arrow(hashes) + (" (not params.yaml: the libraries that touch pixels)" if silent else "")


def _class_lines(classes: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each class whose counts changed: training sources, variants written, training images."""
    none = dict.fromkeys(COUNTED, 0)
    told = [(label, sides["before"] or none, sides["after"] or none) for label, sides in classes.items()]
    told = [(label, was, now) for label, was, now in told if any(was[name] != now[name] for name in COUNTED)]
    lines = [
        f"class    {label}: "
        + ", ".join(f"{name.replace('_', ' ')} {_arrow({'before': was[name], 'after': now[name]})}" for name in COUNTED)
        for label, was, now in told
    ]
    more = len(lines) - CLASSES_SHOWN
    return [*lines[:CLASSES_SHOWN], f"         ... and {more:,} more classes"] if more > 0 else lines


def _entry(kind: str, entry: dict[str, Any]) -> str:
    if kind in ("added", "removed"):
        place = entry["split"] or " ".join(filter(None, (entry["status"], entry["reason"])))
        return f"{entry['file_name']} ({place})"
    names = {side: entry[side]["file_name"] for side in ("before", "after")}
    if kind == "renamed":
        return _arrow(names)
    column = {"relabelled": "label", "moved": "split", "status_changed": "status"}[kind]
    return f"{_arrow(names)}: {_arrow({side: entry[side][column] for side in ('before', 'after')})}"


def _arrow(sides: dict[str, Any]) -> str:
    before, after = (_short(sides[side]) for side in ("before", "after"))
    return before if before == after else f"{before} -> {after}"


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if type(value) is int else "none" if value is None else json.dumps(value)


def as_markdown(found: dict[str, Any]) -> str:
    return as_text(found)
