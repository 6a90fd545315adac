"""Verify: does the disk hold what the ledger says, and do the recipes still make it?"""

import tarfile
from pathlib import Path
from typing import Any

import pandas as pd

from tasks import images, manifest
from tasks.augment import ledger
from tasks.augment.sources import to_sources, training_sources
from tasks.augment.variants import Recipe, Variant, expand
from tasks.errors import UserError


def verify(validated: pd.DataFrame, recipe: Recipe, remake: int = 0) -> dict[str, Any]:
    """Reconcile ledger, counts.csv and segments; make `remake` variants again and compare their bytes.

    Returns:
        What was counted, and `differences`: a line for each, [] where all is well.
    """
    rows = ledger.read()
    variants = rows[rows["variant_index"] > 0]
    written = variants[variants["status"] == "written"]
    differences = [*check_segments(written), *check_counts(variants)]
    again = manifest.examples(variants, remake)
    differences += check_remade(again, validated, recipe)
    return {
        "sources": int((rows["variant_index"] == 0).sum()),
        "planned": len(variants),
        "written": len(written),
        "rejected": len(variants) - len(written),
        "segments": int(written["segment"].nunique()),
        "remade": len(again),
        "differences": differences,
    }


def check_segments(written: pd.DataFrame) -> list[str]:
    """Read every tar by its own headers; each member needs a ledger row, each row its bytes."""
    differences = []
    on_disk = {path.name for path in ledger.SEGMENTS.glob("*")}
    differences += [f"{name}: not in the ledger" for name in sorted(on_disk - set(written["segment"]))]
    for name, rows in written.groupby("segment"):
        expected = {row.variant_id: row.sha256 for row in rows.itertuples()}
        try:
            found = read_segment(ledger.SEGMENTS / str(name))
        except (OSError, tarfile.TarError) as error:
            differences.append(f"{name}: cannot be read: {error}")
            continue
        differences += [f"{name}: {variant} is missing" for variant in expected.keys() - found.keys()]
        differences += [f"{name}: {variant} is not in the ledger" for variant in found.keys() - expected.keys()]
        both = expected.keys() & found.keys()
        differences += [f"{name}: {variant} has other bytes" for variant in both if found[variant] != expected[variant]]
    return sorted(differences)


def read_segment(path: Path) -> dict[str, str]:
    """The SHA-256 of each member of a tar, by variant_id."""
    with tarfile.open(path, "r:") as tar:
        return {
            member.name.partition(".")[0]: images.sha256(tar.extractfile(member).read())  # type: ignore[union-attr]
            for member in tar
        }


def check_counts(variants: pd.DataFrame) -> list[str]:
    """planned = written + rejected, per source, in counts.csv as in the ledger."""
    counts = pd.read_csv(ledger.COUNTS, dtype={"source_id": str, "label": str}).set_index("source_id")
    status = pd.crosstab(variants["source_id"], variants["status"]).reindex(
        columns=["written", "rejected"], fill_value=0
    )
    status = status.reindex(counts.index, fill_value=0)
    wrong = (status["written"] != counts["written"]) | (status["rejected"] != counts["rejected"])
    wrong |= counts["planned"] != counts["written"] + counts["rejected"]
    return [
        f"{ledger.COUNTS.name}: {source_id} does not reconcile with the ledger" for source_id in counts.index[wrong]
    ]


def check_remade(chosen: pd.DataFrame, validated: pd.DataFrame, recipe: Recipe) -> list[str]:
    """Make the chosen variants again; their bytes need the ledger's hash."""
    differences = []
    for row in chosen.itertuples():
        if row.recipe_hash != recipe.hash:
            differences.append(f"{row.variant_id}: made by recipe {row.recipe_hash}, the present one is {recipe.hash}")
            continue
        sha256 = remake_variant(str(row.variant_id), validated, recipe).row["sha256"]
        if sha256 != row.sha256:
            differences.append(f"{row.variant_id}: made again it has other bytes")
    return differences


def remake_variant(variant_id: str, validated: pd.DataFrame, recipe: Recipe) -> Variant:
    """Make one variant from its source and the recipe.

    Its siblings before it are made too: under `distinct` they have a say in its attempt.

    Raises:
        UserError: where the id is not one, or names no training source.
    """
    source_id, _, index = variant_id.partition("-v")
    if not index.isdigit() or int(index) < 1:
        raise UserError(f"variant {variant_id!r}: needs <source_id>-v<index from 001>")
    rows = training_sources(validated)
    rows = rows[rows["source_id"] == source_id]
    if rows.empty:
        raise UserError(f"variant {variant_id!r}: no training source has the id {source_id!r}")
    (source,) = to_sources(rows, pd.Series(int(index), rows.index))
    return expand(source, recipe, {})[-1]
