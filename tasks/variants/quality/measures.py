"""Measure what augmentation did to an image: what of its source is lost, clipped or blurred.

Each measure holds a variant against its source, so that a dark or smooth source makes no dark or
smooth variant suspicious. Sums are of whole numbers, so they are the same on every processor.
`MEASURES` in tasks/dataset/columns.py says what each one means.
"""

import math
from functools import cached_property

import cv2
import numpy as np

from tasks.dataset.columns import MEASURES
from tasks.pixels.convert import to_8_bits
from tasks.variants.fused import geometry as geometries
from tasks.variants.fused.geometry import Geometry, Size
from tasks.variants.quality.similarity import Cells, Thumbnails, cells_within, similarity, sums

DECIMALS = 4
DETAIL_CELLS = 128  # a side, at most
NEARLY_ALL = 0.95  # of a source: its sharpness is that of all of it
LEAST_SIDE = 4  # pixels; an image is not halved below
SMOOTHING = 0.6  # pixels; of a good interpolation at half the size, against aliasing
CENTRE = 128  # pixels a side of the part of a source that is enlarged
MOST_ENLARGED = 3  # doublings
PSNR_ONE_IN = 16  # variants

MEASURED = [name for name in MEASURES if name != "encoding_psnr"]  # of the pixels themselves


class Baseline:
    """The pixels of a source, and what is measured of them once, at its first use.

    Attributes:
        pixels: what the policy gets: uint8 or uint16, (height, width) or (height, width, 3).
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self._by_scale: dict[int, Detail] = {}

    @cached_property
    def grey(self) -> np.ndarray:
        """See grey_levels()."""
        return grey_levels(self.pixels)

    @cached_property
    def black(self) -> float:
        """See share_of_black()."""
        return share_of_black(self.pixels)

    @cached_property
    def white(self) -> float:
        """See share_of_white()."""
        return share_of_white(self.pixels)

    @cached_property
    def contrast(self) -> float:
        """The standard deviation of its grey levels."""
        return math.sqrt(variance(self.grey))

    def sharpness_at(self, scale: float, polygon: np.ndarray | None = None) -> float:
        """Its sharpness once it is scaled, interpolated between powers of two.

        Args:
            scale: of its sides.
            polygon: the part of it that counts; None for all of it.
        """
        doublings = round(math.log2(scale), DECIMALS)  # a turn's scale is 1 but for its last bits
        doublings = min(max(doublings, -float(self._most_halved)), MOST_ENLARGED)
        lower = math.floor(doublings)
        weight = doublings - lower
        below = self._at(lower)
        found = below.sharpness
        if weight and found:
            found = found ** (1 - weight) * self._at(lower + 1).sharpness ** weight
        return found if polygon is None else found * below.share_in(polygon, self.grey.shape)

    @cached_property
    def _most_halved(self) -> int:
        """How often it can be halved."""
        return max(int(math.log2(min(self.pixels.shape[:2]) / LEAST_SIDE)), 0)

    def _at(self, doublings: int) -> "Detail":
        """Its detail at a scale of 2**doublings."""
        if doublings not in self._by_scale:
            found = Detail(self._grey_at(min(doublings, 0)))
            if doublings > 0:  # what its middle loses when it is enlarged, all of it loses
                middle = cut_middle(self.grey)
                before, after = sharpness(middle), sharpness(enlarged(middle, 2**doublings))
                found.sharpness *= after / before if before else 0.0
            self._by_scale[doublings] = found
        return self._by_scale[doublings]

    def _grey_at(self, doublings: int) -> np.ndarray:
        """Its grey levels as a good interpolation makes them smaller."""
        if doublings == 0:
            return self.grey
        if doublings == -1:
            return halved(cv2.GaussianBlur(self.grey, (0, 0), SMOOTHING))
        return halved(self._at(doublings + 1).grey)

    @cached_property
    def thumbnails(self) -> Thumbnails:
        """Its thumbnails."""
        return Thumbnails(self.grey)


class Measures:
    """What is measured of one variant, each at its first use, rounded; None where it is unknown.

    Args:
        pixels: of the variant, before it is encoded.
        geometry: where they come from.
        source: the variant's source.
    """

    def __init__(self, pixels: np.ndarray, geometry: Geometry, source: Baseline) -> None:
        self._pixels = pixels
        self._geometry = geometry
        self._source = source

    def all(self) -> dict[str, float | None]:
        """Every measure of MEASURED, by name."""
        return {name: getattr(self, name) for name in MEASURED}

    @cached_property
    def _grey(self) -> np.ndarray:
        return grey_levels(self._pixels)

    @cached_property
    def _shown(self) -> np.ndarray | None:
        """The polygon of the source that the variant shows; None where it is unknown."""
        return geometries.shown(self._geometry)

    @cached_property
    def _scale(self) -> float:
        return geometries.scale(self._geometry, self._shown)

    @cached_property
    def border(self) -> float | None:
        return rounded(geometries.border(self._geometry))

    @cached_property
    def kept(self) -> float | None:
        height, width = self._geometry.source
        shown = self._shown
        return None if shown is None else rounded(geometries.area(shown) / (height * width))

    @cached_property
    def clipped_low(self) -> float | None:
        return rounded(max(share_of_black(self._pixels) - self._source.black, 0.0))

    @cached_property
    def clipped_high(self) -> float | None:
        return rounded(max(share_of_white(self._pixels) - self._source.white, 0.0))

    @cached_property
    def sharpness(self) -> float | None:
        part = None if self.kept is None or self.kept >= NEARLY_ALL else self._shown
        expected = self._source.sharpness_at(self._scale, part)
        return rounded(sharpness(self._grey) / expected if expected else None)

    @cached_property
    def contrast(self) -> float | None:
        before = self._source.contrast
        return rounded(math.sqrt(variance(self._grey)) / before if before else None)

    @cached_property
    def similarity(self) -> float | None:
        return rounded(similarity(self._grey, self._geometry, self._scale, self._source.thumbnails))


def rounded(value: float | None) -> float | None:
    """As the ledger has it: 0.0 for -0.0, which would be another value in its file."""
    return None if value is None else round(value, DECIMALS) + 0.0


# --- levels -----------------------------------------------------------------------------------


def grey_levels(pixels: np.ndarray) -> np.ndarray:
    """The grey levels of an image (ITU-R 601), uint8 (height, width)."""
    pixels = to_8_bits(pixels)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels


def share_of_black(pixels: np.ndarray) -> float:
    """The share of the samples that are 0."""
    return 1 - cv2.countNonZero(_plane(pixels)) / pixels.size


def share_of_white(pixels: np.ndarray) -> float:
    """The share of the samples that are as high as their type allows."""
    plane = _plane(pixels)
    return 1 - cv2.countNonZero(plane + plane.dtype.type(1)) / pixels.size  # it wraps to 0


def _plane(pixels: np.ndarray) -> np.ndarray:
    """All samples as one channel, a row of the image in each row: OpenCV is slow on thin images."""
    return pixels.reshape(len(pixels), -1)


def variance(numbers: np.ndarray) -> float:
    """The variance of whole numbers."""
    count, (total, squares) = numbers.size, sums(numbers)
    return (count * squares - total * total) / count**2


# --- sharpness --------------------------------------------------------------------------------


def sharpness(grey: np.ndarray) -> float:
    """The variance of the Laplacian: what is sharp has much of it."""
    return variance(cv2.Laplacian(grey, cv2.CV_16S))


class Detail:
    """An image's sharpness, and where in the image it lies."""

    def __init__(self, grey: np.ndarray) -> None:
        self.grey = grey
        self.edges = cv2.Laplacian(grey, cv2.CV_16S)
        self.sharpness = variance(self.edges)

    @cached_property
    def cells(self) -> "Cells":
        """Means of the squares of the Laplacian; edges beyond 255 count as such."""
        edges = cv2.convertScaleAbs(self.edges)
        return Cells(cv2.multiply(edges, edges, dtype=cv2.CV_16U), DETAIL_CELLS)

    def share_in(self, polygon: np.ndarray, size: Size) -> float:
        """How sharp the part of the image within a polygon is, 1 for as sharp as all of it.

        Args:
            polygon: float64 (n, 2), in an image of this picture at another scale.
            size: of that image, in pixels.
        """
        cells = self.cells
        height, width = (side / own for side, own in zip(size, self.grey.shape, strict=True))
        step = cells.step[0] * height, cells.step[1] * width
        inside = cells_within(polygon, step, cells.means.shape)
        of_all, of_part = cv2.mean(cells.means)[0], cv2.mean(cells.means, mask=inside)[0]
        return of_part / of_all if of_all else 0.0


def halved(grey: np.ndarray) -> np.ndarray:
    """An image at half its size: means of four pixels each."""
    height, width = (side // 2 for side in grey.shape)
    whole = grey[: 2 * height, : 2 * width]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def cut_middle(grey: np.ndarray) -> np.ndarray:
    """The middle of an image, CENTRE pixels a side at most."""
    top, left = (max(side - CENTRE, 0) // 2 for side in grey.shape)
    return grey[top : top + CENTRE, left : left + CENTRE]


def enlarged(grey: np.ndarray, times: int) -> np.ndarray:
    """An image enlarged by linear interpolation."""
    height, width = grey.shape
    size = (width * times, height * times)
    return cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR_EXACT)


# --- encoding ---------------------------------------------------------------------------------


def encoding_psnr(pixels: np.ndarray, data: bytes) -> float | None:
    """The PSNR in dB of an encoded image; None where the encoding loses nothing."""
    colour = cv2.IMREAD_COLOR_RGB if pixels.ndim == 3 else cv2.IMREAD_GRAYSCALE
    stored = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), colour))
    error = round(cv2.norm(_plane(stored), _plane(pixels), cv2.NORM_L2SQR))
    return rounded(10 * math.log10(255**2 * pixels.size / error)) if error else None
