"""Verify in this process: what it counts, and each difference that it can find."""

import gzip
import io
import random
import tarfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from tasks.augment.tar_format import tar_bytes
from tasks.commands import verify as commands
from tasks.common.errors import UserError
from tasks.dataset.manifests import read_ledger
from tasks.dataset.paths import COUNTS, LEDGER, RAW, SEGMENTS
from tasks.dataset.selections import written_variants
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.originals import NO_ORIGINALS
from tasks.variants.recipe import Recipes
from tests.tasks.augment.datasets import Dataset, run


class Made(NamedTuple):
    """A dataset that augment has run on: 3 sources, 2 variants of each, one of them rejected."""

    validated: pd.DataFrame
    recipes: Recipes
    ledger: pd.DataFrame
    segment: Path

    def verify(self, remake: int = 0) -> dict:
        return commands.verify(self.validated, self.recipes, remake)

    def differences(self) -> list[str]:
        return self.verify()["differences"]

    def id_of(self, source: int) -> str:
        """Of a source in the order of the ledger."""
        return str(self.ledger["source_id"].unique()[source])


@pytest.fixture
def augmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    dataset = Dataset(random.Random(3))
    contents = [dataset.content() for _ in range(4)]
    names = ["012.png", "101.png", "202.png", "303.png"]  # the first is of the test split
    dataset.files = dict(zip(names, zip("abab", contents, strict=True), strict=True))
    dataset.count, dataset.policy = {"variants_per_image": 2}, 2  # InvertImg: one image for certain
    run(dataset, tmp_path / "project", monkeypatch)
    (segment,) = SEGMENTS.iterdir()
    recipes = Recipes.from_params(dataset.params(), AS_DECODED)
    return Made(dataset.validated(), recipes, read_ledger(), segment)


def test_what_is_counted_where_all_is_well(augmented: Made) -> None:
    expected = {
        "sources": 3,
        "planned": 6,
        "written": 3,
        "rejected": 3,
        "segments": 1,
        "differences": [],
        "damaged": [],
    }
    assert augmented.verify() == {**expected, "remade": 0}
    assert augmented.verify(remake=4) == {**expected, "remade": 4}
    assert augmented.verify(remake=99) == {**expected, "remade": 6}


def members_of(made: Made) -> list[tuple[str, bytes]]:
    with tarfile.open(made.segment) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def replace(made: Made, data: bytes) -> None:
    made.segment.unlink()  # never in place: the private cache has the same file
    made.segment.write_bytes(data)


def test_members_are_held_against_the_ledger(augmented: Made) -> None:
    members, name = members_of(augmented), augmented.segment.name
    assert commands.read_members(augmented.segment.read_bytes()) == members
    ids = [member.partition(".")[0] for member, _ in members]
    assert ids == written_variants(augmented.ledger)["variant_id"].tolist()

    replace(augmented, tar_bytes([members[0], (members[1][0], b"other"), ("new-v001.png", b"new")]))
    assert augmented.differences() == sorted(
        [
            f"{name}: {ids[2]} is missing",
            f"{name}: new-v001 is not in the ledger",
            f"{name}: {ids[1]} has other bytes",
        ]
    )
    assert augmented.verify()["damaged"] == [name]
    replace(augmented, tar_bytes([members[1], members[0], members[2]]))
    where = "does not lie where the ledger says"
    assert augmented.differences() == sorted(f"{name}: {each} {where}" for each in ids[:2])
    replace(augmented, tar_bytes(members) + b"\0")
    assert augmented.differences() == [f"{name}: bytes between the images differ"]
    replace(augmented, gzip.compress(tar_bytes(members)))
    assert augmented.differences()[0].startswith(f"{name}: cannot be read: ")
    replace(augmented, b"no tar")
    assert augmented.differences() == [f"{name}: cannot be read: truncated header"]
    augmented.segment.unlink()
    missing = f"[Errno 2] No such file or directory: '{augmented.segment}'"
    assert augmented.differences() == [f"{name}: cannot be read: {missing}"]


def test_segments_that_no_row_names_are_told_first(augmented: Made) -> None:
    for name in ("z.tar", "b.txt"):
        (SEGMENTS / name).write_bytes(b"")
    augmented.segment.unlink()
    found = augmented.verify()
    assert found["damaged"] == ["b.txt", "z.tar", augmented.segment.name]
    assert found["differences"][:2] == ["b.txt: not in the ledger", "z.tar: not in the ledger"]
    assert len(found["differences"]) == 3


def test_counts_are_held_against_the_ledger(augmented: Made) -> None:
    counts = pd.read_csv(COUNTS, dtype=str)
    one, two = augmented.id_of(0), augmented.id_of(1)

    def told(table: pd.DataFrame) -> list[str]:
        COUNTS.unlink(missing_ok=True)
        table.to_csv(COUNTS, index=False)
        assert augmented.verify()["damaged"] == (["counts.csv"] if augmented.differences() else [])
        return augmented.differences()

    def changed(source: str, **values: int) -> pd.DataFrame:
        table = counts.copy()
        for name, value in values.items():
            table.loc[table["source_id"] == source, name] = str(value)
        return table

    told_of = "counts.csv: {} does not reconcile with the ledger".format
    assert told(counts) == [] and len(counts) == 4  # with the test image, which has none
    assert told(changed(one, planned=3)) == [told_of(one)]
    assert told(changed(one, written=2, planned=3)) == [told_of(one)]
    assert told(changed(one, rejected=2, planned=3)) == [told_of(one)]
    assert told(changed(two, written=0, rejected=2)) == [told_of(two)]
    lost = counts[counts["source_id"] != two]
    assert told(lost) == [told_of(two)]
    held_out = str(counts["source_id"].iloc[0])
    assert held_out not in set(augmented.ledger["source_id"])
    assert told(changed(held_out, planned=1, written=1)) == [told_of(held_out)]
    assert told(changed(held_out, planned=1)) == [told_of(held_out)]
    both = changed(one, planned=9)
    both.loc[both["source_id"] == two, "planned"] = "9"
    assert told(both) == [told_of(each) for each in sorted([one, two])]
    unread = "counts.csv: cannot be read: "
    assert told(counts.drop(columns="written"))[0].startswith(unread)
    assert told(changed(one, planned=1).replace("1", "x"))[0].startswith(unread)
    COUNTS.unlink()
    assert augmented.differences() == [f"{unread}[Errno 2] No such file or directory: '{COUNTS}'"]


def test_a_source_that_lost_its_line_and_had_no_variant_is_told(augmented: Made) -> None:
    is_variant = augmented.ledger["variant_index"] > 0
    bare = augmented.ledger[~is_variant | (augmented.ledger["source_id"] != augmented.id_of(0))]
    counts = pd.read_csv(COUNTS, dtype=str)
    counts.loc[counts["source_id"] == augmented.id_of(0), ["planned", "written", "rejected"]] = "0"
    counts.to_csv(COUNTS, index=False)
    assert commands.check_counts(bare) == []
    counts[counts["source_id"] != augmented.id_of(0)].to_csv(COUNTS, index=False)
    told = f"counts.csv: {augmented.id_of(0)} does not reconcile with the ledger"
    assert commands.check_counts(bare) == [told]


def test_originals_are_the_files_that_were_read(augmented: Made) -> None:
    ids = [f"{augmented.id_of(source)}-v000" for source in range(3)]
    (RAW / "101.png").write_bytes(b"x" * (RAW / "101.png").stat().st_size)
    (RAW / "303.png").unlink()
    (RAW / "012.png").unlink()  # of the test split: no source
    rows = augmented.validated.copy()
    rows.loc[rows["file_name"] == "202.png", "status"] = "quarantined"
    assert augmented._replace(validated=rows).differences() == [
        f"{ids[0]}: {RAW}/101.png has other bytes",
        f"{ids[1]}: is no usable image of data/validated/manifest.parquet",
        f"{ids[2]}: {RAW}/303.png: No such file or directory",
    ]


def test_variants_made_again_have_the_ledgers_bytes_and_facts(augmented: Made) -> None:
    chosen = augmented.ledger[augmented.ledger["variant_index"] > 0]

    def told(rows: pd.DataFrame) -> list[str]:
        return commands.check_remade(rows, augmented.validated, augmented.recipes, NO_ORIGINALS)

    assert told(chosen) == []
    ids = chosen["variant_id"].tolist()
    other = chosen.copy()
    other.loc[other.index[0], "sha256"] = "0" * 64
    other.loc[other.index[4], "contrast"] += 0.0001
    other.loc[other.index[2], "seed"] += 1
    assert told(other) == [
        f"{ids[0]}: made again it has other bytes",
        f"{ids[2]}: made again it has another seed than the ledger says",
        f"{ids[4]}: made again it has another contrast than the ledger says",
    ]
    unknown = chosen.iloc[:2].copy()
    unknown["variant_id"] = ["0123-v001", ids[1]]
    need = "no training source has the id '0123'"
    assert told(unknown) == [f"0123-v001: cannot be made again: {need}"]
    was = chosen.assign(recipe_hash="0123")
    assert told(was) == [
        "the ledger's variants were made by recipe 0123; params.yaml now says "
        + augmented.recipes.general.hash
    ]


def test_one_variant_is_made_again(augmented: Made) -> None:
    first, data = members_of(augmented)[0]
    variant, _, extension = first.partition(".")
    found = commands.replay(variant, augmented.validated, augmented.recipes)
    assert (found.data, found.extension, found.row["variant_id"]) == (data, extension, variant)
    second = f"{augmented.id_of(0)}-v002"
    rejected = commands.replay(second, augmented.validated, augmented.recipes)
    assert rejected.data is None and rejected.row["variant_index"] == 2
    for unknown in ("x-v001", f"{augmented.id_of(0)}-v000", f"{augmented.id_of(0)}-v003"):
        with pytest.raises(UserError) as caught:
            commands.replay(unknown, augmented.validated, augmented.recipes)
        need = f"needs an augmented variant's id of {LEDGER}"
        assert str(caught.value) == f"variant {unknown!r}: {need}"
    (RAW / "101.png").unlink()
    with pytest.raises(UserError) as caught:
        commands.replay(second, augmented.validated, augmented.recipes)
    gone = "gone since it was validated; run from ingest again"
    assert str(caught.value) == (
        f"variant {second!r}: {second}: cannot be made again: {RAW}/101.png: {gone}"
    )


def test_a_tar_of_members_reads_back() -> None:
    members = [("a-v001.png", b"one"), ("b-v001.jpg", bytes(700))]
    with tarfile.open(fileobj=io.BytesIO(tar_bytes(members))) as tar:
        assert tar.getnames() == ["a-v001.png", "b-v001.jpg"]
    assert commands.read_members(tar_bytes(members)) == members
