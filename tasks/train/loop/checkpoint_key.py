"""The key of a checkpoint: everything that decides the result of a training.

With another key the result would be another one, so training starts anew and says what differs.
"""

from collections.abc import Mapping
from importlib.metadata import version

import torch
from pydantic import BaseModel

from tasks.common.code_hash import code_hash
from tasks.common.errors import UserError
from tasks.dataset.paths import LEDGER, VALIDATED_MANIFEST
from tasks.model.device import hardware
from tasks.pixels.hashing import file_sha256
from tasks.train.distributed.group import Group
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams
from tasks.variants.policy import canonical_json, library_versions

LONGEST_SHOWN = 60  # characters of a value; longer are policies and hashes


def checkpoint_key(
    params: TrainParams,
    augment: AugmentParams,
    device: torch.device,
    weights: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What decides the result of a training in this project, by names that people know.

    Args:
        params: the train block.
        augment: the augment block.
        device: where it runs.
        weights: what the network starts from, where that was trained before: the SHA-256 of the
            weights by their name.

    Returns:
        What can be mended first stands first: difference() names the first that differs.
    """
    return {
        **_block("train", params),
        **_block("augment", augment),
        **{f"the weights {name}": digest for name, digest in (weights or {}).items()},
        "the validated manifest": file_sha256(VALIDATED_MANIFEST),
        "the ledger of variants": file_sha256(LEDGER),
        "the device": hardware(device),
        "torch": str(torch.__version__),  # a class of its own, which weights_only refuses
        "torchvision": version("torchvision"),
        **library_versions(),
        "the code in tasks/": code_hash(),
    }


def require_same_key(key: Mapping[str, str], group: Group) -> None:
    """Check that the processes that train together have the same key, whatever their devices are.

    Raises:
        UserError: the first difference.
    """
    first, *others = group.gather({**key, "the device": ""})
    for number, other in enumerate(others, start=2):
        if other != first:
            raise UserError(
                "params.yaml train.devices: all processes need the same project, code and "
                f"libraries; in process {number}, {difference(first, other)}"
            )


def difference(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    """In words, the first of two keys' values that differs: `train.epochs was 10, is 12`."""
    names = list(dict.fromkeys((*now, *was)))
    name = next(name for name in names if was.get(name) != now.get(name))
    before, after = was.get(name, "not set"), now.get(name, "not set")
    if max(len(before), len(after)) > LONGEST_SHOWN:
        return f"{name} changed"
    return f"{name} was {before}, is {after}"


def _block(name: str, block: BaseModel) -> dict[str, str]:
    """The parameters of a block of params.yaml, each by its whole name."""
    values = block.model_dump(mode="json")
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    as_texts = {key: canonical_json(value) for key, value in values.items()} | texts
    return {f"{name}.{key}": text for key, text in as_texts.items()}
