import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.pixels import colour_profiles
from tasks.pixels.colour_profiles import MAX_PROFILE_BYTES
from tasks.pixels.convert import to_rgb
from tasks.pixels.decode import UndecodableError, decode
from tasks.pixels.encode import Format, encode
from tasks.pixels.hashing import pixel_sha256
from tasks.pixels.thumbnails import thumbnail


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


PIXELS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 8, 7], [1, 2, 3], [100, 150, 200]]], np.uint8
)


def test_rgb_and_grey_are_what_they_are() -> None:
    decoded = decode(encoded(Image.fromarray(PIXELS)))
    assert np.array_equal(decoded.pixels, PIXELS) and decoded.format == "PNG"
    grey = np.array([[0, 127], [128, 255]], np.uint8)
    assert np.array_equal(decode(encoded(Image.fromarray(grey))).pixels, grey)


@pytest.mark.parametrize(
    ("samples", "deep", "shown"),
    [
        (np.array([[0, 100, 4095, 65535]], np.int32), [0, 100, 4095, 65535], [0, 0, 15, 255]),
        (np.array([[0, 255.9, 4095.5]], np.float32), [0, 255, 4095], [0, 0, 15]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255], [0, 100, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255], [0, 128, 255]),
    ],
)
def test_32_bits_are_kept_in_16_where_they_need_them(
    samples: np.ndarray, deep: list[int], shown: list[int]
) -> None:
    data = encoded(Image.fromarray(samples), "TIFF")
    decoded = decode(data, keep_depth=True)
    assert decoded.pixels.tolist() == [deep] and decoded.bits == 8 * decoded.pixels.itemsize
    assert decoded.bits == (16 if max(deep) > 255 else 8)
    assert decode(data).pixels.tolist() == [shown] and decode(data).pixels.dtype == np.uint8


def test_alpha_is_laid_on_white() -> None:
    rgba = np.array([[[0, 0, 0, 0], [10, 20, 30, 255]]], np.uint8)
    decoded = decode(encoded(Image.fromarray(rgba)))
    assert decoded.pixels.tolist() == [[[255, 255, 255], [10, 20, 30]]]
    assert decoded.note == "transparency laid on white"


def test_an_alpha_that_hides_nothing_is_not_spoken_of() -> None:
    opaque = Image.fromarray(PIXELS).convert("RGBA")
    decoded = decode(encoded(opaque))
    assert np.array_equal(decoded.pixels, PIXELS) and decoded.note is None


def test_a_palette_with_a_transparent_entry_is_laid_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putdata([0, 1])
    assert decode(encoded(image, transparency=0)).pixels.tolist() == [[[255, 255, 255], [4, 5, 6]]]


@pytest.mark.parametrize(("mode", "transparent"), [("L", 0), ("RGB", (0, 0, 0))])
def test_a_transparent_colour_is_laid_on_white(mode: str, transparent: object) -> None:
    decoded = decode(encoded(Image.new(mode, (2, 2)), transparency=transparent))
    assert (decoded.pixels == 255).all()


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    0: lambda stored: stored,  # no such orientation
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(
        stored, -1
    ),  # the camera was turned: show it a quarter turn clockwise
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode(encoded(Image.fromarray(PIXELS), kind, exif=exif, **options))
    assert np.array_equal(decoded.pixels, TURNS[orientation](PIXELS)) and decoded.note is None


def test_pixels_do_not_suffer_from_exif_data_that_cannot_be_read() -> None:
    decoded = decode(encoded(Image.fromarray(PIXELS), exif=b"Exif\0\0nonsense"))
    assert (
        np.array_equal(decoded.pixels, PIXELS) and decoded.note == "EXIF data ignored: unreadable"
    )


def test_sixteen_bits_become_eight() -> None:
    deep = np.array([[0, 255, 256, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(deep))).pixels.tolist() == [[0, 0, 1, 255]]


def test_black_and_white_and_cmyk() -> None:
    assert decode(encoded(Image.new("1", (2, 1), 1))).pixels.tolist() == [[255, 255]]
    cmyk = decode(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"))
    assert cmyk.pixels.shape == (8, 8, 3) and cmyk.pixels.min() >= 254


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "not_an_image", "no decoder knows this format"),
        (b"hello", "not_an_image", "no decoder knows this format"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "not_an_image",
            "no decoder knows this format",
        ),
        (encoded(Image.fromarray(PIXELS))[:45], "corrupt", "OSError: "),
        (
            encoded(Image.fromarray(PIXELS))[:33],
            "corrupt",
            "its header cannot be read, though it begins as PNG does",
        ),
        (
            encoded(Image.new("F", (1, 1), -3.0), "TIFF"),
            "corrupt",
            "ValueError: samples from -3 to -3",
        ),
    ],
)
def test_what_cannot_be_decoded_says_why(data: bytes, reason: str, words: str) -> None:
    with pytest.raises(UndecodableError) as caught:
        decode(data)
    assert caught.value.reason == reason
    assert str(caught.value).startswith(words)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    bomb = bytearray(encoded(Image.new("L", (1, 1))))
    bomb[16:24] = (20_000).to_bytes(4, "big") * 2  # the header claims 400 megapixels
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(UndecodableError) as caught:
        decode(bytes(bomb))
    assert (caught.value.reason, str(caught.value)) == (
        "too_large",
        "400,000,000 pixels, over 100,000,000",
    )


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:, :, 0]])
def test_png_is_without_loss(pixels: np.ndarray) -> None:
    assert np.array_equal(decode(encode(pixels, "png")).pixels, pixels)


def test_jpeg_is_444_of_the_quality_asked_for() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (64, 64, 3))
    with Image.open(io.BytesIO(encode(np.ascontiguousarray(smooth), "jpeg", 95))) as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3
    assert len(encode(PIXELS, "jpeg", 95)) > len(encode(PIXELS, "jpeg", 20))


def test_red_stays_red() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    for kind in ("jpeg", "png", "webp"):
        decoded = decode(encode(red, kind)).pixels
        assert decoded[8, 8, 0] > 240 and decoded[8, 8, 1:].max() < 15


def test_equal_pixels_have_equal_hashes_whatever_their_file() -> None:
    hashes = [
        pixel_sha256(decode(encoded(Image.fromarray(PIXELS), kind)).pixels)
        for kind in ("PNG", "BMP")
    ]
    assert hashes[0] == hashes[1]
    grey = PIXELS[:, :, 0].copy()
    assert pixel_sha256(to_rgb(grey)) == pixel_sha256(grey)
    assert pixel_sha256(PIXELS) != pixel_sha256(PIXELS.reshape(3, 2, 3))


def test_thumbnail_keeps_the_aspect_ratio_on_white() -> None:
    small = thumbnail(np.zeros((2, 4), np.uint8), 8)
    assert small.shape == (8, 8, 3)
    assert (small[2:6] == 0).all() and (small[:2] == 255).all() and (small[6:] == 255).all()


DEEP = np.random.default_rng(0).integers(0, 65536, (5, 4, 3), dtype=np.uint16)


@pytest.mark.parametrize("pixels", [DEEP, DEEP[:, :, 0]], ids=["rgb", "grey"])
def test_16_bits_are_kept_where_asked_for(pixels: np.ndarray) -> None:
    data = encode(np.ascontiguousarray(pixels), "png")
    assert decode(data).bits == 16
    assert np.array_equal(decode(data, keep_depth=True).pixels, pixels)
    assert np.array_equal(decode(data).pixels, (pixels >> 8).astype(np.uint8))


def test_16_bits_of_tiff_are_kept_too() -> None:
    done, data = cv2.imencode(".tiff", DEEP[:, :, ::-1])
    assert done and np.array_equal(decode(data.tobytes(), keep_depth=True).pixels, DEEP)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_format_of_8_bits_refuses_16(kind: Format) -> None:
    with pytest.raises(ValueError, match=f"^{kind} does not take uint16 pixels$"):
        encode(DEEP, kind)


def test_webp_without_loss() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    assert np.array_equal(decode(encode(noise, "webp", lossless=True)).pixels, noise)
    assert not np.array_equal(decode(encode(noise, "webp", 100)).pixels, noise)


# --- transparent colours of 16 bits ---------------------------------------------------------------


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """The PNG file with one more chunk, behind its header."""
    return png[:33] + png_chunk(kind, data) + png[33:]


def test_a_transparent_grey_of_16_bits_is_laid_on_white() -> None:
    grey = np.array([[0x0102, 0x0103, 0x0002]], np.uint16)
    data = with_chunk(encode(grey, "png"), b"tRNS", struct.pack(">H", 0x0102))
    deep = decode(data, keep_depth=True)
    assert deep.pixels.tolist() == [[65535, 0x0103, 0x0002]]
    assert (deep.bits, deep.note) == (16, "transparency laid on white")
    assert decode(data).pixels.tolist() == [[255, 1, 0]]


def test_a_transparent_colour_of_16_bits_is_found_by_all_its_bits() -> None:
    colours = np.array([[[0x0102] * 3, [0x0103, 0x0102, 0x0102], [0x0202] * 3]], np.uint16)
    data = with_chunk(encode(colours, "png"), b"tRNS", struct.pack(">HHH", *[0x0102] * 3))
    assert decode(data).pixels.tolist() == [[[255] * 3, [1, 1, 1], [2, 2, 2]]]


# --- colour profiles ------------------------------------------------------------------------------

RED, GREEN, BLUE = (
    (0.43607, 0.22249, 0.01392),
    (0.38515, 0.71687, 0.09708),
    (0.14307, 0.06061, 0.71410),
)  # sRGB's
WHITE = (0.96420, 1.0, 0.82491)


def fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def xyz(numbers: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + fixed(*numbers)


def profile(
    space: bytes, kind: bytes, pcs: bytes, tags: dict[bytes, bytes], name: str = "made by hand"
) -> bytes:
    """An ICC profile, version 2."""
    text = name.encode("ascii") + b"\0"
    tags = {
        **tags,
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": xyz(WHITE),
    }
    table, body, place = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", place + len(body), len(data))
        body += data
    header = (
        struct.pack(">I4sI4s4s4s", place + len(body), b"lcms", 0x02400000, kind, space, pcs)
        + bytes(12)
        + b"acsp"
    )
    return header + bytes(28) + fixed(*WHITE) + bytes(48) + table + body


def rgb_profile(
    red: tuple = RED, green: tuple = GREEN, blue: tuple = BLUE, curve: bytes = b"", **name: str
) -> bytes:
    tags = {b"rXYZ": xyz(red), b"gXYZ": xyz(green), b"bXYZ": xyz(blue)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve or srgb_curve())
    return profile(b"RGB ", b"mntr", b"XYZ ", tags, **name)


def grey_profile(curve: bytes) -> bytes:
    return profile(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": curve})


LINEAR = b"curv\0\0\0\0" + struct.pack(">I", 0)


def srgb_curve(entries: int = 1024) -> bytes:
    shown = np.linspace(0, 1, entries)
    light = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    return (
        b"curv\0\0\0\0"
        + struct.pack(">I", entries)
        + np.rint(light * 65535).astype(">u2").tobytes()
    )


def shown(light: float) -> int:
    """sRGB's sample for a share of white's light."""
    return round(
        255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)
    )


def cmyk_profile() -> bytes:
    """One in which cyan ink is red, no ink is white, and all else is black."""
    corners = [(0, 128, 128)] * 16
    corners[0b0000], corners[0b1000] = (
        (255, 128, 128),
        (138, 209, 198),
    )  # L* of 255ths, a* and b* about 128
    straight = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = (
        head + straight * 4 + bytes(value for corner in corners for value in corner) + straight * 3
    )
    return profile(b"CMYK", b"prtr", b"Lab ", {b"A2B0": table})


SWAPPED = rgb_profile(red=BLUE, blue=RED, name="Swapped; \t primaries")
SWAPPED_NOTE = "colour profile Swapped, primaries to sRGB"


def near(pixels: np.ndarray, expected: object) -> bool:
    return bool(np.abs(pixels.astype(int) - np.asarray(expected)).max() <= 1)


def test_colours_become_srgb() -> None:
    decoded = decode(encoded(Image.fromarray(PIXELS), icc_profile=SWAPPED))
    assert near(decoded.pixels, PIXELS[:, :, ::-1]) and decoded.note == SWAPPED_NOTE


def test_samples_that_are_light_become_srgb() -> None:
    colours = np.array([[[0, 0, 0], [1, 10, 51], [128, 200, 255]]], np.uint8)
    expected = [[[shown(sample / 255) for sample in pixel] for pixel in colours[0].tolist()]]
    assert expected[0][1] == [13, 56, 124]
    assert near(
        decode(encoded(Image.fromarray(colours), icc_profile=rgb_profile(curve=LINEAR))).pixels,
        expected,
    )


@pytest.mark.parametrize(
    "data",
    [
        rgb_profile(),
        rgb_profile(curve=srgb_curve(26)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ],
    ids=["by hand", "tiny", "LittleCMS"],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA"])
def test_a_profile_that_is_srgb_changes_no_pixel(data: bytes, mode: str) -> None:
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    ).convert(mode)
    decoded = decode(encoded(image, icc_profile=data))
    assert np.array_equal(decoded.pixels, decode(encoded(image)).pixels) and decoded.note is None


def test_grey_stays_grey() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    decoded = decode(encoded(Image.fromarray(grey), icc_profile=grey_profile(LINEAR)))
    assert near(decoded.pixels, [[shown(sample / 255) for sample in row] for row in grey.tolist()])
    assert decoded.note == "colour profile made by hand to sRGB"
    same = decode(encoded(Image.fromarray(grey), icc_profile=grey_profile(srgb_curve())))
    assert np.array_equal(same.pixels, grey) and same.note is None


def test_inks_become_srgb() -> None:
    image = Image.new("CMYK", (3, 1))
    image.putdata([(255, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 255)])
    decoded = decode(encoded(image, "TIFF", icc_profile=cmyk_profile()))
    assert np.abs(decoded.pixels.astype(int) - [[[255, 0, 0], [255] * 3, [0] * 3]]).max() <= 3
    assert decoded.note == "colour profile made by hand to sRGB"
    plain = decode(encoded(image, "TIFF"))
    assert plain.pixels.tolist() == [[[0, 255, 255], [255] * 3, [0] * 3]] and plain.note is None


def test_alpha_is_kept_and_laid_on_white_after_the_colours() -> None:
    rgba = np.array([[[0, 0, 0, 0], [10, 20, 30, 255], [10, 20, 30, 51]]], np.uint8)
    decoded = decode(encoded(Image.fromarray(rgba), icc_profile=SWAPPED))
    assert near(
        decoded.pixels, [[[255] * 3, [30, 20, 10], [210, 208, 206]]]
    )  # a fifth of 30, and 4 of 255
    assert decoded.note == f"{SWAPPED_NOTE}; transparency laid on white"
    half = np.array([[[51, 255], [51, 0]]], np.uint8)
    grey = decode(encoded(Image.fromarray(half), icc_profile=grey_profile(LINEAR)))
    assert near(grey.pixels, [[[124] * 3, [255] * 3]])


@pytest.mark.parametrize("transparent", [True, False])
def test_a_palette_becomes_srgb(transparent: bool) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 60])
    image.putdata([0, 1])
    options = {"transparency": 0} if transparent else {}
    decoded = decode(encoded(image, icc_profile=SWAPPED, **options))
    assert near(decoded.pixels, [[[255] * 3 if transparent else [3, 2, 1], [60, 5, 4]]])


def test_rgb_of_16_bits_with_a_profile_is_given_in_8() -> None:
    colours = np.array([[[10 << 8, 20 << 8, 30 << 8]]], np.uint16)
    deep = encode(colours, "png")
    plain = decode(
        with_chunk(deep, b"iCCP", b"n\0\0" + zlib.compress(rgb_profile())), keep_depth=True
    )
    assert (plain.bits, plain.note, plain.pixels.tolist()) == (16, None, colours.tolist())
    decoded = decode(with_chunk(deep, b"iCCP", b"n\0\0" + zlib.compress(SWAPPED)), keep_depth=True)
    assert (decoded.bits, decoded.note) == (8, SWAPPED_NOTE) and near(
        decoded.pixels, [[[30, 20, 10]]]
    )


def test_grey_of_16_bits_is_as_stored() -> None:
    grey = np.array([[300, 65535]], np.uint16)
    data = with_chunk(encode(grey, "png"), b"iCCP", b"n\0\0" + zlib.compress(grey_profile(LINEAR)))
    decoded = decode(data, keep_depth=True)
    assert decoded.pixels.tolist() == grey.tolist()
    assert decoded.note == "colour profile ignored: samples have more than 8 bits"


@pytest.mark.parametrize(
    ("mode", "data", "why"),
    [
        ("RGB", b"nonsense", "unreadable"),
        ("RGB", SWAPPED[:200], "unreadable"),
        ("RGB", bytes(MAX_PROFILE_BYTES + 1), "over 4 MiB"),
        ("RGB", grey_profile(LINEAR), "for another colour space"),
        ("RGB", cmyk_profile(), "for another colour space"),
        ("L", SWAPPED, "for another colour space"),
        ("CMYK", rgb_profile(), "for another colour space"),
        (
            "RGB",
            ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
            "for another colour space",
        ),
    ],
)
def test_a_profile_of_no_use_is_ignored_and_told(mode: str, data: bytes, why: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    decoded = decode(encoded(image, "TIFF", icc_profile=data))
    assert np.array_equal(decoded.pixels, decode(encoded(image, "TIFF")).pixels)
    assert decoded.note == f"colour profile ignored: {why}"


def test_black_and_white_has_no_profile() -> None:
    data = encoded(Image.new("1", (2, 1), 1), "TIFF", icc_profile=grey_profile(LINEAR))
    assert decode(data).pixels.tolist() == [[255, 255]] and decode(data).note is None


def test_an_image_without_a_profile_pays_nothing_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colour_profiles, "_conversion", None)
    assert np.array_equal(decode(encoded(Image.fromarray(PIXELS))).pixels, PIXELS)


# --- frames and bounds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GIF", {}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"big_tiff": True}),
    ],
)
def test_the_first_of_several_frames_is_taken_and_told(kind: str, options: dict) -> None:
    frames = [
        Image.new("RGB", (4, 3), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    ]
    decoded = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert (decoded.pixels == [255, 0, 0]).all() and decoded.note == "first of 3 frames"
    assert decode(encoded(frames[0], kind, **options)).note is None


def test_frames_are_counted_as_far_as_it_is_cheap() -> None:
    gif = encoded(Image.new("P", (1, 1)), "GIF")
    start = gif.index(b",", 13 + 3 * 2)
    data = gif[:-1] + gif[start:-1] * 1_000_000 + b";"
    assert decode(data).note == "first of over 10,000 frames"


def test_pages_that_lead_to_one_another_end() -> None:
    tiff = bytearray(encoded(Image.new("L", (2, 2)), "TIFF"))
    (first,) = struct.unpack_from("<I", tiff, 4)
    link = first + 2 + 12 * struct.unpack_from("<H", tiff, first)[0]
    struct.pack_into("<I", tiff, link, len(tiff))
    tiff += struct.pack("<HI", 0, first)
    assert decode(bytes(tiff)).note == "first of 2 frames"


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", b"")
        + png_chunk(b"IEND", b"")
    )


def test_an_image_within_the_file_is_bounded_too() -> None:
    inner = huge_png()
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner
    gif = bytearray(encoded(Image.new("P", (1, 1)), "GIF"))
    start = gif.index(b",", 13 + 3 * 2)
    gif[start + 5 : start + 9] = struct.pack("<HH", 20_000, 20_000)  # larger than its canvas
    for data in (icon, bytes(gif)):
        with pytest.raises(UndecodableError) as caught:
            decode(data)
        assert (caught.value.reason, str(caught.value)) == (
            "too_large",
            "400,000,000 pixels, over 100,000,000",
        )


def no_memory() -> cv2.error:
    error = cv2.error("Insufficient memory")
    error.code = -4
    return error


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError("out of memory error when reading image file"), no_memory()],
    ids=repr,
)
def test_a_lack_of_memory_says_nothing_of_an_image(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tasks.pixels.decode._decode", fail)
    with pytest.raises(MemoryError):
        decode(encoded(Image.fromarray(PIXELS)))
