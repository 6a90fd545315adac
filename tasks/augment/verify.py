"""Verify: does the disk hold what the ledger says, and do the recipes still make it?"""

import io
import tarfile
from typing import Any

import pandas as pd

from tasks import images, manifest
from tasks.augment import ledger
from tasks.augment.segments import tar_bytes
from tasks.augment.sources import to_sources, training_sources
from tasks.augment.variants import Recipe, Variant, expand
from tasks.errors import UserError


def verify(validated: pd.DataFrame, recipe: Recipe, remake: int = 0) -> dict[str, Any]:
    """Reconcile ledger, counts.csv and segments; make `remake` variants again and compare their bytes.

    Returns:
        What was counted; `differences`, a line for each, [] where all is well; and `damaged`, the segments among them.
    """
    rows = ledger.read()
    variants = rows[rows["variant_index"] > 0]
    written = variants[variants["status"] == "written"]
    in_segments = check_segments(written)
    again = manifest.examples(variants, remake)
    differences = [line for lines in in_segments.values() for line in lines] + check_counts(variants)
    differences += check_remade(again, validated, recipe)
    return {
        "sources": int((rows["variant_index"] == 0).sum()),
        "planned": len(variants),
        "written": len(written),
        "rejected": len(variants) - len(written),
        "segments": int(written["segment"].nunique()),
        "remade": len(again),
        "differences": differences,
        "damaged": list(in_segments),
    }


def check_segments(written: pd.DataFrame) -> dict[str, list[str]]:
    """Read every tar by its own headers; each member needs a ledger row, each row its bytes.

    Returns:
        For each segment that differs, a line for each difference.
    """
    expected = {
        str(name): dict(zip(rows["variant_id"], rows["sha256"], strict=True))
        for name, rows in written.groupby("segment")
    }
    found = {path.name for path in ledger.SEGMENTS.glob("*")}
    lines = {name: [f"{name}: not in the ledger"] for name in sorted(found - expected.keys())}
    lines |= {name: check_segment(name, members) for name, members in expected.items()}
    return {name: its_lines for name, its_lines in lines.items() if its_lines}


def check_segment(name: str, expected: dict[str, str]) -> list[str]:
    """What differs between a segment and the SHA-256 of each variant_id that the ledger expects in it."""
    try:
        data = (ledger.SEGMENTS / name).read_bytes()
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            members = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    except (OSError, tarfile.TarError) as error:
        return [f"{name}: cannot be read: {error}"]
    found = {member.partition(".")[0]: images.sha256(content) for member, content in members}
    differences = [f"{name}: {variant} is missing" for variant in expected.keys() - found.keys()]
    differences += [f"{name}: {variant} is not in the ledger" for variant in found.keys() - expected.keys()]
    both = expected.keys() & found.keys()
    differences += [f"{name}: {variant} has other bytes" for variant in both if found[variant] != expected[variant]]
    if not differences and data != tar_bytes(members):
        differences = [f"{name}: bytes between the images differ"]
    return sorted(differences)


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
