"""Temperature scaling: one number that makes a network's confidence what its accuracy is."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

LEAST_IMAGES = 20  # fewer say nothing of how sure a network may be
LOWEST, HIGHEST = 0.05, 20.0
PLAIN = 1.0  # leaves the logits as they are


class Temperature(NamedTuple):
    """Probabilities are softmax(logits / value). `reason`: why it is 1 and not fitted, else ""."""

    value: float
    reason: str = ""


def fit_temperature(logits: Tensor, targets: Tensor) -> Temperature:
    """The temperature with the least loss on images that the network was not trained on.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. Where all images
    are recognised, that loss would be least at 0: so each image also counts as 1 / (images + 2) of
    an image of the other classes, as in J. Platt, "Probabilistic Outputs for Support Vector
    Machines", 1999. Which class is the likeliest does not change.

    Args:
        logits: float (images, classes), of the validation split.
        targets: the class numbers, int64 (images,).

    Returns:
        The temperature to 4 digits; 1 with a reason where the images do not tell one.
    """
    images, classes = logits.shape
    if images < LEAST_IMAGES:
        return Temperature(PLAIN, f"{images} validation images, fewer than {LEAST_IMAGES}")
    if classes < 2:
        return Temperature(PLAIN, "one class")
    if not bool(torch.isfinite(logits).all()):
        return Temperature(PLAIN, "logits that are no numbers")
    others = 1 / (images + 2)
    logits = logits.double()
    of_target = logits.gather(1, targets[:, None])[:, 0]
    of_others = (logits.sum(dim=1) - of_target) / (classes - 1)
    wanted = float(((1 - others) * of_target + others * of_others).mean())

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        return float(torch.logsumexp(logits / temperature, 1).mean()) - wanted / temperature

    ends = float(np.log(LOWEST)), float(np.log(HIGHEST))
    found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-6})
    value = float(np.exp(found.x))
    if not LOWEST * 1.01 < value < HIGHEST / 1.01:
        return Temperature(PLAIN, f"none between {LOWEST:g} and {HIGHEST:g} is best")
    return Temperature(round(value, 4))


def to_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Class probabilities, float64 (images, classes), rows add up to 1."""
    return torch.softmax(logits.double() / temperature, dim=1)
