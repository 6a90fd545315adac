"""Facts of decoded images."""

import numpy as np
import pytest

from tasks.pixels.decode import Decoded
from tasks.validate import measure


def test_every_fact_of_a_decoded_image_has_a_column_and_every_column_a_fact() -> None:
    decoded = Decoded(np.zeros((9, 7, 3), np.uint8), "PNG", 8)
    facts = measure.measure_pixels("0", decoded).facts
    assert {"reason": None, **facts}.keys() == set(measure.FACT_NAMES)
    (row,) = measure.as_table([("0", facts)]).to_pylist()
    assert (row["sha256"], row["reason"]) == ("0", None)
    assert (row["format"], row["width"], row["height"], row["contrast"]) == ("PNG", 7, 9, 0.0)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_the_smallest_and_the_largest_sample_are_those_of_full_depth(shape: tuple) -> None:
    pixels = np.full(shape, 300, np.uint16)
    pixels[2, 3], pixels[4, 5] = 17, 4095
    facts = measure.measure_pixels("0", Decoded(pixels, "PNG", 16)).facts
    assert (facts["lowest"], facts["highest"], facts["bits"]) == (17, 4095, 16)


def test_facts_of_undecodable_images_are_null_but_for_the_reason() -> None:
    (row,) = measure.as_table([("0", {"reason": "corrupt", "detail": "half"})]).to_pylist()
    found = {name for name, value in row.items() if value is not None}
    assert found == {"sha256", "reason", "detail"}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_without_colours_are_grey_whatever_their_channels(dtype: type) -> None:
    levels = np.arange(63, dtype=dtype).reshape(9, 7)
    equal = np.repeat(levels[..., None], 3, axis=2)
    coloured = equal.copy()
    coloured[8, 6, 2] += 1  # the last pixel alone
    found = [
        measure.measure_pixels("0", Decoded(pixels, "PNG", 8)).facts["grey"]
        for pixels in (levels, equal, coloured)
    ]
    assert found == [True, True, False]
