"""The evaluate block of params.yaml."""

from pydantic import Field

from tasks.common.params import Block


class EvaluateParams(Block):
    """`calibration_bins`: of equal width over [0, 1]; `worst_mistakes`: how many the report shows."""

    calibration_bins: int = Field(15, ge=2)
    worst_mistakes: int = Field(24, ge=0)
