"""Verify: reconcile the ledger with the disk, and make variants again from their recipes."""

import io
import tarfile
from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

import pandas as pd

from tasks.augment.counts import read_counts
from tasks.augment.expand import expand_source
from tasks.augment.tar_format import tar_bytes
from tasks.common.errors import UserError
from tasks.dataset.image_bytes import locate_images, read_row
from tasks.dataset.manifests import read_ledger
from tasks.dataset.paths import COUNTS, LEDGER, SEGMENTS, VALIDATED_MANIFEST
from tasks.dataset.selections import (
    example_rows,
    originals,
    planned_variants,
    usable,
    written_variants,
)
from tasks.pixels.hashing import sha256
from tasks.variants.make import extension_of
from tasks.variants.originals import NO_ORIGINALS, Originals, read_originals
from tasks.variants.recipe import Recipes
from tasks.variants.sources import to_sources, training_sources


def verify(validated: pd.DataFrame, recipes: Recipes, remake: int = 0) -> dict[str, Any]:
    """Reconcile ledger, counts.csv and segments; make `remake` variants again and compare bytes.

    Returns:
        What was counted; `differences`, a line for each, [] where all is well; and `damaged`, the
        files that hold them.
    """
    ledger = read_ledger()
    variants, written = planned_variants(ledger), written_variants(ledger)
    in_segments = check_segments(written)
    in_counts = check_counts(ledger)
    remade = example_rows(variants, remake)
    differences = list(chain.from_iterable(in_segments.values()))
    differences += in_counts
    differences += check_originals(ledger, validated)
    forbidden = _originals(validated, recipes) if len(remade) else NO_ORIGINALS
    differences += check_remade(remade, validated, recipes, forbidden)
    return {
        "sources": len(originals(ledger)),
        "planned": len(variants),
        "written": len(written),
        "rejected": len(variants) - len(written),
        "segments": int(written["segment"].nunique()),
        "remade": len(remade),
        "differences": differences,
        "damaged": [*in_segments, *([COUNTS.name] if in_counts else [])],
    }


def check_segments(written: pd.DataFrame) -> dict[str, list[str]]:
    """Read every tar by its own headers; each member needs a ledger row, each row its bytes.

    Returns:
        For each segment that differs, a line for each difference.
    """
    expected = {str(name): rows for name, rows in written.groupby("segment")}
    present = {path.name for path in SEGMENTS.glob("*")}
    lines = {name: [f"{name}: not in the ledger"] for name in sorted(present - expected.keys())}
    lines |= {name: check_segment(name, rows) for name, rows in expected.items()}
    return {name: differences for name, differences in lines.items() if differences}


def check_segment(name: str, rows: pd.DataFrame) -> list[str]:
    """What differs between a segment and its rows in the ledger: members, bytes, offsets."""
    expected = dict(zip(rows["variant_id"], rows["sha256"], strict=True))
    try:
        data = (SEGMENTS / name).read_bytes()
        members = read_members(data)
    except (OSError, tarfile.TarError) as error:
        return [f"{name}: cannot be read: {error}"]
    present = {member.partition(".")[0]: sha256(content) for member, content in members}
    both = expected.keys() & present.keys()
    changed = [variant for variant in both if present[variant] != expected[variant]]
    lines = [f"{name}: {variant} is missing" for variant in expected.keys() - present.keys()]
    lines += [f"{name}: {each} is not in the ledger" for each in present.keys() - expected.keys()]
    lines += [f"{name}: {variant} has other bytes" for variant in changed]
    if not lines and data != tar_bytes(members):
        lines = [f"{name}: bytes between the images differ"]
    for row in rows.itertuples() if not lines else ():
        if sha256(data[int(row.offset) : int(row.offset + row.length)]) != row.sha256:
            lines.append(f"{name}: {row.variant_id} does not lie where the ledger says")
    return sorted(lines)


def read_members(data: bytes) -> list[tuple[str, bytes]]:
    """The members of a tar: name and bytes."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def check_counts(ledger: pd.DataFrame) -> list[str]:
    """planned = written + rejected, per source, in counts.csv as in the ledger."""
    try:
        counts = read_counts().set_index("source_id")
        counts = counts[["planned", "written", "rejected"]].astype(int)
    except (OSError, ValueError, KeyError) as error:
        return [f"{COUNTS.name}: cannot be read: {error}"]
    variants = planned_variants(ledger)
    in_ledger = pd.crosstab(variants["source_id"], variants["status"])
    in_ledger = in_ledger.reindex(columns=["written", "rejected"], fill_value=0)
    everyone = counts.index.union(ledger["source_id"].unique())
    lost = everyone.difference(counts.index)
    counts = counts.reindex(everyone, fill_value=0)
    in_ledger = in_ledger.reindex(everyone, fill_value=0)
    wrong = (in_ledger != counts[["written", "rejected"]]).any(axis=1)
    wrong |= counts["planned"] != counts["written"] + counts["rejected"]
    wrong[lost] = True
    unequal = everyone[wrong]
    return [f"{COUNTS.name}: {each} does not reconcile with the ledger" for each in unequal]


def check_originals(ledger: pd.DataFrame, validated: pd.DataFrame) -> list[str]:
    """Index 0 of each source is its file in data/raw."""
    locations = {row.source_id: row for row in locate_images(usable(validated)).itertuples()}
    differences = []
    for row in originals(ledger).itertuples():
        location = locations.get(row.source_id)
        if location is None:
            differences.append(f"{row.variant_id}: is no usable image of {VALIDATED_MANIFEST}")
            continue
        try:
            if sha256(read_row(location)) != row.sha256:
                differences.append(f"{row.variant_id}: {location.path} has other bytes")
        except OSError as error:
            differences.append(f"{row.variant_id}: {location.path}: {error.strerror}")
    return differences


def check_remade(
    chosen: pd.DataFrame, validated: pd.DataFrame, recipes: Recipes, originals: Originals
) -> list[str]:
    """Make the chosen variants again; their bytes need the ledger's hash."""
    made_by, now = (
        chosen["recipe_hash"],
        [recipes.of(label).hash for label in chosen["source_label"]],
    )
    others = chosen[made_by != now]
    if len(others):
        theirs = f"the ledger's variants were made by recipe {_listed(others['recipe_hash'])}"
        return [f"{theirs}; params.yaml now says {_listed(now)}"]
    differences = []
    for row in chosen.itertuples():
        try:
            remade = remake_variant(str(row.variant_id), validated, recipes, originals).row
        except UserError as error:
            differences.append(f"{row.variant_id}: cannot be made again: {error}")
            continue
        filled = {name: value for name, value in remade.items() if value is not None}
        unequal = [name for name, value in filled.items() if getattr(row, name) != value]
        if "sha256" in unequal:
            differences.append(f"{row.variant_id}: made again it has other bytes")
        elif unequal:
            other = f"another {unequal[0]} than the ledger says"
            differences.append(f"{row.variant_id}: made again it has {other}")
    return differences


def _listed(hashes: Iterable[str]) -> str:
    return ", ".join(sorted(set(hashes)))


class Remade(NamedTuple):
    """A variant made again: its row of the ledger and its bytes (None where it is rejected)."""

    row: dict[str, Any]
    data: bytes | None
    extension: str


def replay(variant_id: str, validated: pd.DataFrame, recipes: Recipes) -> Remade:
    """Make one variant of the ledger again, and hold it against the ledger.

    Raises:
        UserError: where it is not in the ledger, or params.yaml now says another recipe.
    """
    variants = planned_variants(read_ledger())
    rows = variants[variants["variant_id"] == variant_id]
    if rows.empty:
        need = f"needs an augmented variant's id of {LEDGER}"
        raise UserError(f"variant {variant_id!r}: {need}")
    forbidden = _originals(validated, recipes)
    differences = check_remade(rows, validated, recipes, forbidden)
    if differences:
        raise UserError(f"variant {variant_id!r}: {differences[0]}")
    return remake_variant(variant_id, validated, recipes, forbidden)


def _originals(validated: pd.DataFrame, recipes: Recipes) -> Originals:
    return read_originals(validated, recipes.general.preprocessing)


def remake_variant(
    variant_id: str, validated: pd.DataFrame, recipes: Recipes, originals: Originals
) -> Remade:
    """Make one variant from its source and its recipe.

    Its siblings before it are made too: under `distinct` they decide which attempt is kept.

    Raises:
        UserError: where it names no training source, or its source has changed.
    """
    source_id, _, index = variant_id.partition("-v")
    rows = training_sources(validated)
    rows = rows[rows["source_id"] == source_id]
    if rows.empty:
        raise UserError(f"no training source has the id {source_id!r}")
    (source,) = to_sources(rows, pd.Series(int(index), rows.index))
    recipe = recipes.of(source.label)
    row, data = originals.judge(expand_source(source, recipe)[-1], source.label, recipes)
    return Remade(row, data, extension_of(source, recipe))
