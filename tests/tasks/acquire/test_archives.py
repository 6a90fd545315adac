"""Archives are untrusted: everything of them arrives, or nothing and one line that says why."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.acquire import archives
from tasks.acquire.archives import Unpacked, unpack
from tasks.common import events
from tasks.common.errors import UserError
from tasks.dataset.clutter import is_clutter

TREE = {
    "train/cat/1.png": b"one",
    "train/cat/2.jpg": b"",
    "train/dog house/1.png": os.urandom(3_000_000),
    "test/Größe/ñ.png": b"two",
    "README": b"text",
}
PACKERS = {"": "w:", ".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def zip_of(path: str, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return Path(path)


def tar_of(path: str, members: dict[str, bytes], mode: str = "w:", **facts: object) -> Path:
    """A tar; `facts` are set on each member's header."""
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            archive.addfile(header(name, data, **facts), io.BytesIO(data))
    return Path(path)


def header(name: str, data: bytes = b"", **facts: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info


def files(folder: str = "data/raw") -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def below(folder: str) -> list[str]:
    return [path.name for path in Path(folder).iterdir()]


def refused(*paths: Path, max_gb: float = 1) -> str:
    """The line that an import ends with; nothing has changed after it."""
    with pytest.raises(UserError) as error:
        unpack(paths, Path("data/raw"), max_gb)
    assert not Path("data").exists() or below("data") in ([], ["raw"])
    assert files() == {}
    assert "\n" not in str(error.value)
    return str(error.value)


def whole(files: int) -> Unpacked:
    """All that came of an import that left nothing out."""
    return Unpacked(files, {"files": 0, "first": None})


def import_(*paths: Path, max_gb: float = 1) -> Unpacked:
    found = unpack(paths, Path("data/raw"), max_gb)
    assert below("data") == ["raw"]
    return found


# --- what arrives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_arrives_whole_whatever_its_name(packer: str, format: int) -> None:
    for name, data in TREE.items():
        (Path("made") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("made") / name).write_bytes(data)
    Path("made/empty").mkdir()
    with tarfile.open("x.zip", PACKERS[packer], format=format) as archive:
        archive.add("made", ".")  # as `tar -C made .` names them: ./train/cat/1.png
    assert import_(Path("x.zip")) == whole(5)
    assert files() == TREE and Path("data/raw/empty").is_dir()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_arrives_whole_whatever_its_name(method: int) -> None:
    assert import_(zip_of("x.tar", {**TREE, "empty/": b""}, method)) == whole(5)
    assert files() == TREE and Path("data/raw/empty").is_dir()


NAMES = st.lists(
    st.text(
        st.characters(exclude_characters="/\\\0:", exclude_categories=["Cs"]),
        min_size=1,
        max_size=8,
    ).filter(lambda text: text not in (".", "..") and not is_clutter(text)),
    min_size=1,
    max_size=4,
)


@given(st.lists(NAMES, min_size=1, max_size=6), st.sampled_from(["zip", *PACKERS]))
def test_any_tree_arrives_whole(
    tmp_path_factory: pytest.TempPathFactory, names: list[list[str]], kind: str
) -> None:
    members: dict[str, bytes] = {}
    for parts in names:  # no file where another needs a folder
        name = "/".join(parts)
        if not any(
            f"{name}/".startswith(f"{other}/") or f"{other}/".startswith(f"{name}/")
            for other in members
        ):
            members[name] = name.encode()
    folder = tmp_path_factory.mktemp("tree")
    path = str(folder / "archive")
    made = zip_of(path, members) if kind == "zip" else tar_of(path, members, PACKERS[kind])
    assert unpack([made], folder / "raw", 1) == whole(len(members))
    assert files(str(folder / "raw")) == members


def test_several_archives_are_unpacked_together() -> None:
    train, test = (
        zip_of("a.zip", {"train/cat/1.png": b"1"}),
        tar_of("b.tar", {"test/cat/1.png": b"2"}),
    )
    assert import_(train, test) == whole(2)
    assert files() == {"train/cat/1.png": b"1", "test/cat/1.png": b"2"}


def test_modes_are_not_taken_over() -> None:
    with tarfile.open("x.tar", "w") as archive:
        archive.addfile(header("folder", type=tarfile.DIRTYPE, mode=0o000))
        archive.addfile(header("folder/run.sh", b"#!", mode=0o4777), io.BytesIO(b"#!"))
    info = zipfile.ZipInfo("zipped/run.sh")
    info.external_attr = (stat.S_IFREG | 0o6777) << 16
    with zipfile.ZipFile("y.zip", "w") as archive_:
        archive_.writestr(info, b"#!")
    before = os.umask(0o022)
    try:
        import_(Path("x.tar"), Path("y.zip"))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path("data/raw").rglob("*")}
    assert modes == {"folder": 0o755, "zipped": 0o755, "run.sh": 0o644}
    assert stat.S_IMODE(Path("data/raw/zipped/run.sh").stat().st_mode) == 0o644


def test_what_file_managers_add_is_left_out() -> None:
    junk = {
        "__MACOSX/": b"",
        "__MACOSX/cat/._1.png": b"x",
        "cat/.DS_Store": b"x",
        "Thumbs.db": b"x",
        "cat/._1.png": b"x",
        ".thumbnails/1.png": b"x",
    }
    found = import_(zip_of("x.zip", {"cat/1.png": b"1", "cat/xThumbs.db": b"2", **junk}))
    assert found == Unpacked(2, {"files": 5, "first": ".thumbnails/1.png"})
    assert files() == {"cat/1.png": b"1", "cat/xThumbs.db": b"2"}


def test_archives_in_archives_stay_files() -> None:
    inner = zip_of("inner.zip", {"a": b"1"}, zipfile.ZIP_STORED).read_bytes()
    import_(tar_of("x.tar", {"inner.zip": inner}))  # ends in a zip's marks, and is none
    assert files() == {"inner.zip": inner}


def test_names_that_a_zip_does_not_mark_as_utf8_are_read_so_where_they_are() -> None:
    path = zip_of("x.zip", {"Gr__e/1.png": b"1", "caf_/1.png": b"2"})
    data = (
        path.read_bytes()
        .replace(b"Gr__e", "Größe"[:3].encode() + b"e")
        .replace(b"caf_", "café".encode("cp437"))
    )
    path.write_bytes(data)
    import_(path)
    assert set(files()) == {"Gröe/1.png", "café/1.png"}


def zip_in(encoding: str, *names: str) -> Path:
    """A zip whose names are in an encoding that it does not mention."""
    sizes = [len(name.encode(encoding)) for name in names]
    placeholders = {letter * size: b"" for letter, size in zip("ABC", sizes, strict=False)}
    path = zip_of("names.zip", placeholders)
    data = path.read_bytes()
    for placeholder, name in zip(placeholders, names, strict=True):
        data = data.replace(placeholder.encode(), name.encode(encoding))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp932", ("ネコ/写真.png", "ソ/表.png")),  # the second byte of ソ and 表 is a backslash
        ("gbk", ("猫/联通.png", "狗/照片.png")),  # 联通 in GBK is valid UTF-8 as well
        ("cp866", ("кошка/фото.png", "собака/фото.png")),
    ],
)
def test_names_in_another_encoding_are_read_right_where_it_is_given(
    encoding: str, names: tuple[str, ...]
) -> None:
    found = unpack([zip_in(encoding, *names)], Path("data/raw"), 1, encoding)
    assert (set(files()), found) == (set(names), whole(2))


def test_an_encoding_leaves_names_in_utf8_alone() -> None:
    unpack([zip_in("utf-8", "ネコ/写真.png")], Path("data/raw"), 1, "cp932")
    assert set(files()) == {"ネコ/写真.png"}


SUGGESTED = "cp932 (Japanese), gbk (Chinese), cp949 (Korean) or cp866 (Russian)"


def test_names_that_are_not_utf8_are_read_as_code_page_437_and_it_is_said() -> None:
    assert import_(zip_in("cp932", "ネコ/1.png", "cat/2.png")).guessed == (
        "warning: 1 name that is not UTF-8 was read as cp437: 'âlâR/1.png' for one; if that is "
        f"wrong, empty data/raw and import again with --encoding {SUGGESTED}"
    )
    assert set(files()) == {"âlâR/1.png", "cat/2.png"}


def test_a_name_that_only_its_encoding_would_make_valid_is_refused_with_the_option() -> None:
    assert refused(zip_in("cp932", "表/1.png")) == (
        "names.zip: 'ò\\\\/1.png' needs a name without backslashes and drive letters; --encoding "
        f"says what its name is in, as {SUGGESTED}"
    )


def test_an_encoding_that_is_unknown_or_wrong_is_one_line() -> None:
    for codec in ("latin-99", "rot13", "undefined"):
        with pytest.raises(UserError) as error:
            unpack([zip_in("cp932", "ネコ.png")], Path("data/raw"), 1, codec)
        need = f"needs a codec of Python's, as {SUGGESTED}"
        assert str(error.value) == f"--encoding: {need}; found {codec!r}"
    with pytest.raises(UserError) as error:
        unpack([zip_in("cp437", "ÿ.png")], Path("data/raw"), 1, "cp932")
    assert str(error.value) == (
        "names.zip: '\\x98.png' is no name in cp932; --encoding: needs another codec"
    )
    assert files() == {}


def test_an_empty_folder_is_filled_and_what_a_killed_import_left_removed() -> None:
    Path("data/raw/empty/inner").mkdir(parents=True)
    Path("data/.raw.tmp/cat").mkdir(parents=True)
    Path("data/.raw.tmp/cat/1.png").write_bytes(b"old")
    import_(zip_of("x.zip", {"dog/1.png": b"1"}))
    assert files() == {"dog/1.png": b"1"} and below("data/raw") == ["dog"]


# --- what is refused ------------------------------------------------------------------------------

NEEDS = {
    "/etc/cat.png": "needs a relative name",
    "../cat.png": "leads out of its folder",
    "cat/../../1.png": "leads out of its folder",
    "cat/..": "leads out of its folder",
    "__MACOSX/../x": "leads out of its folder",
    "C:/cat.png": "needs a name without backslashes and drive letters",
    "c:cat.png": "needs a name without backslashes and drive letters",
    "..\\cat.png": "needs a name without backslashes and drive letters",
    ".": "needs a name",
    "a" * 256: "needs a shorter name",
    "ü" * 128: "needs a shorter name",
    "/".join(["a" * 200] * 6): "needs a shorter name",
    "a/" * 50 + "b": "needs a shorter name",
}


@pytest.mark.parametrize("name", NEEDS)
def test_names_that_lead_elsewhere_or_nowhere_refuse_the_import(name: str) -> None:
    good = {"cat/1.png": b"1"}
    assert refused(zip_of("x.zip", {**good, name: b"2"})) == f"x.zip: {name!r} {NEEDS[name]}"
    with tarfile.open("x.tar", "w") as archive:
        archive.addfile(header("cat/1.png"))
        archive.addfile(header("placeholder", pax_headers={"path": name}))
    assert refused(Path("x.tar")) == f"x.tar: {name!r} {NEEDS[name]}"


def test_names_with_nul_or_bytes_that_are_no_text_refuse_the_import() -> None:
    tar = tar_of("x.tar", {"cat/1.png": b"1"}, pax_headers={"path": "cat\0dog"})
    assert refused(tar) == "x.tar: 'cat\\x00dog' has a NUL in its name"
    path = zip_of("x.zip", {"cat_1.png": b"1"})
    path.write_bytes(path.read_bytes().replace(b"cat_1", b"cat\x001"))
    assert refused(path) == "x.zip: 'cat\\x001.png' has a NUL in its name"
    path = zip_of("y.zip", {"grün.png": b"1"})
    path.write_bytes(path.read_bytes().replace("ü".encode(), b"\xff\xfe"))
    assert refused(path).startswith("y.zip: is damaged: 'utf-8' codec can't decode byte 0xff")
    with tarfile.open("y.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(header("grün.png"))
    assert refused(Path("y.tar")) == (
        "y.tar: 'gr\\xfcn.png' needs a name in UTF-8; --encoding says what its name is in, as "
        "cp932 (Japanese), gbk (Chinese), cp949 (Korean) or cp866 (Russian)"
    )
    unpack([Path("y.tar")], Path("data/raw"), 1, "latin-1")
    assert set(files()) == {"grün.png"}


@pytest.mark.parametrize(
    ("type", "words"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device or a pipe"),
        (tarfile.BLKTYPE, "a device or a pipe"),
        (tarfile.FIFOTYPE, "a device or a pipe"),
        (b"D", "a device or a pipe"),
    ],
)
def test_links_and_devices_in_a_tar_refuse_the_import(type: bytes, words: str) -> None:
    with tarfile.open("x.tar", "w") as archive:
        archive.addfile(header("cat/1.png", b"1"), io.BytesIO(b"1"))
        archive.addfile(header("cat/2.png", type=type, linkname="1.png"))
    assert (
        refused(Path("x.tar")) == f"x.tar: 'cat/2.png' needs to be a file or a folder, is {words}"
    )


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (stat.S_IFLNK, "a link"),
        (stat.S_IFCHR, "a device or a pipe"),
        (stat.S_IFIFO, "a device or a pipe"),
    ],
)
def test_links_and_devices_in_a_zip_refuse_the_import(mode: int, words: str) -> None:
    info = zipfile.ZipInfo("cat/2.png")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("cat/1.png", b"1")
        archive.writestr(info, b"/etc/passwd")
    assert (
        refused(Path("x.zip")) == f"x.zip: 'cat/2.png' needs to be a file or a folder, is {words}"
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("first", "second"),
    [("cat/1", "cat/1"), ("cat/1", "./cat//1"), ("cat", "cat/1"), ("cat/1", "cat"), ("a", "a/b/c")],
)
def test_two_members_at_one_place_refuse_the_import(kind, first: str, second: str) -> None:  # type: ignore[no-untyped-def]
    need = "needs a place of its own: another member lies there"
    if first != second:
        assert refused(kind("x", {first: b"1", second: b"2"})) == f"x: {second!r} {need}"
    assert refused(kind("a", {first: b"1"}), kind("b", {second: b"2"})) == f"b: {second!r} {need}"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_in_one_archive_and_a_folder_over_a_file_refuse_the_import() -> None:
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("cat", b"1")
        archive.writestr("cat", b"2")
    assert (
        refused(Path("x.zip")) == "x.zip: 'cat' needs a place of its own: another member lies there"
    )
    path = zip_of("y.zip", {"cat": b"1", "cat/": b""})
    assert refused(path) == "y.zip: 'cat/' needs a place of its own: another member lies there"


def test_encrypted_and_oddly_packed_zips_are_refused() -> None:
    path = zip_of("x.zip", {"cat/1.png": b"1"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert refused(path) == "x.zip: 'cat/1.png' is encrypted; unpack the archive by hand"
    need = "needs to be stored or deflated, is packed by method"
    assert refused(zip_of("y.zip", {"a": b"1"}, zipfile.ZIP_LZMA)) == f"y.zip: 'a' {need} 14"


def test_what_is_no_archive_is_one_line() -> None:
    Path("folder").mkdir()
    Path("cat.png").write_bytes(b"\x89PNG" + bytes(600))
    Path("empty.zip").touch()
    Path("cat.tar.gz").write_bytes(gzip.compress(b"cat" * 1000))
    need = "needs to be a zip archive or a tar, plain or packed by gzip, bzip2 or xz; found"
    assert refused(Path("cat.png")) == f"cat.png: {need} another kind of file"
    empty = "an empty file: copy or download it again"
    assert refused(Path("empty.zip")) == f"empty.zip: {need} {empty}"
    assert (
        refused(Path("no.zip"))
        == "no.zip: needs to be a zip or tar archive, found nothing of that name"
    )
    found = "found a folder; copy its class folders to data/raw"
    assert refused(Path("folder")) == f"folder: needs to be a zip or tar archive, {found}"
    assert (
        refused(Path("/dev/zero"))
        == "/dev/zero: needs to be a zip or tar archive, found something else"
    )
    packed = "gzip data: unpack it first (`gunzip`)"
    assert refused(Path("cat.tar.gz")) == f"cat.tar.gz: {need} {packed}"
    assert refused(zip_of("x.zip", {})) == "x.zip: needs files to import, found none"
    assert (
        refused(zip_of("x.zip", {"cat/": b"", ".DS_Store": b""}))
        == "x.zip: needs files to import, found none "
        "(1 file of systems and editors left out, .DS_Store for one)"
    )


def test_files_in_the_folder_are_never_touched() -> None:
    Path("data/raw/cat").mkdir(parents=True)
    Path("data/raw/cat/1.png").write_bytes(b"mine")
    with pytest.raises(UserError) as error:
        unpack([zip_of("x.zip", {"a": b"1"})], Path("data/raw"), 1)
    assert (
        str(error.value)
        == "data/raw: needs to be empty for an import, found files; move them away first"
    )
    assert files() == {"cat/1.png": b"mine"}


# --- damage ---------------------------------------------------------------------------------------

NOISE = np.random.default_rng(7).bytes(200_000)
MANY = {f"cat/{number}.png": NOISE[number * 20_000 :][:20_000] for number in range(10)}


@pytest.mark.parametrize("kind", ["zip", *PACKERS])
def test_no_damaged_archive_arrives_in_part(kind: str) -> None:
    """Cut anywhere or with any byte inverted, an archive is refused or unpacked completely."""
    whole = (zip_of("x", MANY) if kind == "zip" else tar_of("x", MANY, PACKERS[kind])).read_bytes()
    random = np.random.default_rng(3)
    for place in random.integers(0, len(whole), 25).tolist():
        turned = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        for data in (whole[:place], turned):
            Path("y").write_bytes(data)
            try:
                unpack([Path("y")], Path(f"out/{place}/{len(data)}"), 1)
            except UserError as error:
                assert str(error).startswith("y: ") and "\n" not in str(error)
                assert not Path(f"out/{place}/{len(data)}").exists()
                assert not Path(f"out/{place}/.{len(data)}.tmp").exists()
                continue
            assert len(data) == len(whole), "cut, and nobody noticed"
            found = files(f"out/{place}/{len(data)}")
            if kind != "":  # a plain tar has no checksum of what it holds
                assert found == MANY
            assert len(found) == len(MANY)


def test_a_damaged_member_is_one_line() -> None:
    path = zip_of("x.zip", MANY, zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace(MANY["cat/5.png"], MANY["cat/4.png"], 1))
    assert refused(path) == "x.zip: is damaged: Bad CRC-32 for file 'cat/5.png'"
    path.write_bytes(data[:-100])
    assert refused(path) == "x.zip: is damaged: File is not a zip file"
    path = tar_of("x.tar", MANY)
    data = path.read_bytes()
    path.write_bytes(data[:30_000])
    assert refused(path) == "x.tar: is damaged: unexpected end of data"
    path.write_bytes(data[: 10 * (512 + 20_480)])
    assert (
        refused(path) == "x.tar: is damaged: empty header"
    )  # between members: its end mark is missing
    turned = bytearray(data)
    turned[3 * (512 + 20_480) + 5] ^= 1
    path.write_bytes(turned)
    assert refused(path) == "x.tar: is damaged: bad checksum"  # not the end, as tarfile has it
    packed = gzip.compress(data)
    path.write_bytes(packed[:-8] + bytes(4) + packed[-4:])
    assert refused(path).startswith("x.tar: is damaged: CRC check failed")
    path.write_bytes(packed[:-2000])
    assert (
        refused(path)
        == "x.tar: is damaged: Compressed file ended before the end-of-stream marker was reached"
    )
    for packer in (bz2, lzma):
        packed = packer.compress(data)
        path.write_bytes(packed[:1000] + bytes(50) + packed[1050:])
        assert refused(path).startswith("x.tar: is damaged: ")


def test_headers_of_a_tar_that_lie_are_refused() -> None:
    """Sizes below zero would be read for ever, and long ones held in memory."""
    lying = header("cat/1.png")
    lying.size = -1024
    back = lying.tobuf(tarfile.GNU_FORMAT)
    Path("x.tar").write_bytes(header("cat/0.png").tobuf() + back + bytes(1024))
    assert refused(Path("x.tar")) == "x.tar: is damaged: a header says -1,024 bytes"
    tar_of("y.tar", {"cat/1.png": b"1"}, pax_headers={"size": "-1024"})
    assert refused(Path("y.tar")).startswith("y.tar: is damaged: ")
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        with tarfile.open("z.tar.gz", "w:gz") as archive:
            archive.addfile(header("long", bytes(1 << 21), type=kind), io.BytesIO(bytes(1 << 21)))
        assert refused(Path("z.tar.gz")) == "z.tar.gz: is damaged: a header says 2,097,152 bytes"
    more = header("cat/1.png")
    more.size = 10**12
    Path("x.tar").write_bytes(more.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    assert refused(Path("x.tar")) == "x.tar: is damaged: unexpected end of data"
    chain = header("x", type=tarfile.XGLTYPE).tobuf() * 3000
    Path("x.tar").write_bytes(chain + bytes(1024))
    assert refused(Path("x.tar")).startswith("x.tar: is damaged: ")


# --- bounds ---------------------------------------------------------------------------------------


def test_an_honest_bomb_is_refused_before_it_is_unpacked() -> None:
    path = zip_of("x.zip", {"a": bytes(3_000_000), "b": bytes(1_000_000)})
    assert path.stat().st_size < 10_000
    need = "needs to unpack to at most 0.002 GB (--max-gb), found 4,000,000 bytes"
    assert refused(path, max_gb=0.002) == f"x.zip: {need}"
    assert import_(path, max_gb=0.004) == whole(2)


@pytest.mark.parametrize("packer", [".gz", ".bz2", ".xz"])
def test_a_bomb_is_cut_off_at_the_bound(packer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "CHUNK", 65_536)
    path = tar_of("x.tar", {"a": bytes(1_500_000), "b": bytes(50_000_000)}, PACKERS[packer])
    assert path.stat().st_size < 100_000
    assert (
        refused(path, max_gb=0.002)
        == "x.tar: needs to unpack to at most 0.002 GB (--max-gb), found more at 'b'"
    )


def test_the_bound_is_for_all_archives_together() -> None:
    first, second = (
        zip_of("a.zip", {"a": bytes(1_500_000)}),
        zip_of("b.zip", {"b": bytes(1_500_000)}),
    )
    need = "needs to unpack to at most 0.002 GB (--max-gb), found 3,000,000 bytes"
    assert refused(first, second, max_gb=0.002) == f"b.zip: {need}"


def test_a_sparse_tar_that_claims_more_than_it_holds_is_cut_off_at_the_bound() -> None:
    info = header("hole", b"1", type=tarfile.GNUTYPE_SPARSE)
    buffer = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    buffer[386:410] = b"%011o\0%011o\0" % (0, 1)  # one byte of data at 0
    buffer[483:495] = b"%011o\0" % 5_000_000_000  # and a hole up to 5 GB
    buffer[148:156] = b" " * 8
    buffer[148:156] = b"%06o\0 " % sum(buffer[:512])
    Path("x.tar").write_bytes(bytes(buffer) + b"1" + bytes(511) + bytes(1024))
    assert refused(Path("x.tar"), max_gb=0.01) == (
        "x.tar: needs to unpack to at most 0.01 GB (--max-gb), found more at 'hole'"
    )


def test_a_zip_that_claims_less_than_it_holds_is_damaged() -> None:
    path = zip_of("x.zip", {"a": bytes(1_000_000)})
    data = path.read_bytes().replace(struct.pack("<I", 1_000_000), struct.pack("<I", 1_000))
    path.write_bytes(data)
    assert refused(path) == "x.zip: is damaged: Bad CRC-32 for file 'a'"


def test_members_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    path = zip_of("x.zip", {"cat/": b"", "cat/1": b"", "cat/.DS_Store": b""})
    assert import_(path) == Unpacked(1, {"files": 1, "first": "cat/.DS_Store"})
    need = "needs to hold at most 3 files and folders, found more"
    with pytest.raises(UserError) as error:
        unpack([path, zip_of("y.zip", {"dog": b""})], Path("more/raw"), 1)
    assert str(error.value) == f"y.zip: {need}"


def test_a_disk_without_room_is_told_before_anything_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("tasks.acquire.archives.shutil.disk_usage", lambda path: usage(5_000))
    assert refused(zip_of("x.zip", {"a": bytes(6_000)})) == (
        "x.zip: needs 6,000 bytes free on the disk of data, found 5,000"
    )
    path = tar_of("x.tar", {"a": b"1"})
    assert refused(path) == "x.tar: needs 10,240 bytes free on the disk of data, found 5,000"


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan")])
def test_a_bound_that_is_none_is_refused(bound: float) -> None:
    assert (
        refused(zip_of("x.zip", {"a": b"1"}), max_gb=bound)
        == f"--max-gb: needs a number above 0, found {bound:g}"
    )


# --- all or nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, SystemExit])
def test_whatever_ends_an_import_leaves_nothing(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(items: Iterator[int], *rest: object) -> Iterator[int]:
        yield next(items)
        assert files("data/.raw.tmp") == {"cat/0.png": MANY["cat/0.png"]}
        raise error

    monkeypatch.setattr(events, "track", broken)
    with pytest.raises(error):
        unpack([zip_of("x.zip", MANY)], Path("data/raw"), 1)
    assert below("data") == []


def test_files_that_come_while_it_unpacks_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(items: Iterator[int], *rest: object) -> Iterator[int]:
        yield from items
        Path("data/raw/cat").mkdir(parents=True)
        Path("data/raw/cat/mine.png").write_bytes(b"mine")

    monkeypatch.setattr(events, "track", busy)
    with pytest.raises(UserError) as error:
        unpack([zip_of("x.zip", MANY)], Path("data/raw"), 1)
    assert (
        str(error.value)
        == "data/raw: needs to be empty for an import, found files; move them away first"
    )
    assert files("data") == {"raw/cat/mine.png": b"mine"}


def test_progress_is_in_bytes_of_the_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[int], int]] = []

    def counting(items: Iterator[int], total: int, *rest: object) -> Iterator[int]:
        steps = list(items)
        seen.append((steps, total))
        yield from steps

    monkeypatch.setattr(events, "track", counting)
    import_(
        zip_of("x.zip", MANY),
        tar_of("y.tar", {f"y/{name}": data for name, data in MANY.items()}, "w:xz"),
    )
    ((steps, total),) = seen
    assert len(steps) == 20 and min(steps) >= 0
    assert (
        0.9 * total
        < sum(steps)
        <= total
        == sum(Path(name).stat().st_size for name in ("x.zip", "y.tar"))
    )
