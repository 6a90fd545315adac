"""Tell what a file is by its first bytes (magic numbers), where it is no image that can be decoded.

Each kind has one sentence: what it is, and what to do with it. Sources of the signatures: file(1)'s
magic database and the formats' own specifications.
"""

import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

START_BYTES = 4096  # that describe() needs

IMPORT = "`variegate import` unpacks zip and tar archives"
CONVERT = "convert it to PNG or JPEG"
UNPACK = f"unpack it first; {IMPORT}"
DEVELOP = "a camera's raw file: develop it to TIFF or JPEG (darktable-cli, rawpy)"
VIDEO = "cut it into images (`ffmpeg -i FILE frame%06d.png`)"
SLICES = "write its slices as PNG files"
ARRAYS = "write the images in it as PNG files"


class Signature(NamedTuple):
    """The bytes that a kind of file has at `offset`, and the sentence for it."""

    start: bytes
    sentence: str
    offset: int = 0


SIGNATURES = (
    # what stands in place of a file
    Signature(
        b"version https://git-lfs.github.com/spec",
        "a Git LFS pointer, not the file itself: run `git lfs pull` where it was cloned",
    ),
    Signature(
        b"/annex/objects/",
        "a git-annex pointer, not the file itself: run `git annex get .` where it was cloned",
    ),
    Signature(b"\0\5\x16\7", "a resource fork of macOS (AppleDouble): delete it"),
    # archives
    Signature(b"BZh", f"bzip2 data: {IMPORT}"),
    Signature(b"\xfd7zXZ\0", f"xz data: {IMPORT}"),
    Signature(b"7z\xbc\xaf\x27\x1c", f"7z data: {UNPACK}"),
    Signature(b"Rar!\x1a\7", f"rar data: {UNPACK}"),
    Signature(b"\x28\xb5\x2f\xfd", f"zstd data: {UNPACK}"),
    Signature(
        b"ustar",
        "a tar in a tar: `variegate import` unpacks the outer one; tars in data/raw are read",
        offset=257,
    ),
    # tables, arrays and datasets
    Signature(
        b"PAR1",
        "Parquet: move it out of data/raw; `variegate import` of it writes the images in it",
    ),
    Signature(b"ARROW1", "Arrow data: write it as Parquet, which `variegate import` takes"),
    Signature(b"\x89HDF\r\n\x1a\n", f"HDF5 data: {ARRAYS} (h5py)"),
    Signature(b"MATLAB 5.0 MAT", f"MATLAB data: {ARRAYS} (scipy.io.loadmat)"),
    Signature(b"MATLAB 7.3 MAT", f"MATLAB data: {ARRAYS} (h5py)"),
    Signature(b"\x93NUMPY", f"a NumPy array: {ARRAYS}"),
    Signature(b"\xde\xc0\xef\xbe", f"an LMDB database: {ARRAYS} (lmdb)", offset=16),
    Signature(b"SQLite format 3\0", f"an SQLite database: {ARRAYS}"),
    Signature(b"\0\0\x08\1", "labels in an idx file: they need its images, named alike, beside it"),
    # medicine and science
    Signature(b"DICM", "DICOM: convert it to PNG, which may have 16 bits (pydicom)", offset=128),
    Signature(b"n+1\0", f"NIfTI: {SLICES} (nibabel)", offset=344),
    Signature(b"n+2\0", f"NIfTI: {SLICES} (nibabel)", offset=4),
    Signature(b"NRRD000", f"NRRD: {SLICES} (pynrrd)"),
    Signature(b"SIMPLE  =", f"FITS: {ARRAYS} (astropy)"),
    # pictures that are not decoded
    Signature(b"%PDF-", "PDF: write its pages as images (`pdftoppm -png`)"),
    Signature(b"%!PS", f"PostScript: {CONVERT}"),
    Signature(b"\0\0\0\x0cJXL ", f"JPEG XL: {CONVERT} (`djxl`)"),
    Signature(b"\xff\n", f"JPEG XL: {CONVERT} (`djxl`)"),
    Signature(b"\x76\x2f\x31\1", f"OpenEXR: {CONVERT}"),
    Signature(b"#?R", f"Radiance HDR: {CONVERT}"),
    Signature(b"gimp xcf", f"a GIMP drawing: {CONVERT}"),
    Signature(b"IIU\0", DEVELOP),  # Panasonic
    Signature(b"IIR", DEVELOP),  # Olympus
    Signature(b"FUJIFILMCCD-RAW", DEVELOP),
    # films
    Signature(b"AVI ", f"a video (AVI): {VIDEO}", offset=8),
    Signature(b"\x1aE\xdf\xa3", f"a video (Matroska or WebM): {VIDEO}"),
    Signature(b"FLV\1", f"a video (Flash): {VIDEO}"),
    Signature(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", f"a video (Windows Media): {VIDEO}"),
    Signature(b"\0\0\1\xba", f"a video (MPEG): {VIDEO}"),
)
TIFF = (b"II*\0", b"MM\0*")
IMAGE_BRANDS = {  # of ISO base media files that are images
    b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
}  # fmt: skip
# Images that are text: XBM, XPM, and PPM and its kin.
TEXT_IMAGES = re.compile(rb"\s*(#define|/\* XPM|P[0-7fFy][\s#])")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def describe(start: bytes) -> str | None:
    """What a file is, and what to do with it; None where it may be an image.

    Args:
        start: its first START_BYTES, all that there are of a shorter one.
    """
    if start.startswith((b"\xff\xd8\xff", b"\x89PNG")):  # nearly all images are one of these
        return None
    if not start:
        return "an empty file: copy or download it again"
    if not start.strip(b"\0"):
        return "nothing but zeros: copy or download it again"
    for signature in SIGNATURES:
        if start.startswith(signature.start, signature.offset):
            return signature.sentence
    return next(filter(None, (detect(start) for detect in DETECTORS)), None)


# --- archives -------------------------------------------------------------------------------------


def _gzip(start: bytes) -> str | None:
    """Gzipped data, by what is packed in it."""
    if not start.startswith(b"\x1f\x8b"):
        return None
    try:
        inside = zlib.decompressobj(wbits=31).decompress(start, 512)
    except zlib.error:
        inside = b""
    if inside.startswith((b"n+1\0", b"ni1\0"), 344):
        return f"NIfTI, gzipped: {SLICES} (nibabel)"
    if inside and inside[257:262] != b"ustar":
        return "gzip data: unpack it first (`gunzip`)"
    return f"gzip data: {IMPORT}"


def _zip(start: bytes) -> str | None:
    """Zips, by the name of their first member."""
    if not start.startswith((b"PK\3\4", b"PK\5\6")):
        return None
    length = int.from_bytes(start[26:28], "little")
    first = start[30 : 30 + length]
    if first.endswith(b".npy"):
        return f"NumPy arrays (npz): {ARRAYS}"
    if first.endswith(b"data.pkl"):
        return f"a PyTorch file: {ARRAYS}"
    return f"zip data: {IMPORT}"


# --- databases and datasets -----------------------------------------------------------------------


def _pickle(start: bytes) -> str | None:
    if re.match(rb"\x80[\2-\5][\x95}\](cXK)]", start):
        return f"a Python pickle: {ARRAYS}; unpickle only what you trust"
    return None


def _arrow_stream(start: bytes) -> str | None:
    """What Hugging Face's `save_to_disk` writes."""
    length = int.from_bytes(start[4:8], "little")
    if start.startswith(b"\xff\xff\xff\xff") and 0 < length < 2**24 and length % 8 == 0:
        return "Arrow data: write it as Parquet (`to_parquet`), which `variegate import` takes"
    return None


def _tfrecord(start: bytes) -> str | None:
    """TFRecords: each begins with its length and the masked CRC-32C of that."""
    if len(start) < 12 or start[4:8] != b"\0\0\0\0":
        return None
    crc = _crc32c(start[:8])
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    if struct.pack("<I", masked) != start[8:12]:
        return None
    return f"TFRecords: {ARRAYS}, or as WebDataset shards (tensorflow, tfrecord)"


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


# --- films and cameras ----------------------------------------------------------------------------


def _iso_media(start: bytes) -> str | None:
    """Files of the ISO base media format: MP4, QuickTime, Canon's CR3; HEIC and AVIF are images."""
    if start[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return f"a video (QuickTime): {VIDEO}"
    if start[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(start[:4], "big"), len(start))
    brands = {start[8:12], *(start[at : at + 4] for at in range(16, end, 4))}
    if b"crx " in brands:
        return DEVELOP
    return None if brands & IMAGE_BRANDS else f"a video (MP4 or QuickTime): {VIDEO}"


NEW_SUBFILE_TYPE, SUB_IFDS, DNG_VERSION = 254, 330, 50706


def _raw_photo(start: bytes) -> str | None:
    """Raw photos that are TIFF files (CR2, DNG, NEF, ARW): their first image is but a thumbnail."""
    if not start.startswith(TIFF):
        return None
    if start[8:10] == b"CR":
        return DEVELOP
    order = "<" if start.startswith(b"II") else ">"
    tags: dict[int, int] = {}
    try:
        (directory,) = struct.unpack_from(f"{order}I", start, 4)
        (entries,) = struct.unpack_from(f"{order}H", start, directory)
        for number in range(entries):
            position = directory + 2 + 12 * number
            tag, _, _, value = struct.unpack_from(f"{order}HHII", start, position)
            tags[tag] = value
    except struct.error:  # beyond these bytes
        pass
    is_thumbnail = bool(tags.get(NEW_SUBFILE_TYPE, 0) & 1) and SUB_IFDS in tags
    return DEVELOP if DNG_VERSION in tags or is_thumbnail else None


# --- text -----------------------------------------------------------------------------------------


def _text(start: bytes) -> str | None:
    """Markup, annotations and other text in UTF-8."""
    if TEXT_IMAGES.match(start):
        return None
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # not just a letter that is cut
            return None
        text = start[: error.start].decode("utf-8-sig")
    if CONTROL.search(text):
        return None
    text = text.lstrip().lower()
    if re.match(r"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b", text, re.S):
        return "an HTML page, perhaps a saved error page: download the image again"
    if text.startswith("<") and re.search(r"<svg\b", text):
        return f"SVG, a drawing: {CONVERT} (`rsvg-convert`)"
    if text.startswith("<"):
        return "XML: it labels nothing; labels come from folders or a table with file_name, label"
    if re.match(r"[{\[]\s*([\"{\[\]}\d-]|$)", text):
        return "JSON: it labels nothing; labels come from folders or a table with file_name, label"
    return "text: it labels nothing; a table of labels has the columns file_name and label"


DETECTORS: tuple[Callable[[bytes], str | None], ...] = (
    _gzip, _zip, _pickle, _arrow_stream, _tfrecord, _iso_media, _raw_photo, _text,
)  # fmt: skip
