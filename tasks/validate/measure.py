"""Looking at images: decode each once; what that tells is kept by the content of its file.

    brightness, contrast    mean and standard deviation of the grey levels (ITU-R 601), 0..255
    sharpness               variance of the Laplacian, which is small where there are no edges; of the image at half its
                            size where its shorter side has 256 pixels or more. Source: J. Pech-Pacheco et al., "Diatom
                            autofocusing in brightfield microscopy: a comparative study", ICPR 2000
    hash                    64 bits of the low frequencies, which hardly change when an image is re-encoded or scaled:
                            ImageHash's phash
    thumbnail               32 x 32 pixels in RGB, to compare images that have nearly equal hashes

All but the hash are integer arithmetic up to the last division, so they are equal on every machine.
"""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import imagehash
import numpy as np
import pandas as pd
import PIL
import pyarrow as pa
from PIL import Image

from tasks.common import events, fact_cache, workers
from tasks.common.errors import UserError
from tasks.dataset import image_bytes
from tasks.pixels import hashing
from tasks.pixels.convert import to_8_bits, to_rgb
from tasks.pixels.decode import DECODING, Decoded, UndecodableError, decode
from tasks.validate import isolation

MEASURES_VERSION = "2"  # raise it where other facts are found in the same bytes
VERSION = f"{MEASURES_VERSION} {DECODING}; Pillow {PIL.__version__}, OpenCV {cv2.__version__}, {imagehash.__version__}"
IMAGES_PER_TASK = 64
KEYS_AT_ONCE = 4096
THUMBNAIL = 32  # pixels a side
HALVED_FROM = 256  # pixels, the shorter side
MOST_DEATHS = 1000  # of workers: each takes a file with it that is then set aside

cv2.setNumThreads(0)  # one process per core is what runs in parallel here


class ImageLocation(NamedTuple):
    """Where an image's bytes lie (see sources.read_row()), and what they hash to."""

    path: str
    offset: float | None
    length: int
    sha256: str


class ImageFacts(NamedTuple):
    """What is learned of an image; of one that cannot be decoded only why."""

    reason: str | None = None
    detail: str | None = None
    pixel_sha256: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    bits: int | None = None
    brightness: float | None = None
    contrast: float | None = None
    sharpness: float | None = None
    hash: str | None = None  # 16 hex digits


FACTS = pa.schema(
    {
        "sha256": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),
        "pixel_sha256": pa.string(),
        "format": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "channels": pa.int8(),
        "bits": pa.int8(),
        "brightness": pa.float32(),
        "contrast": pa.float32(),
        "sharpness": pa.float32(),
        "hash": pa.string(),
    }
)


class Measured(NamedTuple):
    """One image's facts and its thumbnail, as bytes."""

    sha256: str
    facts: ImageFacts
    thumbnail: bytes


def measure_all(rows: pd.DataFrame) -> pd.DataFrame:
    """The facts of every image, a row each, indexed by the SHA-256 of its bytes. What is remembered is not decoded.

    Args:
        rows: of the ingested manifest.

    Raises:
        UserError: where a file is no longer what ingest has read.
    """
    parts = [FACTS.empty_table()]
    with (
        fact_cache.FactCache("images", VERSION) as known,
        fact_cache.FactCache("thumbnails", VERSION) as thumbnails,
    ):
        first = rows.drop_duplicates("sha256")
        unknown = []
        for start in range(0, len(first), KEYS_AT_ONCE):
            some = first.iloc[start : start + KEYS_AT_ONCE]
            remembered = known.get(bytes.fromhex(sha256) for sha256 in some["sha256"])
            parts.append(
                as_table(
                    (key.hex(), ImageFacts(*json.loads(value))) for key, value in remembered.items()
                )
            )
            unknown.append(
                some[[bytes.fromhex(sha256) not in remembered for sha256 in some["sha256"]]]
            )
        for seen in measure_rows(pd.concat(unknown) if unknown else first, "decoding"):
            parts.append(as_table((one.sha256, one.facts) for one in seen))
            lasting = [one for one in seen if one.facts.reason != "unreadable"]
            known.put(
                (bytes.fromhex(one.sha256), json.dumps(one.facts).encode()) for one in lasting
            )
            thumbnails.put(
                (bytes.fromhex(one.sha256), one.thumbnail) for one in lasting if one.thumbnail
            )
    return pa.concat_tables(parts).to_pandas().set_index("sha256")


def as_table(facts: Iterable[tuple[str, ImageFacts]]) -> pa.Table:
    """Facts by their SHA-256 in columns: a tenth of the memory that the tuples take."""
    columns = list(zip(*((sha256, *own) for sha256, own in facts), strict=True))
    return pa.table(columns, FACTS) if columns else FACTS.empty_table()


def measure_rows(rows: pd.DataFrame, what: str) -> Iterator[list[Measured]]:
    """Look at the images of a manifest's rows, in parts, by worker processes."""
    starts = range(0, len(rows), IMAGES_PER_TASK)
    parts = (locations_of(rows.iloc[start : start + IMAGES_PER_TASK]) for start in starts)
    looked = workers.map_ordered(
        measure_images, parts, preload="tasks.validate.measure", most_deaths=MOST_DEATHS
    )
    yield from events.track(looked, len(rows), what, "image", units_in=len)
    if len(rows):
        isolation.clear()


def locations_of(rows: pd.DataFrame) -> list[ImageLocation]:
    """Where the images of a manifest's rows lie."""
    located = image_bytes.locate(rows)[list(ImageLocation._fields)]
    return [ImageLocation(*place) for place in located.itertuples(index=False)]


def measure_images(places: list[ImageLocation]) -> list[Measured]:
    """Look at each image in turn. One that has ended a worker before is set aside."""
    deaths = isolation.deaths()
    return [_look_at_one(place, isolation.verdict(place.sha256, deaths)) for place in places]


def _look_at_one(place: ImageLocation, verdict: str | None) -> Measured:
    if verdict:
        return _set_aside(place, "corrupt", verdict)
    try:
        data = image_bytes.read_row(place)
        if hashing.sha256(data) != place.sha256:
            raise UserError(f"{place.path}: changed while it was read; run again")
        with isolation.watched(place.sha256):
            decoded = decode(
                data, keep_depth=True
            )  # what differs in the lower bits alone is no duplicate
        return measure_pixels(place.sha256, decoded)
    except FileNotFoundError:  # ingest has read it
        raise UserError(f"{place.path}: gone since it was read; run again") from None
    except OSError as error:
        return _set_aside(place, "unreadable", error.strerror)
    except UndecodableError as error:
        return _set_aside(place, error.reason, str(error))


def _set_aside(place: ImageLocation, reason: str, detail: str | None) -> Measured:
    return Measured(place.sha256, ImageFacts(reason, detail), b"")


def measure_pixels(sha256: str, decoded: Decoded) -> Measured:
    """The facts of an image that could be decoded."""
    pixels = decoded.pixels
    small = to_rgb(to_8_bits(pixels))
    if min(small.shape[:2]) >= HALVED_FROM:
        small = cv2.resize(
            small[: small.shape[0] // 2 * 2, : small.shape[1] // 2 * 2],
            None,
            None,
            0.5,
            0.5,
            cv2.INTER_AREA,
        )
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    mean, deviation = cv2.meanStdDev(grey)
    _, edges = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    thumbnail = Image.fromarray(small).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    facts = ImageFacts(
        detail=decoded.note,
        pixel_sha256=hashing.pixel_sha256(pixels),
        format=decoded.format,
        width=pixels.shape[1],
        height=pixels.shape[0],
        channels=1 if pixels.ndim == 2 else 3,
        bits=decoded.bits,
        brightness=round(float(mean[0, 0]), 2),
        contrast=round(float(deviation[0, 0]), 2),
        sharpness=round(float(edges[0, 0] ** 2), 1),
        hash=np.packbits(imagehash.phash(thumbnail).hash).tobytes().hex(),
    )
    return Measured(sha256, facts, np.asarray(thumbnail).tobytes())
