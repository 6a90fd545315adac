"""How many images a file holds: the first is taken."""

import struct
from contextlib import suppress

from PIL import Image

MOST_FRAMES = 10_000  # counted no further: a file can hold millions


def note_of_frames(image: Image.Image, data: bytes) -> str | None:
    """The note of a file with several images. A PSD file's are layers: what it shows is made of all of them."""
    if image.format == "PSD":
        return None
    count = {"GIF": _gif_frames, "TIFF": _tiff_frames}.get(image.format or "")
    frames = count(data) if count else getattr(image, "n_frames", 1)
    if frames <= 1:
        return None
    return f"first of {frames} frames" if frames <= MOST_FRAMES else f"first of over {MOST_FRAMES:,} frames"


def _gif_frames(data: bytes) -> int:
    """Pillow's count asks for minutes where a file has millions of frames."""
    frames, place = 0, 13 + _palette_bytes(data[10])
    end = len(data)
    while place < end and frames <= MOST_FRAMES:
        block = data[place]
        if block == 0x3B:  # the end
            break
        if block == 0x2C and place + 10 < end:  # an image: its place and size, a palette, the bits of a code
            frames += 1
            place += 11 + _palette_bytes(data[place + 9])
        elif block == 0x21:  # an extension and its kind
            place += 2
        else:
            place += 1
            continue
        while place < end and data[place]:
            place += 1 + data[place]
        place += 1
    return frames


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 128 else 0


def _tiff_frames(data: bytes) -> int:
    """Pillow's count takes time that grows with the square of it, and reads every tag."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count, entry, link = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")
    seen: set[int] = set()
    with suppress(struct.error):  # beyond the end
        (place,) = struct.unpack_from(link, data, 8 if big else 4)
        while place and place not in seen and len(seen) <= MOST_FRAMES:
            (entries,) = struct.unpack_from(count, data, place)
            seen.add(place)
            (place,) = struct.unpack_from(link, data, place + struct.calcsize(count) + entry * entries)
    return len(seen)
