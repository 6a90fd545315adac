"""Read the members of a tar file whose headers are not trusted."""

import tarfile
from collections.abc import Iterator
from typing import Self

MOST_HEADER_BYTES = 1 << 20  # long names and attributes; tarfile holds them in memory
METADATA = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip


class CheckedTarInfo(tarfile.TarInfo):
    """tarfile takes a damaged header for the end of the archive; here it is an error, as is one of no sane size."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None

    def _proc_member(self, archive: tarfile.TarFile) -> Self:
        if self.size < 0 or (self.type in METADATA and self.size > MOST_HEADER_BYTES):
            raise tarfile.ReadError(f"a header says {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def checked_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of an archive that was opened with WaryTarInfo, which is then read to its end.

    Raises:
        tarfile.ReadError: where it is damaged.
    """
    reached = -1
    while (info := archive.next()) is not None:
        if info.size < 0 or archive.offset <= reached:  # would be read again and again
            raise tarfile.ReadError("a member that ends before it begins")
        reached = archive.offset
        yield info
        archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every member
    while rest := archive.fileobj.read(1 << 20):
        if rest.strip(b"\0"):  # one tar after another, say
            raise tarfile.ReadError("more follows after its end")
