"""Unpack zip and tar archives into one folder, without trusting them.

The whole import is refused where a member is a link, a device or a pipe, or has a name that may
lead out of the folder. Bytes are counted as they are written, whatever headers say. Modes, owners
and times are not taken over. Archives inside archives stay files.
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

MAX_MEMBERS = 5_000_000
MAX_NAME_BYTES = 1_000
MAX_PART_BYTES = 255  # what file systems take
MAX_FOLDERS = 50  # one inside another
CHUNK = 1 << 20
TAR_MODES = {b"\x1f\x8b": "r:gz", b"BZh": "r:bz2", b"\xfd7zXZ\x00": "r:xz"}
UNPACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
# zipfile inflates members of other methods without a bound on memory
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UTF8_NAME = 0x800  # flags of a zip's member
ENCRYPTED = 0x1
# what file managers of macOS and Windows add
JUNK = re.compile(r"(^|/)(__MACOSX(/|$)|\._[^/]*$|\.DS_Store$|Thumbs\.db$)")


@dataclass(frozen=True)
class Unpacked:
    """How many files an import unpacked, and how many it left out as JUNK."""

    files: int
    left_out: int


@dataclass(frozen=True)
class Member:
    """An archive's member. `kind`: `file`, `folder`, or a text that says what else it is."""

    archive: Path
    name: str
    kind: str
    open: Callable[[], IO[bytes]]

    def refusal(self, reason: str) -> UserError:
        """The error that names the member and why the import is refused."""
        return UserError(f"{self.archive}: {self.name!r} {reason}")

    def chunks(self) -> Iterator[bytes]:
        """The content, piece by piece."""
        with damage_as_user_error(self.archive), self.open() as stream:
            while chunk := stream.read(CHUNK):
                yield chunk


def unpack(archives: Sequence[Path], folder: Path, max_gb: float) -> Unpacked:
    """Unpack all `archives` into `folder`, which has to be empty: everything or nothing.

    Raises:
        UserError: where one is no archive, is damaged or holds a member that is refused, or
            where they unpack to more than `max_gb` (in 10^9 bytes) or than the disk has room for.
    """
    for path in archives:
        if not path.is_file():
            raise UserError(f"{path}: needs to be a zip or tar archive, found {_kind_of(path)}")
    with atomic_folder(folder, "an import") as temporary:
        unpacking = Unpacking(temporary, max_gb)
        total = sum(path.stat().st_size for path in archives)
        for _ in events.track(unpacking.unpack(archives), total, "unpacking", "byte", int):
            pass
        if not unpacking.files:
            raise UserError(f"{', '.join(map(str, archives))}: needs files to import, found none")
    return Unpacked(unpacking.files, unpacking.left_out)


class Unpacking:
    """The unpacking of archives into the empty folder `root`, with what was counted so far.

    Raises:
        UserError: where `max_gb` (in 10^9 bytes) is not above 0.
    """

    def __init__(self, root: Path, max_gb: float) -> None:
        if not max_gb > 0:
            raise UserError(f"--max-gb: needs a number above 0, found {max_gb:g}")
        self.root = root
        self.max_gb = max_gb
        self.members = self.files = self.left_out = self.written = 0

    def unpack(self, archives: Sequence[Path]) -> Iterator[int]:
        """Unpack member after member; yield how many more bytes of the archives each one took."""
        for path in archives:
            with path.open("rb") as file:
                read_members = _reader_of(path, file)
                before = 0
                for member in read_members(path, file, self.require_room):
                    self.unpack_member(member)
                    position = max(before, file.tell())
                    yield position - before
                    before = position

    def require_room(self, archive: Path, size: int) -> None:
        """Check that there is room for as many bytes as an archive says that it unpacks to.

        Raises:
            UserError: where that exceeds the bound or the disk.
        """
        if self.written + size > self.max_gb * 1e9:
            raise UserError(
                f"{archive}: needs to unpack to at most {self.max_gb:g} GB (--max-gb), "
                f"found {self.written + size:,} bytes"
            )
        free = shutil.disk_usage(self.root).free
        if size > free:
            disk = f"the disk of {self.root.parent}"
            raise UserError(f"{archive}: needs {size:,} bytes free on {disk}, found {free:,}")

    def unpack_member(self, member: Member) -> None:
        """Write a member, unless it is JUNK.

        Raises:
            UserError: where it is refused.
        """
        self.members += 1
        if self.members > MAX_MEMBERS:
            need = f"needs to hold at most {MAX_MEMBERS:,} files and folders"
            raise UserError(f"{member.archive}: {need}, found more")
        parts = _plain_parts(member)
        if member.kind not in ("file", "folder"):
            raise member.refusal(f"needs to be a file or a folder, is {member.kind}")
        if JUNK.search("/".join(parts)):
            self.left_out += member.kind == "file"
            return
        try:
            self._write(member, self.root.joinpath(*parts))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            # `root` was empty, so another member has made what is there
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
    """The parts of a member's path, checked.

    Raises:
        UserError: where it might lead out of the folder, or is one that file systems do not take.
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
        len(parts) > MAX_FOLDERS
        or max(sizes, default=0) > MAX_PART_BYTES
        or sum(sizes) > MAX_NAME_BYTES
    ):
        raise member.refusal("needs a shorter name")
    if not parts and member.kind != "folder":
        raise member.refusal("needs a name")
    return parts


# --- members of archives --------------------------------------------------------------------------

RequireRoom = Callable[[Path, int], None]
ReadMembers = Callable[[Path, IO[bytes], RequireRoom], Iterator[Member]]


def _reader_of(path: Path, file: IO[bytes]) -> ReadMembers:
    """The function that reads the members of the archive, chosen by its first bytes.

    Raises:
        UserError: where they are not an archive's.
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
        except Exception:  # damage, which reading the members reports
            return _tar_members
    if start[257:262] != b"ustar":
        try:  # tars of the oldest kind have no magic number
            tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
        except tarfile.TarError:
            need = "needs to be a zip archive or a tar, plain or packed by gzip, bzip2 or xz"
            raise UserError(f"{path}: {need}; found another kind of file") from None
    return _tar_members


def _zip_members(path: Path, file: IO[bytes], require_room: RequireRoom) -> Iterator[Member]:
    with damage_as_user_error(path), zipfile.ZipFile(file) as archive:
        require_room(path, sum(info.file_size for info in archive.infolist()))
        for info in archive.infolist():
            member = Member(path, _zip_name(info), _zip_kind(info), partial(archive.open, info))
            if info.flag_bits & ENCRYPTED:
                raise member.refusal("is encrypted; unpack the archive by hand")
            if info.compress_type not in ZIP_METHODS:
                found = f"is packed by method {info.compress_type}"
                raise member.refusal(f"needs to be stored or deflated, {found}")
            yield member


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name: in UTF-8, else in code page 437.

    The flag that says UTF-8 is not asked for: archives made by macOS lack it.
    """
    if "\0" in info.orig_filename:
        return info.orig_filename  # zipfile cuts it there
    if not info.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode()
    return info.filename


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
    if mode == stat.S_IFLNK:
        return "a link"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device or a pipe"
    return "folder" if info.is_dir() or mode == stat.S_IFDIR else "file"


def _tar_members(path: Path, file: IO[bytes], require_room: RequireRoom) -> Iterator[Member]:
    require_room(path, path.stat().st_size)  # images take about as much as a tar that packs them
    start = file.read(6)
    file.seek(0)
    mode = next((mode for magic, mode in TAR_MODES.items() if start.startswith(magic)), "r:")
    options: dict[str, Any] = {"fileobj": file, "mode": mode, "tarinfo": CheckedTarInfo}
    with damage_as_user_error(path), tarfile.open(**options) as archive:
        for info in checked_members(archive):
            yield Member(path, info.name, _tar_kind(info), partial(archive.extractfile, info))  # type: ignore[arg-type]


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    return "a link" if info.issym() or info.islnk() else "a device or a pipe"


@contextmanager
def damage_as_user_error(path: Path) -> Iterator[None]:
    """Turn whatever zipfile, tarfile, zlib and others raise on damaged bytes into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # an error of the disk has a number; those that gzip and bz2 raise have none
        if isinstance(error, OSError) and error.errno is not None:
            raise
        problem = " ".join(str(error).split()) or "it ends too early"
        raise UserError(f"{path}: is damaged: {problem}") from error


def _kind_of(path: Path) -> str:
    if path.is_dir():
        return "a folder; copy its class folders to data/raw"
    return "something else" if path.exists() else "nothing of that name"
