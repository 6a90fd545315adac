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
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from tasks.common import events
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_folder
from tasks.common.untrusted_tar import CheckedTarInfo, checked_members
from tasks.dataset import clutter
from tasks.dataset.clutter import is_clutter
from tasks.dataset.paths import RAW
from tasks.pixels import file_kinds

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
ZIP_ENCODING = "cp437"  # of names that are not UTF-8, by the format's definition
SUGGESTED = "cp932 (Japanese), gbk (Chinese), cp949 (Korean) or cp866 (Russian)"


@dataclass(frozen=True)
class Unpacked:
    """What an import did.

    `files`: how many it unpacked. `clutter`: what it left out, see clutter.count(). `guessed`: a
    line about names whose encoding nothing says; "" where there are none.
    """

    files: int
    clutter: dict[str, Any]
    guessed: str = ""


@dataclass(frozen=True)
class Member:
    """A member of an archive, or a file below a prefix of a store.

    `archive`: its path; the prefix's address. `kind`: `file`, `folder`, or a text that says what
    else it is. `guessed`: nothing says how its name is encoded.
    """

    archive: Path | str
    name: str
    kind: str
    open: Callable[[], IO[bytes]]
    guessed: bool = False

    def refusal(self, reason: str) -> UserError:
        """The error that names the member and why the import is refused."""
        hint = ""
        if self.guessed:
            hint = f"; --encoding says what its name is in, as {SUGGESTED}"
        return UserError(f"{self.archive}: {_shown(self.name)} {reason}{hint}")

    def chunks(self) -> Iterator[bytes]:
        """The content, piece by piece."""
        with damage_as_user_error(self.archive), self.open() as stream:
            while chunk := stream.read(CHUNK):
                yield chunk


def _shown(name: str) -> str:
    """A name in quotes; bytes of it that are no text become \\xNN."""
    return re.sub(r"\\udc(?=[89a-f])", r"\\x", repr(name))


def unpack(
    archives: Sequence[Path], folder: Path, max_gb: float, encoding: str | None = None
) -> Unpacked:
    """Unpack all `archives` into `folder`, which has to be empty: everything or nothing.

    Args:
        archives: zip and tar files.
        folder: becomes what they hold.
        max_gb: what they may unpack to, in 10^9 bytes.
        encoding: a codec of Python's, of names that do not say to be UTF-8; None where they are
            UTF-8 or, in zip archives, ZIP_ENCODING.

    Raises:
        UserError: where `encoding` is unknown, where one is no archive, is damaged or holds a
            member that is refused, or where they unpack to more than `max_gb` or than the disk has
            room for.
    """
    _require_encoding(encoding)
    for path in archives:
        if not path.is_file():
            raise UserError(f"{path}: needs to be a zip or tar archive, found {_kind_of(path)}")
    with atomic_folder(folder, "an import") as temporary:
        unpacking = Unpacking(temporary, max_gb, encoding)
        total = sum(path.stat().st_size for path in archives)
        for _ in events.track(unpacking.unpack(archives), total, "unpacking", "byte", int):
            pass
        left_out = clutter.count(unpacking.clutter)
        if not unpacking.files:
            found = f"none ({clutter.words(left_out)})" if unpacking.clutter else "none"
            names = ", ".join(map(str, archives))
            raise UserError(f"{names}: needs files to import, found {found}")
    return Unpacked(unpacking.files, left_out, _about_guesses(unpacking.guessed))


def _require_encoding(encoding: str | None) -> None:
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, ValueError):
        need = f"needs a codec of Python's, as {SUGGESTED}"
        raise UserError(f"--encoding: {need}; found {encoding!r}") from None


def _about_guesses(names: Sequence[str]) -> str:
    """What people need to know where names are not UTF-8 and no encoding was given."""
    if not names:
        return ""
    one = len(names) == 1
    what = f"{len(names):,} name{' that is' if one else 's that are'} not UTF-8"
    read = f"{'was' if one else 'were'} read as {ZIP_ENCODING}: {names[0]!r} for one"
    mend = f"if that is wrong, empty {RAW} and import again with --encoding {SUGGESTED}"
    return f"warning: {what} {read}; {mend}"


class Unpacking:
    """The unpacking of archives into the empty folder `root`, with what was counted so far.

    Raises:
        UserError: where `max_gb` (in 10^9 bytes) is not above 0.
    """

    def __init__(self, root: Path, max_gb: float, encoding: str | None = None) -> None:
        if not max_gb > 0:
            raise UserError(f"--max-gb: needs a number above 0, found {max_gb:g}")
        self.root = root
        self.max_gb = max_gb
        self.encoding = encoding
        self.members = self.files = self.written = 0
        self.clutter: list[str] = []  # names of files that were left out
        self.guessed: list[str] = []  # names of files in an encoding that nothing says

    def unpack(self, archives: Sequence[Path]) -> Iterator[int]:
        """Unpack member after member; yield how many more bytes of the archives each one took."""
        for path in archives:
            with path.open("rb") as file:
                read_members = _reader_of(path, file)
                before = 0
                for member in read_members(path, file, self.require_room, self.encoding):
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
        """Write a member, unless it is clutter.

        Raises:
            UserError: where it is refused.
        """
        self.members += 1
        if self.members > MAX_MEMBERS:
            need = f"needs to hold at most {MAX_MEMBERS:,} files and folders"
            raise UserError(f"{member.archive}: {need}, found more")
        parts = plain_parts(member)
        if member.kind not in ("file", "folder"):
            raise member.refusal(f"needs to be a file or a folder, is {member.kind}")
        name = "/".join(parts)
        if is_clutter(name if member.kind == "file" else f"{name}/"):
            self.clutter += [name] if member.kind == "file" else []
            return
        self.guessed += [name] if member.guessed and member.kind == "file" else []
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


def plain_parts(member: Member) -> list[str]:
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
ReadMembers = Callable[[Path, IO[bytes], RequireRoom, str | None], Iterator[Member]]


def _reader_of(path: Path, file: IO[bytes]) -> ReadMembers:
    """The function that reads the members of the archive, chosen by its first bytes.

    Raises:
        UserError: where they are not an archive's.
    """
    start = first = file.read(file_kinds.START_BYTES)
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
            tarfile.TarInfo.frombuf(start[:512], "utf-8", "surrogateescape")
        except tarfile.TarError:
            need = "needs to be a zip archive or a tar, plain or packed by gzip, bzip2 or xz"
            found = file_kinds.describe(first) or "another kind of file"
            raise UserError(f"{path}: {need}; found {found}") from None
    return _tar_members


def _zip_members(
    path: Path, file: IO[bytes], require_room: RequireRoom, encoding: str | None
) -> Iterator[Member]:
    with damage_as_user_error(path), zipfile.ZipFile(file) as archive:
        require_room(path, sum(info.file_size for info in archive.infolist()))
        if not any(_zip_name(path, info, None)[1] for info in archive.infolist()):
            encoding = None  # all are UTF-8; where some are not, those that may be are by chance
        for info in archive.infolist():
            name, guessed = _zip_name(path, info, encoding)
            member = Member(path, name, _zip_kind(info), partial(archive.open, info), guessed)
            if info.flag_bits & ENCRYPTED:
                raise member.refusal("is encrypted; unpack the archive by hand")
            if info.compress_type not in ZIP_METHODS:
                found = f"is packed by method {info.compress_type}"
                raise member.refusal(f"needs to be stored or deflated, {found}")
            yield member


def _zip_name(path: Path, info: zipfile.ZipInfo, encoding: str | None) -> tuple[str, bool]:
    """A member's name, and whether its encoding is a guess: in UTF-8, else in ZIP_ENCODING.

    The flag that says UTF-8 is not asked for: archives made by macOS lack it.
    """
    if "\0" in info.orig_filename:
        return info.orig_filename, False  # zipfile cuts it there
    if info.flag_bits & UTF8_NAME or info.filename.isascii():
        return info.filename, False
    try:
        data = info.filename.encode(ZIP_ENCODING)
    except UnicodeError:  # an extra field of the member has given it in UTF-8
        return info.filename, False
    try:
        return data.decode(encoding or "utf-8"), False
    except UnicodeError:
        if encoding is None:
            return info.filename, True
        raise _no_name_in(encoding, path, data) from None


def _no_name_in(encoding: str, path: Path, data: bytes) -> UserError:
    shown = data.decode("ascii", "backslashreplace")
    return UserError(f"{path}: '{shown}' is no name in {encoding}; --encoding: needs another codec")


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
    if mode == stat.S_IFLNK:
        return "a link"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device or a pipe"
    return "folder" if info.is_dir() or mode == stat.S_IFDIR else "file"


def _tar_members(
    path: Path, file: IO[bytes], require_room: RequireRoom, encoding: str | None
) -> Iterator[Member]:
    require_room(path, path.stat().st_size)  # images take about as much as a tar that packs them
    start = file.read(6)
    file.seek(0)
    mode = next((mode for magic, mode in TAR_MODES.items() if start.startswith(magic)), "r:")
    options: dict[str, Any] = {"fileobj": file, "mode": mode, "tarinfo": CheckedTarInfo}
    with damage_as_user_error(path), tarfile.open(**options) as archive:
        for info in checked_members(archive):
            name, guessed = _tar_name(path, info, encoding)
            yield Member(
                path,
                name,
                _tar_kind(info),
                partial(archive.extractfile, info),  # type: ignore[arg-type]
                guessed,
            )


def _tar_name(path: Path, info: tarfile.TarInfo, encoding: str | None) -> tuple[str, bool]:
    """A member's name, and whether nothing says how it is encoded: it is not in UTF-8."""
    is_utf8 = not re.search("[\ud800-\udfff]", info.name)
    if is_utf8 or encoding is None:
        return info.name, not is_utf8
    data = info.name.encode("utf-8", "surrogateescape")
    try:
        return data.decode(encoding), False
    except UnicodeError:
        raise _no_name_in(encoding, path, data) from None


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    return "a link" if info.issym() or info.islnk() else "a device or a pipe"


@contextmanager
def damage_as_user_error(path: Path | str) -> Iterator[None]:
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
