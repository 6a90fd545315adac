"""Verify: does the disk hold what the ledger says, and do the recipes still make it?"""

import io
import tarfile
from typing import Any

import pandas as pd

from tasks.augment.counts import read_counts
from tasks.augment.segments import tar_bytes
from tasks.common.errors import UserError
from tasks.dataset import image_bytes
from tasks.dataset.manifests import read_ledger
from tasks.dataset.paths import COUNTS, LEDGER, SEGMENTS, VALIDATED_MANIFEST
from tasks.dataset.selections import examples
from tasks.pixels.hashing import sha256
from tasks.variants.make import Recipe, Variant, expand
from tasks.variants.sources import to_sources, training_sources


def verify(validated: pd.DataFrame, recipe: Recipe, remake: int = 0) -> dict[str, Any]:
    """Reconcile ledger, counts.csv and segments; make `remake` variants again and compare their bytes.

    Returns:
        What was counted; `differences`, a line for each, [] where all is well; and `damaged`, the files that hold them.
    """
    rows = read_ledger()
    variants = rows[rows["variant_index"] > 0]
    written = variants[variants["status"] == "written"]
    in_segments = check_segments(written)
    again = examples(variants, remake)
    in_counts = check_counts(rows)
    differences = [line for lines in in_segments.values() for line in lines] + in_counts
    differences += check_originals(rows, validated)
    differences += check_remade(again, validated, recipe)
    return {
        "sources": int((rows["variant_index"] == 0).sum()),
        "planned": len(variants),
        "written": len(written),
        "rejected": len(variants) - len(written),
        "segments": int(written["segment"].nunique()),
        "remade": len(again),
        "differences": differences,
        "damaged": [*in_segments, *([COUNTS.name] if in_counts else [])],
    }


def check_segments(written: pd.DataFrame) -> dict[str, list[str]]:
    """Read every tar by its own headers; each member needs a ledger row, each row its bytes.

    Returns:
        For each segment that differs, a line for each difference.
    """
    expected = {str(name): rows for name, rows in written.groupby("segment")}
    found = {path.name for path in SEGMENTS.glob("*")}
    lines = {name: [f"{name}: not in the ledger"] for name in sorted(found - expected.keys())}
    lines |= {name: check_segment(name, rows) for name, rows in expected.items()}
    return {name: its_lines for name, its_lines in lines.items() if its_lines}


def check_segment(name: str, rows: pd.DataFrame) -> list[str]:
    """What differs between a segment and its rows in the ledger: members, bytes, and where they lie."""
    expected = dict(zip(rows["variant_id"], rows["sha256"], strict=True))
    try:
        data = (SEGMENTS / name).read_bytes()
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            members = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    except (OSError, tarfile.TarError) as error:
        return [f"{name}: cannot be read: {error}"]
    found = {member.partition(".")[0]: sha256(content) for member, content in members}
    differences = [f"{name}: {variant} is missing" for variant in expected.keys() - found.keys()]
    differences += [
        f"{name}: {variant} is not in the ledger" for variant in found.keys() - expected.keys()
    ]
    both = expected.keys() & found.keys()
    differences += [
        f"{name}: {variant} has other bytes"
        for variant in both
        if found[variant] != expected[variant]
    ]
    if not differences and data != tar_bytes(members):
        differences = [f"{name}: bytes between the images differ"]
    for row in rows.itertuples() if not differences else ():
        if sha256(data[int(row.offset) : int(row.offset + row.length)]) != row.sha256:
            differences.append(f"{name}: {row.variant_id} does not lie where the ledger says")
    return sorted(differences)


def check_counts(rows: pd.DataFrame) -> list[str]:
    """planned = written + rejected, per source, in counts.csv as in the ledger."""
    try:
        counts = read_counts().set_index("source_id")
        counts = counts[["planned", "written", "rejected"]].astype(int)
    except (OSError, ValueError, KeyError) as error:
        return [f"{COUNTS.name}: cannot be read: {error}"]
    new = rows[rows["variant_index"] > 0]
    told = pd.crosstab(new["source_id"], new["status"]).reindex(
        columns=["written", "rejected"], fill_value=0
    )
    everyone = counts.index.union(rows["source_id"].unique())
    lost = everyone.difference(counts.index)
    counts, told = counts.reindex(everyone, fill_value=0), told.reindex(everyone, fill_value=0)
    wrong = (told != counts[["written", "rejected"]]).any(axis=1)
    wrong |= counts["planned"] != counts["written"] + counts["rejected"]
    wrong[lost] = True
    return [
        f"{COUNTS.name}: {source_id} does not reconcile with the ledger"
        for source_id in everyone[wrong]
    ]


def check_originals(rows: pd.DataFrame, validated: pd.DataFrame) -> list[str]:
    """Index 0 of each source is its file in data/raw."""
    usable = image_bytes.locate(validated[validated["status"] == "ok"])
    places = {row.source_id: row for row in usable.itertuples()}
    differences = []
    for row in rows[rows["variant_index"] == 0].itertuples():
        place = places.get(row.source_id)
        if place is None:
            differences.append(f"{row.variant_id}: is no usable image of {VALIDATED_MANIFEST}")
            continue
        try:
            if sha256(image_bytes.read_row(place)) != row.sha256:
                differences.append(f"{row.variant_id}: {place.path} has other bytes")
        except OSError as error:
            differences.append(f"{row.variant_id}: {place.path}: {error.strerror}")
    return differences


def check_remade(chosen: pd.DataFrame, validated: pd.DataFrame, recipe: Recipe) -> list[str]:
    """Make the chosen variants again; their bytes need the ledger's hash."""
    others = set(chosen["recipe_hash"]) - {recipe.hash}
    if others:
        return [
            f"the ledger's variants were made by recipe {', '.join(others)}; params.yaml now says {recipe.hash}"
        ]
    differences = []
    for row in chosen.itertuples():
        try:
            made = remake_variant(str(row.variant_id), validated, recipe).row
        except UserError as error:
            differences.append(f"{row.variant_id}: cannot be made again: {error}")
            continue
        other = [
            name
            for name, value in made.items()
            if value is not None and getattr(row, name) != value
        ]
        if other and "sha256" not in other:
            differences.append(
                f"{row.variant_id}: made again it has another {other[0]} than the ledger says"
            )
        elif other:
            differences.append(f"{row.variant_id}: made again it has other bytes")
    return differences


def replay(variant_id: str, validated: pd.DataFrame, recipe: Recipe) -> Variant:
    """Make one variant of the ledger again, and hold it against the ledger.

    Raises:
        UserError: where the ledger does not know it, or params.yaml now says another recipe.
    """
    rows = read_ledger()
    rows = rows[(rows["variant_id"] == variant_id) & (rows["variant_index"] > 0)]
    if rows.empty:
        raise UserError(f"variant {variant_id!r}: needs an augmented variant's id of {LEDGER}")
    differences = check_remade(rows, validated, recipe)
    if differences:
        raise UserError(f"variant {variant_id!r}: {differences[0]}")
    return remake_variant(variant_id, validated, recipe)


def remake_variant(variant_id: str, validated: pd.DataFrame, recipe: Recipe) -> Variant:
    """Make one variant from its source and the recipe.

    Its siblings before it are made too: under `distinct` they have a say in its attempt.

    Raises:
        UserError: where it names no training source, or its source has changed.
    """
    source_id, _, index = variant_id.partition("-v")
    rows = training_sources(validated)
    rows = rows[rows["source_id"] == source_id]
    if rows.empty:
        raise UserError(f"no training source has the id {source_id!r}")
    (source,) = to_sources(rows, pd.Series(int(index), rows.index))
    return expand(source, recipe, {})[-1]
