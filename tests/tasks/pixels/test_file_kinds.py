"""What a file is by its first bytes: one sentence for each kind, and none for any image."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from tasks.pixels.decode import FORMATS
from tasks.pixels.file_kinds import START_BYTES, describe

NIFTI = struct.pack("<i", 348) + bytes(340) + b"n+1\0" + bytes(64)
RAW = "a camera's raw file: develop it to TIFF or JPEG (darktable-cli, rawpy)"
VIDEO = "cut it into images (`ffmpeg -i FILE frame%06d.png`)"
ARRAYS = "write the images in it as PNG files"
LABELS_NOTHING = "it labels nothing; labels come from folders or a table with file_name, label"
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12\n".encode()


def saved(write: object, *arguments: object, **options: object) -> bytes:
    """What a function writes to the file that it gets first."""
    file = io.BytesIO()
    write(file, *arguments, **options)  # type: ignore[operator]
    return file.getvalue()


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    return file.getvalue()


def tiff(*tags: tuple[int, int], order: str = "<") -> bytes:
    """A TIFF file's start, with a first directory of tags of 32 bits."""
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return start + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def arrow_stream() -> bytes:
    table = pa.table({"x": [1]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "an empty file: copy or download it again"),
        (bytes(900), "nothing but zeros: copy or download it again"),
        (LFS, "a Git LFS pointer, not the file itself: run `git lfs pull` where it was cloned"),
        (
            b"/annex/objects/MD5E-s12--0.jpg\n",
            "a git-annex pointer, not the file itself: run `git annex get .` where it was cloned",
        ),
        (zipped("a.jpg"), "zip data: `variegate import` unpacks zip and tar archives"),
        (
            gzip.compress(saved(lambda file: tarfile.open(fileobj=file, mode="w").close())),
            "gzip data: unpack it first (`gunzip`)",  # a tar of nothing has no header
        ),
        (gzip.compress(b"text"), "gzip data: unpack it first (`gunzip`)"),
        (b"\x1f\x8b damaged", "gzip data: `variegate import` unpacks zip and tar archives"),
        (
            b"Rar!\x1a\7\1\0",
            "rar data: unpack it first; `variegate import` unpacks zip and tar archives",
        ),
        (
            saved(lambda file: pq.write_table(pa.table({"x": [1]}), file)),
            "Parquet: move it out of data/raw; `variegate import` of it writes the images in it",
        ),
        (
            arrow_stream(),
            "Arrow data: write it as Parquet (`to_parquet`), which `variegate import` takes",
        ),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), f"HDF5 data: {ARRAYS} (h5py)"),
        (saved(savemat, {"x": [1]}), f"MATLAB data: {ARRAYS} (scipy.io.loadmat)"),
        (saved(np.save, np.zeros(3)), f"a NumPy array: {ARRAYS}"),
        (saved(np.savez, x=np.zeros(3)), f"NumPy arrays (npz): {ARRAYS}"),
        (zipped("model/data.pkl"), f"a PyTorch file: {ARRAYS}"),
        (
            pickle.dumps({b"data": [1]}, 2),
            f"a Python pickle: {ARRAYS}; unpickle only what you trust",
        ),
        (
            pickle.dumps([1, 2], 5),
            f"a Python pickle: {ARRAYS}; unpickle only what you trust",
        ),
        (bytes(16) + b"\xde\xc0\xef\xbe\1" + bytes(99), f"an LMDB database: {ARRAYS} (lmdb)"),
        (
            bytes(8) + bytes.fromhex("29039807"),  # an empty record: its length and its checksum
            f"TFRecords: {ARRAYS}, or as WebDataset shards (tensorflow, tfrecord)",
        ),
        (bytes(8) + bytes.fromhex("29039808"), None),  # another checksum
        (
            b"\0\0\x08\1\0\0\0\2ab",
            "labels in an idx file: they need its images, named alike, beside it",
        ),
        (
            bytes(128) + b"DICM" + bytes(99),
            "DICOM: convert it to PNG, which may have 16 bits (pydicom)",
        ),
        (NIFTI, "NIfTI: write its slices as PNG files (nibabel)"),
        (gzip.compress(NIFTI), "NIfTI, gzipped: write its slices as PNG files (nibabel)"),
        (b"%PDF-1.7\n", "PDF: write its pages as images (`pdftoppm -png`)"),
        (
            b"<?xml version='1.0'?>\n<!-- made by -->\n<svg width='1'/>",
            "SVG, a drawing: convert it to PNG or JPEG (`rsvg-convert`)",
        ),
        (b"<svg></svg>", "SVG, a drawing: convert it to PNG or JPEG (`rsvg-convert`)"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL: convert it to PNG or JPEG (`djxl`)"),
        (
            b"\n<!DOCTYPE HTML>\n<title>404</title><svg/>",
            "an HTML page, perhaps a saved error page: download the image again",
        ),
        (b"<annotation><size/></annotation>", f"XML: {LABELS_NOTHING}"),
        (b'[{"image_id": 1}]', f"JSON: {LABELS_NOTHING}"),
        (
            "[größe]\nx = 1\n".encode(),
            "text: it labels nothing; a table of labels has the columns file_name and label",
        ),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", f"a video (MP4 or QuickTime): {VIDEO}"),
        (b"\0\0\0\x14ftypisom\0\0\0\0avc1mif1", f"a video (MP4 or QuickTime): {VIDEO}"),
        (b"\0\0\0\1mdat", f"a video (QuickTime): {VIDEO}"),
        (b"RIFF\0\0\0\0AVI LIST", f"a video (AVI): {VIDEO}"),
        (b"\x1aE\xdf\xa3\1", f"a video (Matroska or WebM): {VIDEO}"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", RAW),
        (b"II*\0\x10\0\0\0CR\2\0", RAW),
        (tiff((254, 1), (50706, 0x104)), RAW),
        (tiff((254, 1), (330, 200), order=">"), RAW),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",  # some bytes hold the time
)
def test_each_kind_is_one_sentence_that_says_what_to_do(data: bytes, expected: str | None) -> None:
    assert describe(data[:START_BYTES]) == expected


def test_a_tar_in_gzip_is_known_by_what_is_packed() -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    found = describe(tar.getvalue())
    assert found == "gzip data: `variegate import` unpacks zip and tar archives"


@pytest.mark.filterwarnings("ignore:IM image format:DeprecationWarning")
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_no_image_that_can_be_decoded_is_taken_for_another_kind(name: str, mode: str) -> None:
    """Images all white, all black and of noise, in each format that Pillow writes."""
    for pixels in (0, 255, np.random.default_rng(1).integers(0, 256, (48, 48), np.uint8)):
        image = Image.fromarray(np.broadcast_to(np.uint8(pixels), (48, 48)).copy()).convert(mode)
        try:
            data = saved(lambda file: image.save(file, name))  # noqa: B023
        except (KeyError, OSError, ValueError):
            continue  # not written, or not in this mode
        assert describe(data[:START_BYTES]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"P2\n1 1\n255\n7\n",
        b"P3 # a colour\n1 1\n255\n7 7 7\n",
        b"#define x_width 8\n#define x_height 1\nstatic char x_bits[] = {0xff};\n",
        b"/* XPM */\nstatic char *x[] = {};\n",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif",
        tiff((254, 1)),
        b"\x89PNG cut",
    ],
)
def test_images_that_are_text_or_share_a_container_may_be_images(data: bytes) -> None:
    assert describe(data) is None


@given(
    st.sampled_from(
        [b"", b"II*\0", b"MM\0*\0\0\0\x08", b"PK\3\4", b"\x1f\x8b\x08", b"\0\0\0\x40ftyp", b"<"]
    ),
    st.binary(max_size=200),
)
def test_no_bytes_fail(start: bytes, rest: bytes) -> None:
    sentence = describe(start + rest)
    assert sentence is None or sentence.isprintable()


def test_a_letter_that_the_start_cuts_is_no_damage() -> None:
    text = ("x" * (START_BYTES - 1) + "é").encode()[:START_BYTES]
    assert (describe(text) or "").startswith("text: ")
    assert describe(b"caf\xe9 is Latin 1, which may be anything") is None
