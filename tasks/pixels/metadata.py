"""Leave out a file's metadata, where it is what keeps a decoder from the pixels.

A decoder refuses a whole PNG file for a text of 2 MiB or for a wrong checksum in it, a TIFF file
for a tag of an impossible type, an AVIF file for EXIF data that it cannot read.
"""

import re
import struct
import zlib
from typing import NamedTuple

from tasks.pixels.colour_profiles import MAX_PROFILE_BYTES, PROFILE_IGNORED

IGNORED = "metadata ignored: damaged or too large"
EXIF_IGNORED = "EXIF data ignored: unreadable"

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that a decoder may skip but that decide what is shown: transparency and animation.
PNG_SHOWN = (b"tRNS", b"acTL", b"fcTL", b"fdAT")
# TIFF's tags that say where the pixels are and what they mean, orientation and profile included
TIFF_TAGS = frozenset((
    254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 301, 317, 320,
    322, 323, 324, 325, 332, 333, 334, 336, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518,
    519, 520, 521, 529, 530, 531, 532, 34675,
))  # fmt: skip
# In AVIF's list of items: one of the type Exif, after its version, flags, number and protection.
AVIF_EXIF = re.compile(rb"(infe[\x02\x03].{3}.{2,4}\0\0)Exif", re.DOTALL)


class Pruned(NamedTuple):
    """A file without metadata that may be broken.

    `data`: its bytes; `note`: what a user should know of it, None where nothing was lost;
    `profile`: the colour profile, where one can be read but no longer is in the file.
    """

    data: bytes
    note: str | None
    profile: bytes | None = None


def without_metadata(data: bytes) -> Pruned | None:
    """The file without what is not needed to show it; None where nothing can be left out.

    Decoders of other formats read pixels whatever the metadata are like.
    """
    if data.startswith(PNG_SIGNATURE):
        pruned = _prune_png(data)
    elif data.startswith(b"\xff\xd8\xff"):
        pruned = _prune_jpeg(data)
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        pruned = _prune_tiff(data)
    elif data[4:8] == b"ftyp":
        pruned = Pruned(AVIF_EXIF.sub(rb"\1free", data), EXIF_IGNORED)
    else:
        return None
    return pruned if pruned.data != data else None


# --- PNG ------------------------------------------------------------------------------------------


def _prune_png(data: bytes) -> Pruned:
    """All critical chunks, those of PNG_SHOWN, and EXIF data that is as it was written."""
    kept, notes, profile = [PNG_SIGNATURE], set(), None
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunk = data[position : position + 12 + length]
        position += len(chunk)
        kind, sound = chunk[4:8], _has_true_sum(chunk)
        if kind[:1].isupper() or kind in PNG_SHOWN or (kind == b"eXIf" and sound):
            kept.append(chunk)
        elif kind == b"iCCP" and sound:
            profile = _inflate_profile(chunk[8:-4])
        else:
            notes.add({b"iCCP": PROFILE_IGNORED, b"eXIf": EXIF_IGNORED}.get(kind, IGNORED))
    note = "; ".join(sorted(notes)) or None
    return Pruned(b"".join([*kept, data[position:]]), note, profile)


def _has_true_sum(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])


def _inflate_profile(content: bytes) -> bytes:
    """The profile of an iCCP chunk; of one that is too large a little more than the bound."""
    _, _, packed = content.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return content  # which nobody can read as a profile either


# --- JPEG -----------------------------------------------------------------------------------------


def _prune_jpeg(data: bytes) -> Pruned:
    """The file up to its pixels without application data and comments, but for JFIF and EXIF.

    Adobe's, which says how colours are stored, stays where it is whole.
    """
    kept, position, has_jfif = [data[:2]], 2, False
    while position + 4 <= len(data) and data[position] == 0xFF:
        kind, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4])
        segment = data[position : position + 2 + length]
        if kind == 0xDA or length < 2:  # the pixels, or what is no segment
            break
        position += 2 + length
        content = segment[4:]
        is_jfif = kind == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14
        is_exif = kind == 0xE1 and content.startswith(b"Exif\0\0")
        is_adobe = kind == 0xEE and content.startswith(b"Adobe") and len(content) >= 12
        is_data = kind not in (*range(0xE0, 0xF0), 0xFE)
        if is_data or is_exif or is_adobe or (is_jfif and not has_jfif):
            kept.append(segment)
        has_jfif = has_jfif or is_jfif
    return Pruned(b"".join([*kept, data[position:]]), IGNORED)


# --- TIFF -----------------------------------------------------------------------------------------


class TiffLayout(NamedTuple):
    """The numbers of a TIFF file's directories, as formats of struct."""

    position: str  # of a directory
    entries: str  # how many a directory has
    entry_bytes: int
    first: int  # where the position of the first directory stands


def tiff_layout(data: bytes) -> TiffLayout:
    """The layout of a TIFF or BigTIFF file, by its first four bytes."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")  # numbers of 8 bytes
    if is_big:
        return TiffLayout(f"{order}Q", f"{order}Q", 20, 8)
    return TiffLayout(f"{order}I", f"{order}H", 12, 4)


def _prune_tiff(data: bytes) -> Pruned:
    """The file with TIFF_TAGS alone in its first directory; nothing in it moves but its entries."""
    layout = tiff_layout(data)
    try:
        (start,) = struct.unpack_from(layout.position, data, layout.first)
        (count,) = struct.unpack_from(layout.entries, data, start)
    except (struct.error, OverflowError):  # beyond the end
        return Pruned(data, IGNORED)
    first = start + struct.calcsize(layout.entries)
    end = first + count * layout.entry_bytes
    if end > len(data):
        return Pruned(data, IGNORED)
    entries = (data[at : at + layout.entry_bytes] for at in range(first, end, layout.entry_bytes))
    tag = f"{layout.entries[0]}H"
    kept = [entry for entry in entries if struct.unpack_from(tag, entry)[0] in TIFF_TAGS]
    next_directory = data[end : end + struct.calcsize(layout.position)]
    directory = struct.pack(layout.entries, len(kept)) + b"".join(kept) + next_directory
    return Pruned(data[:start] + directory + data[start + len(directory) :], IGNORED)
