import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tasks import images


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


PIXELS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 8, 7], [1, 2, 3], [100, 150, 200]]], np.uint8)


def test_rgb_and_grey_are_what_they_are() -> None:
    decoded = images.decode(encoded(Image.fromarray(PIXELS)))
    assert np.array_equal(decoded.pixels, PIXELS) and decoded.format == "PNG"
    grey = np.array([[0, 127], [128, 255]], np.uint8)
    assert np.array_equal(images.decode(encoded(Image.fromarray(grey))).pixels, grey)


def test_alpha_is_laid_on_white() -> None:
    rgba = np.array([[[0, 0, 0, 0], [10, 20, 30, 255]]], np.uint8)
    assert images.decode(encoded(Image.fromarray(rgba))).pixels.tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_a_palette_with_a_transparent_entry_is_laid_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putdata([0, 1])
    assert images.decode(encoded(image, transparency=0)).pixels.tolist() == [[[255, 255, 255], [4, 5, 6]]]


@pytest.mark.parametrize(("mode", "transparent"), [("L", 0), ("RGB", (0, 0, 0))])
def test_a_transparent_colour_is_laid_on_white(mode: str, transparent: object) -> None:
    decoded = images.decode(encoded(Image.new(mode, (2, 2)), transparency=transparent))
    assert (decoded.pixels == 255).all()


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    data = encoded(Image.fromarray(PIXELS), exif=exif)
    assert np.array_equal(images.decode(data).pixels, np.rot90(PIXELS, -1))


def test_sixteen_bits_become_eight() -> None:
    deep = np.array([[0, 255, 256, 65535]], np.uint16)
    assert images.decode(encoded(Image.fromarray(deep))).pixels.tolist() == [[0, 0, 1, 255]]


def test_black_and_white_and_cmyk() -> None:
    assert images.decode(encoded(Image.new("1", (2, 1), 1))).pixels.tolist() == [[255, 255]]
    cmyk = images.decode(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"))
    assert cmyk.pixels.shape == (8, 8, 3) and cmyk.pixels.min() >= 254


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "not_an_image", "no decoder knows this format"),
        (b"hello", "not_an_image", "no decoder knows this format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not_an_image", "no decoder knows this format"),
        (encoded(Image.fromarray(PIXELS))[:45], "corrupt", "OSError: "),
        (encoded(Image.new("F", (1, 1), -3.0), "TIFF"), "corrupt", "ValueError: samples from -3 to -3"),
    ],
)
def test_what_cannot_be_decoded_says_why(data: bytes, reason: str, words: str) -> None:
    with pytest.raises(images.UndecodableError) as caught:
        images.decode(data)
    assert caught.value.reason == reason
    assert str(caught.value).startswith(words)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    bomb = bytearray(encoded(Image.new("L", (1, 1))))
    bomb[16:24] = (20_000).to_bytes(4, "big") * 2  # the header claims 400 megapixels
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(images.UndecodableError) as caught:
        images.decode(bytes(bomb))
    assert (caught.value.reason, str(caught.value)) == ("too_large", "20000 x 20000 pixels, over 100,000,000")


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:, :, 0]])
def test_png_is_without_loss(pixels: np.ndarray) -> None:
    assert np.array_equal(images.decode(images.encode(pixels, "png")).pixels, pixels)


def test_jpeg_is_444_of_the_quality_asked_for() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (64, 64, 3))
    with Image.open(io.BytesIO(images.encode(np.ascontiguousarray(smooth), "jpeg", 95))) as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3
    assert len(images.encode(PIXELS, "jpeg", 95)) > len(images.encode(PIXELS, "jpeg", 20))


def test_red_stays_red() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    for kind in ("jpeg", "png", "webp"):
        decoded = images.decode(images.encode(red, kind)).pixels
        assert decoded[8, 8, 0] > 240 and decoded[8, 8, 1:].max() < 15


def test_equal_pixels_have_equal_hashes_whatever_their_file() -> None:
    hashes = [
        images.pixel_sha256(images.decode(encoded(Image.fromarray(PIXELS), kind)).pixels) for kind in ("PNG", "BMP")
    ]
    assert hashes[0] == hashes[1]
    grey = PIXELS[:, :, 0].copy()
    assert images.pixel_sha256(images.to_rgb(grey)) == images.pixel_sha256(grey)
    assert images.pixel_sha256(PIXELS) != images.pixel_sha256(PIXELS.reshape(3, 2, 3))


def test_thumbnail_keeps_the_aspect_ratio_on_white() -> None:
    small = images.thumbnail(np.zeros((2, 4), np.uint8), 8)
    assert small.shape == (8, 8, 3)
    assert (small[2:6] == 0).all() and (small[:2] == 255).all() and (small[6:] == 255).all()


DEEP = np.random.default_rng(0).integers(0, 65536, (5, 4, 3), dtype=np.uint16)


@pytest.mark.parametrize("pixels", [DEEP, DEEP[:, :, 0]], ids=["rgb", "grey"])
def test_16_bits_are_kept_where_asked_for(pixels: np.ndarray) -> None:
    data = images.encode(np.ascontiguousarray(pixels), "png")
    assert images.decode(data).bits == 16
    assert np.array_equal(images.decode(data, keep_depth=True).pixels, pixels)
    assert np.array_equal(images.decode(data).pixels, (pixels >> 8).astype(np.uint8))


def test_16_bits_of_tiff_are_kept_too() -> None:
    done, data = cv2.imencode(".tiff", DEEP[:, :, ::-1])
    assert done and np.array_equal(images.decode(data.tobytes(), keep_depth=True).pixels, DEEP)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_format_of_8_bits_refuses_16(kind: images.Format) -> None:
    with pytest.raises(ValueError, match=f"^{kind} does not take uint16 pixels$"):
        images.encode(DEEP, kind)


def test_webp_without_loss() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    assert np.array_equal(images.decode(images.encode(noise, "webp", lossless=True)).pixels, noise)
    assert not np.array_equal(images.decode(images.encode(noise, "webp", 100)).pixels, noise)
