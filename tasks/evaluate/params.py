"""The evaluate block of params.yaml."""

from pydantic import Field

from tasks.common.params import Block


class EvaluateParams(Block):
    """How the model is judged.

    `calibration_bins`: bins of confidence, of equal width over [0, 1], for the calibration error.
    `worst_mistakes`: how many wrong predictions the report shows.
    """

    calibration_bins: int = Field(15, ge=2)
    worst_mistakes: int = Field(24, ge=0)
