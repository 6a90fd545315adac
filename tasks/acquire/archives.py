"""Archives: zip and tar files, unpacked together into one folder. Nothing that they say is trusted.

Members are files and folders with plain relative names, else the whole import is refused. Bytes are counted as they are
written, whatever headers say. Modes, owners and times are not taken over; archives in archives stay files.
"""

import bz2
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from tasks.common import events
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_folder
from tasks.common.untrusted_tar import CheckedTarInfo, checked_members

MOST_MEMBERS = 5_000_000
MOST_NAME_BYTES = 1_000
MOST_PART_BYTES = 255  # what file systems take
MOST_FOLDERS = 50  # one in another
CHUNK = 1 << 20
TAR_MODES = {b"\x1f\x8b": "r:gz", b"BZh": "r:bz2", b"\xfd7zXZ\x00": "r:xz"}
ZIP_METHODS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)  # zipfile inflates others without a bound on memory
UNPACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
UTF8_NAME = 0x800  # flags of a zip's member
ENCRYPTED = 0x1
JUNK = re.compile(r"(^|/)(__MACOSX(/|$)|\._[^/]*$|\.DS_Store$|Thumbs\.db$)")


@dataclass(frozen=True)
class Unpacked:
    """What an import did, in files."""

    files: int
    left_out: int


@dataclass(frozen=True)
class Member:
    """An archive's member: `kind` is `file`, `folder`, or in words what else it is."""

    archive: Path
    name: str
    kind: str
    open: Callable[[], IO[bytes]]

    def refusal(self, reason: str) -> UserError:
        return UserError(f"{self.archive}: {self.name!r} {reason}")

    def chunks(self) -> Iterator[bytes]:
        with _telling_damage(self.archive), self.open() as stream:
            while chunk := stream.read(CHUNK):
                yield chunk


def unpack(archives: Sequence[Path], folder: Path, max_gb: float) -> Unpacked:
    """Unpack all `archives` into `folder`, which has to be empty: everything or nothing.

    Raises:
        UserError: for what is no archive, is damaged, holds what has no place in a folder of images, or unpacks to more
            than `max_gb` or than the disk takes.
    """
    if not max_gb > 0:
        raise UserError(f"--max-gb: needs a number above 0, found {max_gb:g}")
    for path in archives:
        if not path.is_file():
            raise UserError(f"{path}: needs to be a zip or tar archive, found {_kind_of(path)}")
    with atomic_folder(folder, "an import") as beside:
        unpacking = _Unpacking(beside, max_gb)
        total = sum(path.stat().st_size for path in archives)
        for _ in events.track(unpacking.steps(archives), total, "unpacking", "byte", int):
            pass
        if not unpacking.files:
            raise UserError(f"{', '.join(map(str, archives))}: needs files to import, found none")
    return Unpacked(unpacking.files, unpacking.left_out)


class _Unpacking:
    """Archives on their way into the empty folder `root`."""

    def __init__(self, root: Path, max_gb: float) -> None:
        self.root = root
        self.max_gb = max_gb
        self.members = self.files = self.left_out = self.written = 0

    def steps(self, archives: Sequence[Path]) -> Iterator[int]:
        """Unpack, member after member; yield how many bytes of the archives each one took."""
        for path in archives:
            with path.open("rb") as file:
                members, reached = _opener(path, file)(path, file, self.expect), 0
                for member in members:
                    self.take(member)
                    here = max(reached, file.tell())
                    yield here - reached
                    reached = here

    def expect(self, archive: Path, size: int) -> None:
        """Raises UserError where an archive says itself that it takes more than there is room for."""
        if self.written + size > self.max_gb * 1e9:
            raise UserError(
                f"{archive}: needs to unpack to at most {self.max_gb:g} GB (--max-gb), "
                f"found {self.written + size:,} bytes"
            )
        free = shutil.disk_usage(self.root).free
        if size > free:
            raise UserError(
                f"{archive}: needs {size:,} bytes free on the disk of {self.root.parent}, found {free:,}"
            )

    def take(self, member: Member) -> None:
        """Write a member; leave out what file managers of macOS and Windows add."""
        self.members += 1
        if self.members > MOST_MEMBERS:
            raise UserError(
                f"{member.archive}: needs to hold at most {MOST_MEMBERS:,} files and folders, found more"
            )
        parts = _plain_parts(member)
        if member.kind not in ("file", "folder"):
            raise member.refusal(f"needs to be a file or a folder, is {member.kind}")
        if JUNK.search("/".join(parts)):
            self.left_out += member.kind == "file"
            return
        try:
            self._write(member, self.root.joinpath(*parts))
        except (
            FileExistsError,
            NotADirectoryError,
            IsADirectoryError,
        ):  # `root` was empty: another member made it
            raise member.refusal("needs a place of its own: another member lies there") from None

    def _write(self, member: Member, path: Path) -> None:
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in member.chunks():
                self.written += len(chunk)
                if self.written > self.max_gb * 1e9:
                    need = f"needs to unpack to at most {self.max_gb:g} GB (--max-gb)"
                    raise UserError(f"{member.archive}: {need}, found more at {member.name!r}")
                file.write(chunk)
        self.files += 1


def _plain_parts(member: Member) -> list[str]:
    """The folders and the name of a member.

    Raises:
        UserError: where they might lead out of the folder, or no file system takes them.
    """
    name = member.name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    sizes = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
    if "\0" in name:
        raise member.refusal("has a NUL in its name")
    if name.startswith("/"):
        raise member.refusal("needs a relative name")
    if ".." in parts:
        raise member.refusal("leads out of its folder")
    if "\\" in name or re.match("[A-Za-z]:", name):
        raise member.refusal("needs a name without backslashes and drive letters")
    if re.search("[\ud800-\udfff]", name):
        raise member.refusal("needs a name in UTF-8")
    if (
        len(parts) > MOST_FOLDERS
        or max(sizes, default=0) > MOST_PART_BYTES
        or sum(sizes) > MOST_NAME_BYTES
    ):
        raise member.refusal("needs a shorter name")
    if not parts and member.kind != "folder":
        raise member.refusal("needs a name")
    return parts


# --- what archives hold ---------------------------------------------------------------------------

Expect = Callable[[Path, int], None]


def _opener(path: Path, file: IO[bytes]) -> Callable[[Path, IO[bytes], Expect], Iterator[Member]]:
    """What reads the archive, by its first bytes.

    Raises:
        UserError: where they are no archive's.
    """
    start = file.read(512)
    file.seek(0)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_members
    unpack = next((unpack for magic, unpack in UNPACKERS.items() if start.startswith(magic)), None)
    if unpack:
        try:
            with unpack(path, "rb") as packed:
                start = packed.read(512)
        except Exception:  # damage is told later, in its own words
            return _tar_members
    if start[257:262] != b"ustar":
        try:
            tarfile.TarInfo.frombuf(
                start, "utf-8", "surrogateescape"
            )  # from before they had a mark of their own
        except tarfile.TarError:
            need = "needs to be a zip archive or a tar, plain or packed by gzip, bzip2 or xz"
            raise UserError(f"{path}: {need}; found another kind of file") from None
    return _tar_members


def _zip_members(path: Path, file: IO[bytes], expect: Expect) -> Iterator[Member]:
    with _telling_damage(path), zipfile.ZipFile(file) as archive:
        expect(path, sum(info.file_size for info in archive.infolist()))
        for info in archive.infolist():
            member = Member(path, _zip_name(info), _zip_kind(info), partial(archive.open, info))
            if info.flag_bits & ENCRYPTED:
                raise member.refusal("is encrypted; unpack the archive by hand")
            if info.compress_type not in ZIP_METHODS:
                raise member.refusal(
                    f"needs to be stored or deflated, is packed by method {info.compress_type}"
                )
            yield member


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name: UTF-8 where it is, marked or not, as macOS leaves out the mark; else of the old code page."""
    if "\0" in info.orig_filename:
        return info.orig_filename  # zipfile cuts it there
    if not info.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode()
    return info.filename


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(
        info.external_attr >> 16
    )  # 0 where the archive was made elsewhere than on Unix
    if mode == stat.S_IFLNK:
        return "a link"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device or a pipe"
    return "folder" if info.is_dir() or mode == stat.S_IFDIR else "file"


def _tar_members(path: Path, file: IO[bytes], expect: Expect) -> Iterator[Member]:
    expect(path, path.stat().st_size)  # images in a packed tar take about as much as it does
    start = file.read(6)
    file.seek(0)
    mode = next((mode for magic, mode in TAR_MODES.items() if start.startswith(magic)), "r:")
    with (
        _telling_damage(path),
        tarfile.open(fileobj=file, mode=mode, tarinfo=CheckedTarInfo) as archive,
    ):  # type: ignore[call-overload]
        for info in checked_members(archive):
            yield Member(path, info.name, _tar_kind(info), partial(archive.extractfile, info))


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    return "a link" if info.issym() or info.islnk() else "a device or a pipe"


@contextmanager
def _telling_damage(path: Path) -> Iterator[None]:
    """Raises UserError for whatever zipfile, tarfile and what they stand on raise on bytes that are no archive's."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (
            isinstance(error, OSError) and error.errno is not None
        ):  # of the disk; gzip and bz2 raise some without
            raise
        words = " ".join(str(error).split()) or "it ends too early"
        raise UserError(f"{path}: is damaged: {words}") from error


def _kind_of(path: Path) -> str:
    if path.is_dir():
        return "a folder; copy its class folders to data/raw"
    return "something else" if path.exists() else "nothing of that name"
