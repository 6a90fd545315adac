"""Metadata is not pixels: an image whose text, profile or EXIF data are broken is read without."""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tasks.pixels import metadata
from tasks.pixels.colour_profiles import MAX_PROFILE_BYTES
from tasks.pixels.decode import UndecodableError, decode
from tests.tasks.pixels.test_decode import (
    SWAPPED,
    SWAPPED_NOTE,
    near,
    png_chunk,
    rgb_profile,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
IGNORED = "metadata ignored: damaged or too large"


def saved(kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(PIXELS).save(data, kind, **options)
    return data.getvalue()


def exif(orientation: int = 6) -> Image.Exif:
    made = Image.Exif()
    made[0x0112], made[0x010F], made[0x011A] = orientation, "a camera", 72.0
    return made


def zipped(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk of a kind that holds compressed content under the name `a`."""
    head = {b"iTXt": b"a\0\1\0\0\0"}.get(kind, b"a\0\0")
    return png_chunk(kind, head + zlib.compress(content))


def wrong_sum(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def with_room(profile: bytes, size: int) -> bytes:
    """The profile with zeros at its end."""
    return struct.pack(">I", size) + profile[4:] + bytes(size - len(profile))


# --- PNG ------------------------------------------------------------------------------------------

LARGE = 1_200_000
PNG_CASES: dict[str, tuple[bytes, str | None]] = {
    "a large text": (zipped(b"zTXt", b"A" * LARGE), IGNORED),
    "a large international text": (zipped(b"iTXt", b"A" * LARGE), IGNORED),
    "many texts": (zipped(b"zTXt", b"A" * 1_000_000) * 70, IGNORED),
    "a text with a wrong sum": (wrong_sum(png_chunk(b"tEXt", b"a\0b")), IGNORED),
    "a resolution cut short": (png_chunk(b"pHYs", b"\0"), IGNORED),
    "a bomb of a text": (zipped(b"zTXt", bytes(1 << 25)), IGNORED),
    "a large profile": (zipped(b"iCCP", with_room(rgb_profile(), LARGE)), None),
    "a profile that is no zlib": (
        png_chunk(b"iCCP", b"a\0\0nonsense"),
        "colour profile ignored: unreadable",
    ),
    "a profile with a wrong sum": (
        wrong_sum(zipped(b"iCCP", SWAPPED)),
        "colour profile ignored: unreadable",
    ),
    "a large profile that is none": (
        zipped(b"iCCP", b"A" * LARGE),
        "colour profile ignored: unreadable",
    ),
    "a bomb of a profile": (
        zipped(b"iCCP", bytes(1 << 25)),
        "colour profile ignored: over 4 MiB",
    ),
    "EXIF data with a wrong sum": (
        wrong_sum(png_chunk(b"eXIf", exif().tobytes()[6:])),
        "EXIF data ignored: unreadable",
    ),
}


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("case", PNG_CASES)
def test_png_is_read_without_broken_metadata(case: str, place: str) -> None:
    chunks, note = PNG_CASES[case]
    plain = saved("PNG")
    where = 33 if place == "before" else len(plain) - 12  # the header, or the end
    if place == "after" and chunks[4:8] in (b"iCCP", b"eXIf"):
        pytest.skip("stands before the pixels")
    decoded = decode(plain[:where] + chunks + plain[where:])
    assert np.array_equal(decoded.pixels, PIXELS)
    # Pillow ends at a broken chunk behind the pixels, as if nothing came after them
    assert decoded.note in ((note,) if place == "before" else (note, None))


def test_what_is_sound_beside_a_broken_text_is_used() -> None:
    """Orientation, a transparent colour, and a profile of 3 MiB, more than Pillow takes."""
    plain = saved("PNG", exif=exif(3), transparency=tuple(PIXELS[0, 0].tolist()))
    profile = zipped(b"iCCP", with_room(SWAPPED, 3 << 20))
    decoded = decode(plain[:33] + profile + PNG_CASES["a large text"][0] + plain[33:])
    expected = np.rot90(PIXELS[:, :, ::-1], 2).copy()
    expected[-1, -1] = 255
    assert near(decoded.pixels, expected)
    assert decoded.note == f"{IGNORED}; {SWAPPED_NOTE}; transparency laid on white"


def test_16_bits_are_kept_beside_a_broken_text() -> None:
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    data = io.BytesIO()
    Image.fromarray(deep).save(data, "PNG")
    broken = data.getvalue()[:33] + PNG_CASES["a large text"][0] + data.getvalue()[33:]
    assert np.array_equal(decode(broken, keep_depth=True).pixels, deep)


def test_broken_pixels_are_still_told_in_the_words_of_the_first_try() -> None:
    plain = saved("PNG")
    broken = plain[:33] + PNG_CASES["a large text"][0] + plain[33:60]
    with pytest.raises(UndecodableError) as caught:
        decode(broken)
    assert (caught.value.reason, str(caught.value)) == (
        "corrupt",
        "ValueError: Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK",
    )


def test_no_more_of_a_profile_is_inflated_than_the_bound() -> None:
    data = saved("PNG")
    pruned = metadata.without_metadata(data[:33] + zipped(b"iCCP", bytes(1 << 25)) + data[33:])
    assert pruned is not None and pruned.data == data
    assert pruned.profile == bytes(MAX_PROFILE_BYTES + 1)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "AVIF"])
def test_of_files_without_metadata_nothing_is_left_out(kind: str) -> None:
    assert metadata.without_metadata(saved(kind)) is None or kind == "TIFF"
    assert metadata.without_metadata(b"\x89PNG\r\n\x1a\n") is None
    assert metadata.without_metadata(b"II*\0\x08\0\0\0") is None
    assert metadata.without_metadata(b"II+\0\x08\0\0\0" + b"\xff" * 8) is None


# --- all formats ----------------------------------------------------------------------------------


def png_places(data: bytes) -> Iterator[range]:
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] not in (b"IHDR", b"IDAT", b"IEND"):
            yield range(at + 8, at + 12 + length)
        at += 12 + length


def tiff_places(data: bytes) -> Iterator[range]:
    """Type, count and value of each tag that does not say where or what the pixels are."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, at)
        if tag not in metadata.TIFF_TAGS or tag == 34675:
            yield range(at + 2, at + 12)


def jpeg_places(data: bytes) -> Iterator[range]:
    at = 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        if data[at + 1] in (0xE1, 0xE2, 0xED, 0xFE):
            yield range(at + 4, at + 2 + length)
        at += 2 + length


def webp_places(data: bytes) -> Iterator[range]:
    at = 12
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        if data[at : at + 4] in (b"EXIF", b"ICCP", b"XMP "):
            yield range(at + 8, at + 8 + length)
        at += 8 + length + length % 2


def avif_places(data: bytes) -> Iterator[range]:
    """The profile and the head of the EXIF data: the encoder takes the orientation out of them."""
    for part in (SWAPPED, exif().tobytes()[6:14]):
        yield range(data.index(part), data.index(part) + len(part))


def rich_png() -> bytes:
    texts = PngInfo()
    texts.add_text("a", "b" * 50)
    texts.add_text("z", "c" * 500, zip=True)
    texts.add_itxt("i", "d" * 100, "en", "t", zip=True)
    return saved("PNG", exif=exif(), icc_profile=SWAPPED, pnginfo=texts, dpi=(72, 72))


def photoshop_jpeg() -> bytes:
    data = saved("JPEG", exif=exif(), icc_profile=SWAPPED, comment=b"a comment")
    blocks = b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\4abcd" * 2
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(blocks) + 2) + blocks + data[2:]


TIFF_OPTIONS = {"icc_profile": SWAPPED, "description": "abc" * 9, "dpi": (72, 72)}
RICH: dict[str, tuple[Callable[[], bytes], Callable[[bytes], Iterator[range]]]] = {
    "png": (rich_png, png_places),
    "jpeg": (photoshop_jpeg, jpeg_places),
    "mpo": (
        lambda: saved("MPO", save_all=True, append_images=[Image.fromarray(PIXELS)], exif=exif()),
        jpeg_places,
    ),
    "webp": (
        lambda: saved("WEBP", lossless=True, exif=exif(), icc_profile=SWAPPED, xmp=b"<x>" * 9),
        webp_places,
    ),
    "avif": (lambda: saved("AVIF", exif=exif(), icc_profile=SWAPPED), avif_places),
    "tiff": (lambda: saved("TIFF", exif=exif(), **TIFF_OPTIONS), tiff_places),
    "tiff deflate": (
        lambda: saved("TIFF", exif=exif(), compression="tiff_adobe_deflate", **TIFF_OPTIONS),
        tiff_places,
    ),
}


@pytest.mark.parametrize("name", RICH)
def test_damage_in_metadata_alone_sets_no_image_aside(name: str) -> None:
    """Colours may then be those before the profile, and the image may lie; no pixel is lost."""
    make, find = RICH[name]
    data = make()
    places = list(find(data))
    unturned = {(9, 14, 3), (14, 9, 3)}
    for number in range(60):
        draw = random.Random(f"{name} {number}")
        broken = bytearray(data)
        for _ in range(draw.choice((1, 2, 20))):
            broken[draw.choice(draw.choice(places))] = draw.choice((0, 255, draw.randrange(256)))
        assert decode(bytes(broken)).pixels.shape in unturned, number


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
def test_of_a_tiff_file_only_tags_go(big: bool) -> None:
    data = saved("TIFF", big_tiff=big, exif=exif(), icc_profile=SWAPPED, description="a" * 9)
    pruned = metadata.without_metadata(data)
    assert pruned is not None and len(pruned.data) == len(data)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(pruned.data)) as after:
        gone = set(before.tag_v2) - set(after.tag_v2)
        assert {270, 271, 282} <= gone and not gone & metadata.TIFF_TAGS
    assert np.array_equal(decode(pruned.data).pixels, decode(data).pixels)


@pytest.mark.parametrize(
    ("kind", "content"), [(0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe\0"), (0xE0, b"JFIF\0\1")]
)
@pytest.mark.parametrize("place", [2, 20])  # before and after the first segment
def test_a_jpeg_with_a_segment_cut_short_is_read_without_it(
    kind: int, content: bytes, place: int
) -> None:
    sound = saved("JPEG", exif=exif())
    segment = bytes([0xFF, kind]) + (len(content) + 2).to_bytes(2) + content
    decoded = decode(sound[:place] + segment + sound[place:])
    assert np.array_equal(decoded.pixels, decode(sound).pixels)  # turned as EXIF says
    assert decoded.note == IGNORED
