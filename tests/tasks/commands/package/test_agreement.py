import numpy as np
import pytest

from tasks.commands.package.agreement import Outputs, outputs_of, require_agreement, spread
from tasks.common.errors import CheckFailedError

LOGITS = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.5]], np.float32)
EXPECTED = Outputs(LOGITS, LOGITS / 4)
NAMES = ["a.png", "b.png", "c.png"]


def changed(image: int, to: float) -> Outputs:
    logits = LOGITS.copy()
    logits[image, 1] = to
    return Outputs(logits, EXPECTED.probabilities)


def test_a_difference_within_the_tolerance_is_told() -> None:
    assert require_agreement("x", EXPECTED, EXPECTED, NAMES) == 0
    worst = require_agreement("x", changed(1, 3.00005), EXPECTED, NAMES)
    assert worst == pytest.approx(5e-5, rel=0.01)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (changed(1, 3.001), "1 of 3 images, b.png for one (logits differ by up to 0.001"),
        (changed(2, 1.5), "1 of 3 images, c.png for one (logits differ by up to 1"),
        (changed(0, float("nan")), "1 of 3 images, a.png for one (logits differ by up to nan"),
        (Outputs(LOGITS, LOGITS / 3), "3 of 3 images, a.png for one (logits differ by up to 0"),
    ],
)
def test_a_larger_one_is_refused_with_an_image(found: Outputs, problem: str) -> None:
    with pytest.raises(CheckFailedError) as caught:
        require_agreement("model.onnx", found, EXPECTED, NAMES)
    assert str(caught.value).startswith(
        f"model.onnx: gives other results than the weights for {problem}"
    )
    assert str(caught.value).endswith("nothing is written")


def test_the_first_batches_have_different_sizes() -> None:
    sizes = []

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(images))
        return images, images + 1

    images = np.arange(200).reshape(200, 1)
    found = outputs_of(run, images, "x")
    assert sizes == [1, 2, 7, 64, 64, 62]
    assert np.array_equal(found.logits, images) and np.array_equal(found.probabilities, images + 1)
    sizes.clear()
    assert len(outputs_of(run, images[:3], "x").logits) == 3
    assert sizes == [1, 2]


def test_many_images_are_spread_evenly() -> None:
    assert spread(3, 10) == [0, 1, 2]
    assert spread(101, 5) == [0, 25, 50, 75, 100]
