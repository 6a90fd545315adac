import imagehash
import numpy as np
from PIL import Image

from tasks.validate.related import symmetries
from tests.tasks.validate.related.test_near_duplicates import measured, photo

MOVES = Image.Transpose
ALL = dict(
    zip(
        (symmetries.IDENTITY, *symmetries.OTHERS),
        (
            None,
            MOVES.FLIP_LEFT_RIGHT,
            MOVES.FLIP_TOP_BOTTOM,
            MOVES.TRANSPOSE,
            MOVES.TRANSVERSE,
            MOVES.ROTATE_180,
            MOVES.ROTATE_90,
        ),
        strict=True,
    )
)


def moved(picture: Image.Image, move: Image.Transpose | None) -> Image.Image:
    return picture if move is None else picture.transpose(move)


def test_a_symmetry_moves_pixels_as_its_name_says() -> None:
    picture = photo(0, (40, 30))
    for symmetry, move in ALL.items():
        found = symmetry.apply(np.asarray(picture)[None])[0]
        assert (found == np.asarray(moved(picture, move))).all(), move


def test_the_hashes_are_those_of_the_pictures_moved() -> None:
    """From one cosine transform, bit for bit what ImageHash makes of the moved thumbnail."""
    pictures = [photo(number) for number in range(20)]
    images = [measured(picture, "x") for picture in pictures]
    pixels = np.stack([np.frombuffer(image.thumbnail, np.uint8) for image in images])
    frequencies = symmetries.low_frequencies(pixels)
    for symmetry, move in ALL.items():
        hashes = symmetries.hash_pictures(frequencies, symmetry)
        for pixel, found in zip(pixels, hashes.tolist(), strict=True):
            thumbnail = moved(Image.fromarray(pixel.reshape(32, 32, 3)), move)
            assert found == int(str(imagehash.phash(thumbnail)), 16)
    as_they_are = symmetries.hash_pictures(frequencies, symmetries.IDENTITY).tolist()
    assert as_they_are == [int(image.facts["perceptual_hash"], 16) for image in images]


def test_grey_is_rounded_as_pillow_rounds_it() -> None:
    """The first coefficient of a cosine transform is 4 times the sum of all grey levels."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    # a half, which is rounded up, and what comes just below it
    pixels[0, :2, 0] = [(0, 52, 184), (0, 62, 229)]
    grey = [np.asarray(Image.fromarray(picture).convert("L"), float) for picture in pixels]
    found = symmetries.low_frequencies(pixels.reshape(3, -1))
    assert found.shape == (3, 8, 8)
    wanted = [4 * picture.sum() for picture in grey]
    assert np.allclose(found[:, 0, 0], wanted, rtol=0, atol=0.1)
