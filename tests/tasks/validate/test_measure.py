"""Facts of decoded images."""

import numpy as np

from tasks.pixels.decode import Decoded
from tasks.validate import measure


def test_every_fact_of_a_decoded_image_has_a_column_and_every_column_a_fact() -> None:
    decoded = Decoded(np.zeros((9, 7, 3), np.uint8), "PNG", 8)
    facts = measure.measure_pixels("0", decoded).facts
    assert {"reason": None, **facts}.keys() == set(measure.FACT_NAMES)
    (row,) = measure.as_table([("0", facts)]).to_pylist()
    assert (row["sha256"], row["reason"]) == ("0", None)
    assert (row["format"], row["width"], row["height"], row["contrast"]) == ("PNG", 7, 9, 0.0)


def test_facts_of_undecodable_images_are_null_but_for_the_reason() -> None:
    (row,) = measure.as_table([("0", {"reason": "corrupt", "detail": "half"})]).to_pylist()
    found = {name for name, value in row.items() if value is not None}
    assert found == {"sha256", "reason", "detail"}
