import io
import subprocess
import tarfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import images
from tasks.augment import segments
from tasks.augment.variants import Source, Variant


def expanded(name: str, sizes: list[int]) -> segments.Expanded:
    """A source called `name` with variants of so many bytes."""
    sha256 = images.sha256(name.encode())
    source = Source(Path(name), sha256[:16], sha256, sha256, "PNG", len(sizes))
    variants = []
    for index, size in enumerate(sizes, start=1):
        data = (name * size)[:size].encode()
        row = {"sha256": images.sha256(data), "length": size, "status": "written"}
        variants.append(Variant(row, data, f"{sha256[:16]}-v{index:03d}.png"))
    return source, variants


def names(many: list[segments.Expanded]) -> list[str | None]:
    return [segment.file_name for segment in segments.cut(many)]


def test_a_segment_is_a_plain_tar(tmp_path: Path) -> None:
    segment = segments.build([expanded("a", [1, 512, 513]), expanded("b", [700])])
    with tarfile.open(fileobj=io.BytesIO(segment.data)) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
        assert {(m.mode, m.uid, m.gid, m.mtime, m.uname, m.gname) for m in tar} == {(0o644, 0, 0, 0, "", "")}
    variants = [variant for _, its in segment.expanded for variant in its]
    assert members == {variant.member: variant.data for variant in variants}
    for variant in variants:
        start = variant.row["offset"]
        assert segment.data[start : start + variant.row["length"]] == variant.data
        assert variant.row["segment"] == segment.file_name
    path = tmp_path / "x.tar"
    path.write_bytes(segment.data)
    listed = subprocess.run(["tar", "tf", path], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == list(members) and listed.stderr == ""
    assert len(segment.data) == sum(segments.member_bytes(len(v.data)) for v in variants) + 1024


def test_rejected_variants_take_no_place() -> None:
    source, variants = expanded("a", [10, 10])
    variants[0].data = None
    segments.build([(source, variants)])
    assert variants[0].row["segment"] is None and variants[0].row["offset"] is None
    assert variants[1].row["offset"] == 512
    nothing = segments.build([(source, variants[:1])])
    assert nothing.file_name is None


def test_segments_are_about_as_long_as_they_should_be(monkeypatch) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 64 * 1024)
    sizes = [len(segment.data) for segment in segments.cut(expanded(str(n), [3000] * 2) for n in range(4000))]
    mean = sum(sizes[:-1]) / (len(sizes) - 1)
    assert 0.85 < mean / (64 * 1024) < 1.15


@settings(max_examples=60)
@given(st.lists(st.integers(0, 99), unique=True, max_size=60), st.integers(0, 99))
def test_an_edit_touches_its_segment_and_at_most_one_beside_it(numbers: list[int], edited: int) -> None:
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
