"""Damaged files of all common formats: each is decoded or set aside, and none crashes or hangs.

Every case is decoded in a child process, under a bound on its time and memory.
"""

import io
import multiprocessing
import os
import random
import resource
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.pixels.decode import UndecodableError, decode
from tasks.pixels.encode import encode
from tests.tasks.pixels.test_decode import SWAPPED, cmyk_profile

HEIC = Path(__file__).parent / "heic"
MOST_SECONDS = 20  # for a case
MOST_BYTES = 4 << 30  # of address space, for a child
REASONS = ("not_an_image", "corrupt", "too_large")


# --- seeds ----------------------------------------------------------------------------------------


def picture() -> Image.Image:
    """48 x 40 pixels, smooth with some noise."""
    rows, columns = np.mgrid[:40, :48]
    smooth = np.stack([rows * 6, columns * 5, (rows + columns) * 2], axis=-1)
    return Image.fromarray(
        (smooth + np.random.default_rng(0).integers(0, 12, smooth.shape)).astype(np.uint8)
    )


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def camera() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "a camera", 72.0
    return exif


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def interlaced_png() -> bytes:
    """Adam7, which Pillow does not write."""
    pixels = np.asarray(picture())
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    rows = [row for y, x, dy, dx in passes for row in pixels[y::dy, x::dx]]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    header = struct.pack(">IIBBBBB", 48, 40, 8, 2, 0, 0, 1)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", content)
        + chunk(b"IEND", b"")
    )


def psd() -> bytes:
    pixels = np.asarray(picture())
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 40, 48, 8, 3)
    return header + bytes(12) + bytes(2) + pixels.transpose(2, 0, 1).tobytes()


def animated(kind: str, **options: object) -> bytes:
    frames = [picture().rotate(angle) for angle in (0, 90, 180)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)


SEEDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(picture(), "JPEG", exif=camera(), icc_profile=profile()),
    "jpeg progressive": lambda: saved(picture(), "JPEG", progressive=True),
    "jpeg cmyk": lambda: saved(picture().convert("CMYK"), "JPEG"),
    "jpeg grey": lambda: saved(picture().convert("L"), "JPEG", exif=camera()),
    "png": lambda: saved(picture(), "PNG", exif=camera(), icc_profile=profile()),
    "png 16 bits": lambda: encode(np.asarray(picture()).astype(np.uint16) * 257, "png"),
    "png palette": lambda: saved(picture().quantize(64), "PNG", transparency=3),
    "png interlaced": interlaced_png,
    "png animated": lambda: animated("PNG"),
    "gif animated": lambda: animated("GIF"),
    "webp lossy": lambda: saved(picture(), "WEBP", exif=camera(), icc_profile=profile()),
    "webp lossless": lambda: saved(picture().convert("RGBA"), "WEBP", lossless=True),
    "webp animated": lambda: animated("WEBP"),
    "tiff lzw": lambda: saved(picture(), "TIFF", compression="tiff_lzw", icc_profile=profile()),
    "tiff inks": lambda: saved(picture().convert("CMYK"), "TIFF", icc_profile=cmyk_profile()),
    "tiff colours": lambda: saved(picture().resize((6, 6)), "TIFF", icc_profile=SWAPPED),
    "tiff deflate": lambda: saved(picture().convert("L"), "TIFF", compression="tiff_adobe_deflate"),
    "tiff jpeg": lambda: saved(picture(), "TIFF", compression="jpeg"),
    "tiff pages": lambda: animated("TIFF"),
    "bmp": lambda: saved(picture(), "BMP"),
    "ppm": lambda: saved(picture(), "PPM"),
    "tga": lambda: saved(picture(), "TGA", compression="tga_rle"),
    "ico": lambda: saved(picture(), "ICO", sizes=[(16, 16), (32, 32)]),
    "icns": lambda: saved(picture().resize((64, 64)), "ICNS"),
    "jpeg 2000": lambda: saved(picture(), "JPEG2000"),
    "avif": lambda: saved(picture(), "AVIF"),
    "heic": lambda: (HEIC / "turned.heic").read_bytes(),
    "heic transparent": lambda: (HEIC / "transparent.heic").read_bytes(),
    "psd": psd,
    "qoi": lambda: saved(picture(), "QOI"),
    "dds": lambda: saved(picture(), "DDS", pixel_format="DXT5"),
    "sgi": lambda: saved(picture(), "SGI"),
    "pcx": lambda: saved(picture(), "PCX"),
}


@lru_cache
def seed_bytes(name: str) -> bytes:
    return SEEDS[name]()


# --- damage ---------------------------------------------------------------------------------------


def damaged(name: str, number: int) -> bytes:
    """Case `number` of a seed: one to three damages, half of them near the start (headers)."""
    draw = random.Random(f"{name} {number}")
    data = bytearray(seed_bytes(name))
    for _ in range(draw.randint(1, 3)):
        draw.choice((truncate, flip_bits, overwrite, swap, repeat, remove, exaggerate))(data, draw)
    return (
        with_true_sums(bytes(data))
        if name.startswith("png") and draw.random() < 0.7
        else bytes(data)
    )


def with_true_sums(png: bytes) -> bytes:
    """Make the checksums of a damaged PNG file right: else they would be all that is tested."""
    parts, place = [png[:8]], 8
    while place + 12 <= len(png):
        length = min(int.from_bytes(png[place : place + 4], "big"), len(png) - place - 12)
        content = png[place + 4 : place + 8 + length]
        parts.append(length.to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big"))
        place += 12 + length
    return b"".join(parts)


def somewhere(data: bytearray, draw: random.Random) -> int:
    return draw.randrange(max(1, min(len(data), draw.choice((128, len(data))))))


def a_piece(data: bytearray, draw: random.Random) -> slice:
    start = somewhere(data, draw)
    return slice(start, start + draw.randint(1, 64))


def truncate(data: bytearray, draw: random.Random) -> None:
    del data[somewhere(data, draw) :]


def flip_bits(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 4, 32)) if data else 0):
        data[somewhere(data, draw)] ^= 1 << draw.randrange(8)


def overwrite(data: bytearray, draw: random.Random) -> None:
    piece = a_piece(data, draw)
    length = len(data[piece])
    data[piece] = draw.choice((bytes(length), b"\xff" * length, draw.randbytes(length)))


def swap(data: bytearray, draw: random.Random) -> None:
    first, second = a_piece(data, draw), a_piece(data, draw)
    data[first], data[second] = data[second], data[first]


def repeat(data: bytearray, draw: random.Random) -> None:
    piece = a_piece(data, draw)
    data[piece] = data[piece] * draw.choice((2, 50))


def remove(data: bytearray, draw: random.Random) -> None:
    del data[a_piece(data, draw)]


def exaggerate(data: bytearray, draw: random.Random) -> None:
    """A number becomes one that no honest file has."""
    place, size = somewhere(data, draw), draw.choice((1, 2, 4))
    number = draw.choice((0, 1, 0x7F, 0xFF, 0x3000, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)) & (
        256**size - 1
    )
    data[place : place + size] = number.to_bytes(size, draw.choice(("big", "little")))


# --- children -------------------------------------------------------------------------------------


def serve(cases: Connection) -> None:
    """Decode the cases that are asked for, until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff tells of every damage
    while True:
        try:
            name, number = cases.recv()
        except EOFError:
            return
        cases.send(outcome(damaged(name, number), keep_depth=number % 2 == 1))


def outcome(data: bytes, keep_depth: bool) -> str:
    """How decoding ends, in a word, or what it should not have ended with."""
    try:
        decoded = decode(data, keep_depth)
    except UndecodableError as error:
        return error.reason
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    sound = (
        decoded.pixels.size > 0
        and decoded.pixels.ndim in (2, 3)
        and decoded.pixels.dtype in (np.uint8, np.uint16)
    )
    return "decoded" if sound else f"pixels {decoded.pixels.shape} {decoded.pixels.dtype}"


@contextmanager
def child() -> Iterator[tuple[Connection, multiprocessing.process.BaseProcess]]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        yield here, process
    finally:
        here.close()
        process.kill()
        process.join()


def outcomes_of(cases: Iterable[tuple[str, int]]) -> list[tuple[str, int, str]]:
    """Each case with its outcome. A child that dies or takes too long is replaced."""
    waiting, found = list(cases)[::-1], []
    while waiting:
        with child() as (answers, process):
            answers.send(("png", 0))
            assert answers.poll(120), "the child does not start"
            answers.recv()
            while waiting:
                name, number = waiting.pop()
                answers.send((name, number))
                if not answers.poll(MOST_SECONDS):
                    found.append((name, number, f"over {MOST_SECONDS} s"))
                    break
                try:
                    found.append((name, number, answers.recv()))
                except (EOFError, ConnectionResetError):
                    process.join(10)
                    found.append((name, number, f"the child ended with {process.exitcode}"))
                    break
    return found


def run_all(cases: list[tuple[str, int]], children: int) -> list[tuple[str, int, str]]:
    parts = [cases[start::children] for start in range(children)]
    with ThreadPoolExecutor(children) as threads:
        return [result for part in threads.map(outcomes_of, parts) for result in part]


def hold(results: list[tuple[str, int, str]]) -> None:
    bad = [result for result in results if result[2] not in ("decoded", *REASONS)]
    assert not bad, f"{len(bad)} of {len(results)}: {bad[:20]}"
    ends = [end for _, _, end in results]
    assert (
        ends.count("decoded") > len(ends) // 20 and ends.count("corrupt") > len(ends) // 5
    )  # the damage is fair


# --- tests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_are_images(name: str) -> None:
    assert decode(seed_bytes(name)).pixels.shape[2:] in ((3,), ())


def test_damaged_files_are_images_or_set_aside() -> None:
    hold(run_all([(name, number) for number in range(5) for name in SEEDS], children=1))


@pytest.mark.slow
def test_thousands_of_damaged_files_are_images_or_set_aside() -> None:
    cases = [(name, number) for number in range(5, 5 + 5_000 // len(SEEDS) + 1) for name in SEEDS]
    assert len(cases) >= 5_000
    hold(run_all(cases, children=len(os.sched_getaffinity(0))))
