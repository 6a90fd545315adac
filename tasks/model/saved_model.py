"""The trained model as the train stage leaves it: its weights, and its card."""

import json
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, FiniteFloat, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tasks.common.errors import UserError
from tasks.dataset.paths import CARD, WEIGHTS
from tasks.model.inference import Normalise
from tasks.model.networks import build_model
from tasks.model.params import Fit
from tasks.pixels.preprocess import Preprocessing

Positive = Annotated[FiniteFloat, Field(gt=0)]
MOST_PIXELS = 8192  # a side: a larger one is a mistake, which would take all memory


class Card(BaseModel):
    """What a card needs to have for the model to be built and run."""

    model: str
    classes: list[str] = Field(min_length=1)
    image_size: int = Field(ge=1, le=MOST_PIXELS)
    fit: Fit
    preprocessing: Preprocessing
    mean: list[FiniteFloat] = Field(min_length=3, max_length=3)
    std: list[Positive] = Field(min_length=3, max_length=3)
    temperature: Positive = 1.0


def load_model() -> tuple[nn.Module, dict]:
    """The trained network, from uint8 images to logits, and its card.

    Raises:
        UserError: where there is none, or it cannot be read.
    """
    if not (WEIGHTS.is_file() and CARD.is_file()):
        raise UserError(
            f"{WEIGHTS}: not found; the train stage makes it: run `variegate run --until train`"
        )
    try:
        text = CARD.read_text(encoding="utf-8")
        Card.model_validate_json(text, strict=True)
        card = json.loads(text)
        core = build_model(card["model"], len(card["classes"]), card["image_size"])
        core.load_state_dict(weights := load_file(WEIGHTS))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or CARD.name
        raise _unreadable(f"{place}: {first['msg']}") from None
    except (ValueError, RuntimeError, SafetensorError) as error:
        raise _unreadable(str(error).partition("\n")[0]) from None
    if bad := _not_finite(weights):
        raise _unreadable(f"{bad} holds values that are no finite numbers")
    return nn.Sequential(Normalise(card["mean"], card["std"]), core), card


def _unreadable(reason: str) -> UserError:
    return UserError(f"{WEIGHTS}, {CARD}: cannot be read as a model: {reason}; train again")


def _not_finite(weights: dict[str, Any]) -> str | None:
    """The first of the weights with NaN or infinity, if any."""
    return next((name for name, each in weights.items() if not torch.isfinite(each).all()), None)
