"""Decode each image once; compute its measures and hashes, cached by the SHA-256 of its bytes.

    lowest, highest         smallest and largest sample, in the depth that the file has
    brightness, contrast    mean and standard deviation of the grey levels (ITU-R 601), 0..255
    sharpness               variance of the Laplacian, which is small where there are no edges; of
                            the image at half its size if its shorter side has 256 pixels or more.
                            Source: J. Pech-Pacheco et al., "Diatom autofocusing in brightfield
                            microscopy: a comparative study", ICPR 2000
    perceptual_hash         64 bits of the low frequencies, which hardly change when an image is
                            re-encoded or scaled: ImageHash's phash
    thumbnail               32 x 32 pixels in RGB, to compare images that have close hashes

Hash and thumbnail of 16-bit images are of their samples stretched to the whole range.

All but the hash are integer arithmetic up to the last division, so they are equal on every machine.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import imagehash
import numpy as np
import pandas as pd
import pi_heif
import PIL
import pyarrow as pa
from PIL import Image

from tasks.common import events, fact_cache
from tasks.common.errors import OF_THE_DISK, UserError
from tasks.dataset import dvc_remote, image_bytes
from tasks.dataset.columns import MEASURED_COLUMNS
from tasks.pixels import hashing
from tasks.pixels.convert import to_8_bits, to_rgb
from tasks.pixels.decode import DECODING, Decoded, UndecodableError, decode
from tasks.pixels.preprocess import stretched_levels
from tasks.validate import isolation
from tasks.workers import cluster
from tasks.workers.ordered import map_ordered

FACTS = pa.schema(
    [
        ("sha256", pa.string()),  # of the file's bytes
        ("reason", pa.string()),  # why it cannot be decoded, else null
        ("detail", pa.string()),  # the decoder's own words
        ("pixel_sha256", pa.string()),
        ("pixel_xxh3", pa.string()),
        *MEASURED_COLUMNS,
        ("perceptual_hash", pa.string()),  # 16 hex digits
    ]
)
FACT_NAMES = FACTS.names[1:]  # of what is found by decoding
Facts = dict[str, Any]  # by FACT_NAMES; what is lacking is null

MEASURES_VERSION = "4"  # raise it where other facts are found in the same bytes
LIBRARIES = (
    f"Pillow {PIL.__version__}, OpenCV {cv2.__version__}, {imagehash.__version__}, "
    f"libheif {pi_heif.libheif_version()}"
)
# other facts, or facts of other libraries, are not taken from the cache
VERSION = f"{MEASURES_VERSION} {','.join(FACT_NAMES)} {DECODING}; {LIBRARIES}"

IMAGES_PER_TASK = 64
KEYS_AT_ONCE = 4096
THUMBNAIL = 32  # pixels a side
HALVED_FROM = 256  # pixels, the shorter side
MOST_DEATHS = 1000  # of workers: an image that ends one twice is set aside

cv2.setNumThreads(0)  # one process per core is what runs in parallel here


class ImageLocation(NamedTuple):
    """Where an image's bytes lie (see image_bytes.read_row()), and their SHA-256."""

    path: str
    offset: float | None
    length: int
    sha256: str


class Measured(NamedTuple):
    """One image's facts and its thumbnail: uint8 (32, 32, 3) as bytes, none if undecodable."""

    sha256: str
    facts: Facts
    thumbnail: bytes


def measure_all(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns FACT_NAMES, a row for each distinct file content, indexed by its SHA-256.

    Only images whose facts are not in the fact cache are decoded.

    Args:
        rows: of the ingested manifest.

    Raises:
        UserError: where a file is no longer what ingest has read.
    """
    distinct = rows.drop_duplicates("sha256")
    with (
        fact_cache.FactCache("images", VERSION) as facts,
        fact_cache.FactCache("thumbnails", VERSION) as thumbnails,
    ):
        cached = read_cached(distinct["sha256"], facts)
        new = distinct[~distinct["sha256"].isin(cached["sha256"].to_pandas())]
        tables = [cached]
        for batch in measure_rows(new, "decoding"):
            tables.append(as_table((image.sha256, image.facts) for image in batch))
            write_cache(batch, facts, thumbnails)
    return pa.concat_tables(tables).to_pandas().set_index("sha256")


def read_cached(sha256: pd.Series, cache: fact_cache.FactCache) -> pa.Table:
    """Those of the facts of images that the cache has."""
    tables = [FACTS.empty_table()]
    for start in range(0, len(sha256), KEYS_AT_ONCE):
        keys = map(bytes.fromhex, sha256.iloc[start : start + KEYS_AT_ONCE])
        tables.append(
            as_table((key.hex(), _loads(value)) for key, value in cache.get(keys).items())
        )
    return pa.concat_tables(tables)


def write_cache(
    batch: list[Measured], facts: fact_cache.FactCache, thumbnails: fact_cache.FactCache
) -> None:
    """Keep the facts and thumbnails of images, but for those that may be readable next time."""
    lasting = [image for image in batch if image.facts.get("reason") != "unreadable"]
    facts.put((bytes.fromhex(image.sha256), _dumps(image.facts)) for image in lasting)
    thumbnails.put(
        (bytes.fromhex(image.sha256), image.thumbnail) for image in lasting if image.thumbnail
    )


def _dumps(facts: Facts) -> bytes:
    return json.dumps([facts.get(name) for name in FACT_NAMES]).encode()


def _loads(value: bytes) -> Facts:
    return dict(zip(FACT_NAMES, json.loads(value), strict=True))


def as_table(facts: Iterable[tuple[str, Facts]]) -> pa.Table:
    """Facts by their SHA-256 in columns: a tenth of the memory that the dictionaries take."""
    return pa.Table.from_pylist([{"sha256": sha256, **found} for sha256, found in facts], FACTS)


def measure_rows(rows: pd.DataFrame, what: str) -> Iterator[list[Measured]]:
    """Measure the images of a manifest's rows in worker processes; in order, in batches.

    Args:
        rows: of the ingested or the validated manifest.
        what: is done, in words, for the line that shows progress.
    """
    if cluster.is_apart():
        dvc_remote.require_listed(rows)
    starts = range(0, len(rows), IMAGES_PER_TASK)
    tasks = (locations_of(rows.iloc[start : start + IMAGES_PER_TASK]) for start in starts)
    batches = map_ordered(
        measure_images,
        tasks,
        preload="tasks.validate.measure",
        most_deaths=MOST_DEATHS,
        on_cluster=True,
    )
    yield from events.track(batches, len(rows), what, "image", len, cluster.note)
    if len(rows):
        isolation.clear_crashes()


def locations_of(rows: pd.DataFrame) -> list[ImageLocation]:
    """Where the images of a manifest's rows lie."""
    located = image_bytes.locate_images(rows)[list(ImageLocation._fields)]
    return [ImageLocation(*location) for location in located.itertuples(index=False)]


def measure_images(locations: list[ImageLocation]) -> list[Measured]:
    """Measure each image in turn, but for those at which decoders have crashed or hung."""
    crashes = isolation.read_crashes()
    return [
        measure_image(location, isolation.reason_to_quarantine(location.sha256, crashes))
        for location in locations
    ]


def measure_image(location: ImageLocation, verdict: str | None) -> Measured:
    """Read, decode and measure one image.

    Args:
        location: of its bytes.
        verdict: why it must not be decoded, or None.

    Raises:
        UserError: where its file is no longer what ingest has read.
    """
    if verdict:
        return _undecodable(location, "corrupt", verdict)
    try:
        data = image_bytes.read_checked(location, "changed while it was read; run again")
        with isolation.isolated(location.sha256):
            # in full depth: images that differ in the lower bits alone are no duplicates
            decoded = decode(data, keep_depth=True)
        return measure_pixels(location.sha256, decoded)
    except FileNotFoundError:  # ingest has read it
        raise UserError(f"{location.path}: gone since it was read; run again") from None
    except OSError as error:
        if error.errno in OF_THE_DISK:
            raise  # of the private cache: no fault of the image
        return _undecodable(location, "unreadable", error.strerror)
    except UndecodableError as error:
        return _undecodable(location, error.reason, str(error))


def _undecodable(location: ImageLocation, reason: str, detail: str | None) -> Measured:
    return Measured(location.sha256, {"reason": reason, "detail": detail}, b"")


def measure_pixels(sha256: str, decoded: Decoded) -> Measured:
    """The facts of an image that could be decoded."""
    pixels = decoded.pixels
    small = _halve_if_large(to_rgb(to_8_bits(pixels)))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    mean, deviation = cv2.meanStdDev(grey)
    _, edges = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    lowest, highest = int(pixels.min()), int(pixels.max())
    if pixels.dtype == np.uint16:  # the upper 8 bits of a 12-bit detector's image show nothing
        stretched = stretched_levels(lowest, max(highest, lowest + 1))[pixels]
        small = _halve_if_large(to_rgb(to_8_bits(stretched)))
    thumbnail = Image.fromarray(small).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    facts = {
        "detail": decoded.note,
        "pixel_sha256": hashing.pixel_sha256(pixels),
        "pixel_xxh3": hashing.to_hex(hashing.fast_pixel_hash(pixels)),
        "format": decoded.format,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "channels": 1 if pixels.ndim == 2 else 3,
        "grey": hashing.is_grey(pixels),
        "bits": decoded.bits,
        "lowest": lowest,
        "highest": highest,
        "brightness": round(float(mean[0, 0]), 2),
        "contrast": round(float(deviation[0, 0]), 2),
        "sharpness": round(float(edges[0, 0] ** 2), 1),
        "perceptual_hash": np.packbits(imagehash.phash(thumbnail).hash).tobytes().hex(),
    }
    return Measured(sha256, facts, np.asarray(thumbnail).tobytes())


def _halve_if_large(pixels: np.ndarray) -> np.ndarray:
    """Half the size where the shorter side has HALVED_FROM pixels or more; uint8 (h, w, 3)."""
    height, width = pixels.shape[:2]
    if min(height, width) < HALVED_FROM:
        return pixels
    even = pixels[: height // 2 * 2, : width // 2 * 2]
    return cv2.resize(even, None, None, 0.5, 0.5, cv2.INTER_AREA)
