"""Read the members of a tar file whose headers are not trusted."""

import tarfile
from collections.abc import Iterator
from typing import Self

MAX_HEADER_BYTES = 1 << 20  # of long names and attributes; tarfile holds them in memory
METADATA = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class CheckedTarInfo(tarfile.TarInfo):
    """A tar's header that is checked: damage and impossible sizes are errors.

    tarfile itself takes a damaged header for the end of the archive.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None

    def _proc_member(self, archive: tarfile.TarFile) -> Self:
        if self.size < 0 or (self.type in METADATA and self.size > MAX_HEADER_BYTES):
            raise tarfile.ReadError(f"a header says {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def checked_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of an archive that was opened with `tarinfo=CheckedTarInfo`.

    Raises:
        tarfile.ReadError: where it is damaged, or where other data follow its end.
    """
    reached = -1
    while (info := archive.next()) is not None:
        if info.size < 0 or archive.offset <= reached:  # else the same bytes would be read for ever
            raise tarfile.ReadError("a member that ends before it begins")
        reached = archive.offset
        yield info
        archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every member
    while rest := archive.fileobj.read(1 << 20):
        if rest.strip(b"\0"):  # one tar after another, say
            raise tarfile.ReadError("more follows after its end")
