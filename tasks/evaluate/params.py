"""The evaluate block of params.yaml."""

from pydantic import Field

from tasks.common.params import Block


class Gate(Block):
    """What the test accuracy must reach for `variegate run` to end well; None: anything.

    `min_accuracy`: at least. `max_drop`: below that of the last commit at most.
    """

    min_accuracy: float | None = Field(None, ge=0, le=1)
    max_drop: float | None = Field(None, ge=0, le=1)


class EvaluateParams(Block):
    """How the model is judged.

    `calibration_bins`: bins of confidence, of equal width over [0, 1], for the calibration error.
    `worst_mistakes`: how many wrong predictions the report shows, each with its nearest training
    image. `robustness_images`: how many test images are corrupted, in 45 ways each; 0: none.
    `test_time_augmentation`: over how many variants of a test image, beside the image itself, the
    mean is taken; 0: not done. `gate`: see flows/gate.py; no part of what the stage does.
    """

    calibration_bins: int = Field(15, ge=2)
    worst_mistakes: int = Field(24, ge=0)
    robustness_images: int = Field(200, ge=0)
    test_time_augmentation: int = Field(0, ge=0)
    gate: Gate = Gate(min_accuracy=None, max_drop=None)
