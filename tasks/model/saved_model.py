"""The trained model as the train stage leaves it: its weights, and its card."""

import json

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tasks.common.errors import UserError
from tasks.dataset.paths import CARD, WEIGHTS
from tasks.model.images import InputForm
from tasks.model.inference import Normalise
from tasks.model.networks import build_model


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
        card = json.loads(CARD.read_text(encoding="utf-8"))
        core = build_model(card["model"], len(card["classes"]), InputForm.from_card(card).size)
        core.load_state_dict(load_file(WEIGHTS))
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{WEIGHTS}, {CARD}: cannot be read as a model: {reason}; train again"
        ) from None
    return nn.Sequential(Normalise(card["mean"], card["std"]), core), card
