"""Options of a stage's Prefect task, as `meta:` of dvc.yaml gives them; known without Prefect."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError

from flows.versions.dvc_graph import Step
from tasks.common.errors import UserError
from tasks.common.params import key_and_problem


class Options(BaseModel):
    """What a stage's `meta:` in dvc.yaml may say of its Prefect task; other keys are ignored.

    A list of delays is for the first retry, the second, and so on: the last is repeated. Retries
    are for stages that crashed, not for what the user has to mend.
    """

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)
    retries: Annotated[int, Field(ge=0)] = 0
    retry_delay_seconds: NonNegativeFloat | list[NonNegativeFloat] = 0
    timeout_seconds: PositiveFloat | None = None
    tags: list[str] = []


def read_options(step: Step) -> dict[str, Any]:
    """The options that a stage's `meta:` in dvc.yaml asks for.

    Raises:
        UserError: for a value that Prefect cannot take.
    """
    try:
        return Options.model_validate(step.meta).model_dump(exclude_unset=True)
    except ValidationError as error:
        place = f"{step.name}.meta"
        raise UserError(f"dvc.yaml {key_and_problem(error, place, Options)}") from None
