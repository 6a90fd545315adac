import io
import subprocess
import tarfile
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.augment import segments, tar_format
from tasks.augment.__main__ import with_folder
from tasks.augment.expand import Batch, Encoded, source_row, tar_members
from tasks.augment.segment_files import read_tar
from tasks.augment.segments import (
    FilePart,
    Finished,
    StoredSegment,
    name_of,
    name_rows,
    place_rows,
    write_images,
)
from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.pixels import hashing
from tasks.variants.params import Encoding
from tasks.variants.recipe import Recipe, Recipes
from tasks.variants.sources import Source

RECIPE = Recipe(42, "[]", Encoding(), True, 1)
RECIPES = Recipes(RECIPE)
Made = tuple[Source, list[Encoded]]


def made(name: str, sizes: list[int | None]) -> Made:
    """A source called `name` with variants of so many bytes; None: rejected."""
    sha256 = hashing.sha256(name.encode())
    source = Source(name, None, 1, sha256[:16], sha256, "cat", "PNG", 9, 9, 1, 8, len(sizes))
    variants = []
    for index, size in enumerate(sizes, start=1):
        data = (name * size)[:size].encode() if size else None
        row = {"variant_id": f"{sha256[:16]}-v{index:03d}", "variant_index": index, "length": size}
        variants.append((row, data))
    return source, variants


def finished(*sources: Made) -> list[Finished]:
    """These sources as a worker finishes them: in pieces that end where a segment does."""
    rows: list[dict] = []
    pieces: list[Finished] = []
    for source, variants in sources:
        if not pieces or pieces[-1].ends_segment:
            pieces.append(Finished(start=len(rows), stop=len(rows)))
        rows += [source_row(source), *(row for row, _ in variants)]
        members = tar_members(source, RECIPE, variants)
        pieces[-1].add(source, len(members), 0, len(rows))
        pieces[-1].tar += members
    table = pa.Table.from_pylist(rows, schema=LEDGER_COLUMNS)
    for piece in pieces:
        piece.table = table
    return pieces


def assemble(
    pieces: list[Finished], recipes: Recipes = RECIPES
) -> tuple[str | None, bytes, pa.Table]:
    """The segment of these pieces: its name, None if it has no image; its bytes; its rows."""
    data = read_tar([piece.images for piece in pieces])
    name = name_of(data) if any(data[:-1]) else None
    return name, b"".join(data), name_rows(place_rows(pieces, recipes), name)


def cut(pieces: list[Finished]) -> list[list[Finished]]:
    """The pieces of each segment, as the stage gathers them."""
    gathered: list[list[Finished]] = [[]]
    for piece in pieces:
        gathered[-1].append(piece)
        if piece.ends_segment:
            gathered.append([])
    return [pieces for pieces in gathered if pieces]


def names(pieces: list[Finished]) -> list[str | None]:
    return [assemble(own)[0] for own in cut(pieces)]


def test_a_segment_is_a_plain_tar(tmp_path: Path) -> None:
    sources = [made("a", [1, 512, 513]), made("b", [700])]
    name, data, table = assemble(finished(*sources))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
        assert {(m.mode, m.uid, m.gid, m.mtime, m.uname, m.gname) for m in tar} == {
            (0o644, 0, 0, 0, "", "")
        }
    variants = {row["variant_id"]: data for _, own in sources for row, data in own}
    assert members == {f"{variant_id}.png": data for variant_id, data in variants.items()}
    rows = table.to_pylist()
    assert [row["variant_index"] for row in rows] == [0, 1, 2, 3, 0, 1]
    assert {(row["label"], row["split"], row["recipe_hash"]) for row in rows} == {
        ("cat", "train", RECIPE.hash)
    }
    for row in rows:
        if row["variant_index"] == 0:
            assert row["segment"] is None and row["offset"] is None
        else:
            assert data[row["offset"] :][: row["length"]] == variants[row["variant_id"]]
            assert row["segment"] == name == f"{hashing.sha256(data)[:16]}.tar"
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    listed = subprocess.run(["tar", "tf", path], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == list(members) and listed.stderr == ""
    assert len(data) == sum(tar_format.member_bytes(n) for n in (1, 512, 513, 700)) + 1024


def test_a_header_is_what_tarfile_makes() -> None:
    for name, length in [
        ("a.png", 0),
        ("0123456789abcdef-v001.jpg", 123_456),
        ("x" * 99, 8**11 - 1),
    ]:
        info = tarfile.TarInfo(name)
        info.size = length
        assert tar_format.tar_header(name, length) == info.tobuf(tarfile.USTAR_FORMAT)


def test_rejected_variants_take_no_place() -> None:
    rows = assemble(finished(made("a", [None, 10])))[2].to_pylist()
    assert [(row["segment"] is None, row["offset"]) for row in rows] == [
        (True, None),
        (True, None),
        (False, 512),
    ]
    assert assemble(finished(made("a", [None])))[0] is None


def test_segments_are_about_as_long_as_they_should_be(monkeypatch) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 64 * 1024)
    gathered = cut(finished(*(made(str(n), [3000] * 2) for n in range(4000))))
    sizes = [sum(len(piece.images) for piece in pieces) for pieces in gathered]
    mean = sum(sizes[:-1]) / (len(sizes) - 1)
    assert 0.85 < mean / (64 * 1024) < 1.15


def test_how_sources_are_gathered_changes_nothing(monkeypatch) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 8 * 1024)
    sources = [made(f"{n:02d}", [1500]) for n in range(40)]
    pieces = finished(*sources)
    alone = list(chain.from_iterable(finished(source) for source in sources))
    assert 1 < len(pieces) < 40
    assert names(pieces) == names(alone)
    assert names(pieces) == names([*finished(*sources[:7]), *finished(*sources[7:])])


@settings(max_examples=60)
@given(st.lists(st.integers(0, 99), unique=True, max_size=60), st.integers(0, 99))
def test_an_edit_touches_its_segment_and_at_most_one_beside_it(
    numbers: list[int], edited: int
) -> None:
    mean, segments.MEAN_BYTES = segments.MEAN_BYTES, 8 * 1024
    try:
        numbers.sort()
        before, with_edit, without = (
            finished(*(made(f"{n:02d}", [1500]) for n in sorted(chosen)))
            for chosen in (numbers, {*numbers, edited}, {*numbers} - {edited})
        )
        assert len(set(names(with_edit)) - set(names(without))) <= 2
        assert len(set(names(without)) - set(names(with_edit))) <= 2
        assert names(before) in (names(with_edit), names(without))
    finally:
        segments.MEAN_BYTES = mean


def stored(folder: Path, *sources: Made, first: int = 0) -> StoredSegment:
    """The segment of these sources in `folder`, its rows after `first` others in a ledger."""
    name, data, rows = assemble(finished(*sources))
    (folder / name).write_bytes(data)
    others = assemble(finished(made("z", [1] * (first - 1))))[2].slice(0, first)
    tables.write_arrow(folder / "ledger", pa.concat_tables([others, rows]))
    return StoredSegment(name, folder / name, folder / "ledger", first, len(rows))


@pytest.mark.parametrize("rows_per_group", [1, 3, 4, 100])
def test_stored_rows_are_found_whatever_row_groups_hold_them(
    rows_per_group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS_PER_GROUP", rows_per_group)
    sources = made("a", [700, None, 30]), made("b", []), made("c", [900, 1])
    own = stored(tmp_path, *sources, first=5)
    expected = assemble(finished(*sources))[2]
    for start in range(8):
        for stop in range(start + 1, 9):
            assert own.rows(start, stop) == expected.slice(start, stop - start)


def test_images_of_a_stored_segment_are_those_of_its_sources(tmp_path: Path) -> None:
    sources = made("a", [700, None, 30]), made("b", []), made("c", [None, 900, 1])
    own = stored(tmp_path, *sources, first=5)
    rows = {"a": (0, 4), "b": (4, 5), "c": (5, 9)}
    for (source, variants), (start, stop) in zip(sources, rows.values(), strict=True):
        piece = Finished(start, stop, [source], stored=own)
        assert read_tar([piece.images])[0] == tar_members(source, RECIPE, variants)
        assert piece.whole is None
    everything = Finished(0, 9, [source for source, _ in sources], stored=own)
    assert everything.whole == own
    assert everything.images == FilePart(own.tar, 0, own.tar.stat().st_size - len(tar_format.END))
    assert assemble([everything]) == assemble(finished(*sources))
    more = made("d", [5])
    assert assemble([everything, *finished(more)]) == assemble(finished(*sources, more))


def test_a_tar_has_the_bytes_that_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "BYTES_AT_ONCE", 100)
    own = stored(tmp_path, made("a", [700]), first=1)
    sound = segments.is_sound.__wrapped__
    assert segments.has_bytes_of(own.tar, own.name) and sound(own)
    assert not sound(replace(own, count=3))  # more rows than there are
    data = own.tar.read_bytes()
    own.tar.write_bytes(data[:600] + b"x" + data[601:])
    assert not segments.has_bytes_of(own.tar, own.name) and not sound(own)
    own.tar.unlink()
    assert not segments.has_bytes_of(own.tar, own.name) and not sound(own)
    own.tar.write_bytes(data)
    assert sound(own)
    own.path.unlink()
    segments.read_row_group.cache_clear()
    assert not sound(own)


def test_variants_that_were_written_are_counted_by_source() -> None:
    sources = made("a", [700, None, 30]), made("b", []), made("c", [None, 1])
    rows = assemble(finished(*sources))[2]
    assert segments.written_by_source(rows).tolist() == [2, 0, 1]


def test_each_source_has_the_label_and_the_recipe_of_its_class() -> None:
    (cat, variants), (dog, none) = made("a", [5, 5]), made("b", [None])
    own = Recipes(RECIPE, {"dog": Recipe(1, "[]", Encoding(), True, 1)})
    rows = assemble(finished((cat, variants), (dog._replace(label="dog"), none)), own)[2]
    assert rows["label"].to_pylist() == ["cat"] * 3 + ["dog"] * 2
    assert rows["recipe_hash"].to_pylist() == [RECIPE.hash] * 3 + [own.of("dog").hash] * 2
    assert rows["split"].to_pylist() == ["train"] * 5


def test_images_may_cross_in_a_file(tmp_path: Path) -> None:
    piece = Finished(0, 1, tar=write_images(b"members", tmp_path))
    assert read_tar([piece.images]) == [b"members", tar_format.END]
    with pytest.raises(OSError) as failed:
        write_images(b"members", tmp_path / "none")
    assert failed.value.filename == str(tmp_path)  # of the cache, not of its temporary folder


def test_batches_that_make_variants_share_a_folder_which_ends_with_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    abandoned = tmp_path / ".images.01234567.tmp"  # by a run that was killed
    abandoned.mkdir()
    source, _ = made("a", [1])
    batches = [Batch(RECIPES), Batch(RECIPES, [[source]]), Batch(RECIPES, [[source]])]
    with ExitStack() as stack:
        with_folders = with_folder(batches, stack)
        assert next(with_folders).images_in is None and abandoned.exists()
        first, second = (batch.images_in for batch in with_folders)
        assert first == second and first is not None and first.is_dir()
        assert not abandoned.exists()
    assert not list(tmp_path.iterdir())
