import io
import subprocess
import tarfile
from itertools import chain
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.augment import segments
from tasks.augment.segments import Expanded, gather
from tasks.pixels import hashing
from tasks.variants.make import Source, Variant


def made(name: str, sizes: list[int | None]) -> tuple[Source, list[Variant]]:
    """A source called `name` with variants of so many bytes; None: rejected."""
    sha256 = hashing.sha256(name.encode())
    source = Source(name, None, 1, sha256[:16], sha256, "cat", "PNG", 9, 9, 1, 8, len(sizes))
    variants = []
    for index, size in enumerate(sizes, start=1):
        data = (name * size)[:size].encode() if size else None
        row = {"variant_id": f"{sha256[:16]}-v{index:03d}", "variant_index": index, "length": size}
        variants.append(Variant(row, data, f"{row['variant_id']}.png"))
    return source, variants


def expanded(name: str, sizes: list[int | None]) -> Expanded:
    ((piece,),) = gather([[made(name, sizes)]])
    return piece


def names(many: list[Expanded]) -> list[str | None]:
    return [segments.build(pieces, "recipe").file_name for pieces in segments.cut(many)]


def test_a_segment_is_a_plain_tar(tmp_path: Path) -> None:
    sources = [made("a", [1, 512, 513]), made("b", [700])]
    segment = segments.build(gather([sources])[0], "recipe")
    data = b"".join(segment.data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
        assert {(m.mode, m.uid, m.gid, m.mtime, m.uname, m.gname) for m in tar} == {
            (0o644, 0, 0, 0, "", "")
        }
    variants = {variant.row["variant_id"]: variant for _, its in sources for variant in its}
    assert members == {variant.member: variant.data for variant in variants.values()}
    rows = segment.rows.to_pylist()
    assert [row["variant_index"] for row in rows] == [0, 1, 2, 3, 0, 1]
    assert {(row["label"], row["split"], row["recipe_hash"]) for row in rows} == {
        ("cat", "train", "recipe")
    }
    for row in rows:
        if row["variant_index"] == 0:
            assert row["segment"] is None and row["offset"] is None
        else:
            assert data[row["offset"] :][: row["length"]] == variants[row["variant_id"]].data
            assert row["segment"] == segment.file_name == f"{hashing.sha256(data)[:16]}.tar"
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    listed = subprocess.run(["tar", "tf", path], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == list(members) and listed.stderr == ""
    assert len(data) == sum(segments.member_bytes(n) for n in (1, 512, 513, 700)) + 1024


def test_a_header_is_what_tarfile_makes() -> None:
    for name, length in [
        ("a.png", 0),
        ("0123456789abcdef-v001.jpg", 123_456),
        ("x" * 99, 8**11 - 1),
    ]:
        info = tarfile.TarInfo(name)
        info.size = length
        assert segments.header(name, length) == info.tobuf(tarfile.USTAR_FORMAT)


def test_rejected_variants_take_no_place() -> None:
    rows = segments.build([expanded("a", [None, 10])], "recipe").rows.to_pylist()
    assert [(row["segment"] is None, row["offset"]) for row in rows] == [
        (True, None),
        (True, None),
        (False, 512),
    ]
    assert segments.build([expanded("a", [None])], "recipe").file_name is None


def test_segments_are_about_as_long_as_they_should_be(monkeypatch) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 64 * 1024)
    gathered = segments.cut(expanded(str(n), [3000] * 2) for n in range(4000))
    sizes = [sum(piece.size for piece in pieces) for pieces in gathered]
    mean = sum(sizes[:-1]) / (len(sizes) - 1)
    assert 0.85 < mean / (64 * 1024) < 1.15


def test_how_sources_are_gathered_changes_nothing(monkeypatch) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 8 * 1024)
    sources = [made(f"{n:02d}", [1500]) for n in range(40)]
    (pieces,) = gather([sources])
    alone = [expanded(f"{n:02d}", [1500]) for n in range(40)]
    assert 1 < len(pieces) < 40
    assert names(pieces) == names(alone) == names(list(chain(*gather([sources[:7], sources[7:]]))))


@settings(max_examples=60)
@given(st.lists(st.integers(0, 99), unique=True, max_size=60), st.integers(0, 99))
def test_an_edit_touches_its_segment_and_at_most_one_beside_it(
    numbers: list[int], edited: int
) -> None:
    mean, segments.MEAN_BYTES = segments.MEAN_BYTES, 8 * 1024
    try:
        numbers.sort()
        before = [expanded(f"{n:02d}", [1500]) for n in numbers]
        with_edit = [expanded(f"{n:02d}", [1500]) for n in sorted({*numbers, edited})]
        without = [expanded(f"{n:02d}", [1500]) for n in numbers if n != edited]
        assert len(set(names(with_edit)) - set(names(without))) <= 2
        assert len(set(names(without)) - set(names(with_edit))) <= 2
        assert names(before) in (names(with_edit), names(without))
    finally:
        segments.MEAN_BYTES = mean
