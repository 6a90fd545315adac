"""Preconditions of a run: valid parameters, a stage of dvc.yaml, images in data/raw."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from flows.versions.raw_dvc import RAW_DVC, raw_hash, require_versionable
from tasks.acquire import sample
from tasks.common.errors import UserError
from tasks.common.params import PARAMS_FILE, STAGES, read_blocks, read_params
from tasks.common.temporary import has_files
from tasks.dataset.paths import RAW
from tasks.dataset.raw_files import require_own_folder
from tasks.ingest.params import IngestParams
from tasks.pixels.preprocess import AS_DECODED


def check_params() -> None:
    """Read the parameters of every stage, so that a mistake is reported before any work.

    Raises:
        UserError: the first mistake.
    """
    from tasks.evaluate.params import EvaluateParams
    from tasks.train.device_augmentation.policy import check_device_policies
    from tasks.train.params import TrainParams
    from tasks.validate.params import ValidateParams
    from tasks.variants.params import AugmentParams
    from tasks.variants.recipe import check_policies

    blocks = read_blocks()
    missing = [stage for stage in STAGES if stage not in blocks]
    if missing:
        block = missing[0]
        mend = f"`{block}: {{}}` will do"
        raise UserError(f"{PARAMS_FILE}: needs the block {block}: DVC tracks it; {mend}")
    read_params("ingest", IngestParams)
    read_params("validate", ValidateParams)
    augment = read_params("augment", AugmentParams)
    check_policies(augment)
    train = read_params("train", TrainParams)
    if train.augmentation == "device":
        check_device_policies(augment)
    if read_params("evaluate", EvaluateParams).test_time_augmentation:
        from tasks.evaluate.augmented_predictions import recipe_for_any_class  # imports torch

        recipe_for_any_class(augment, AS_DECODED)
    if (train.model, train.weights) != ("small_cnn", "none"):
        from tasks.model.networks import check_name  # importing torch takes seconds
        from tasks.model.weights import check_weights

        check_name(train.model)
        check_weights(train.model, train.weights)
        _require_dependency(train.weights)


def _require_dependency(weights: str) -> None:
    """Raises UserError where the train stage does not depend on the file of its first weights."""
    if weights in ("none", "default"):
        return
    deps = _stages().get("train", {}).get("deps", [])
    if weights not in [next(iter(dep)) if isinstance(dep, dict) else dep for dep in deps]:
        raise UserError(
            f"dvc.yaml stages.train.deps: needs the line `- {weights}`, which train.weights of "
            f"{PARAMS_FILE} names: without it nobody notices when the file changes"
        )


def write_sample_if_empty(name: str) -> int:
    """Write a sample where data/raw is empty and no other images belong there.

    Returns:
        How many images were written.

    Raises:
        UserError: where data/raw.dvc says that other images belong there.
    """
    if has_files(RAW):
        return 0
    _require_no_other_images({sample.DVC_HASH.get(name)})
    return sample.write_sample(name, RAW)


def _require_no_other_images(samples: Collection[str | None]) -> None:
    """Raises UserError where data/raw.dvc names other images than these samples."""
    if raw_hash() not in (None, *samples):
        raise UserError(
            f"{RAW} is empty: run dvc pull, or remove {RAW_DVC} to begin with other images"
        )


def require_pulled() -> None:
    """Raises UserError where data/raw is empty and data/raw.dvc names images, a sample's apart.

    And where data/raw is a link.
    """
    require_own_folder()
    if not has_files(RAW):
        _require_no_other_images(set(sample.DVC_HASH.values()))


def require_raw() -> None:
    """Raises UserError where data/raw is empty, or it or data/raw.dvc is none of DVC's."""
    require_versionable()
    raw_hash()
    require_pulled()
    if not has_files(RAW):
        mend = "put images there in class folders, or run `variegate sample digits`"
        raise UserError(f"{RAW} is empty: {mend}")


def require_stage(name: str) -> None:
    """Raises UserError where dvc.yaml has no stage of that name, or cannot be read."""
    stages = _stages()
    if name not in stages:
        raise UserError(f"--until {name}: needs a stage of dvc.yaml: {', '.join(stages)}")


def _stages() -> dict[str, Any]:
    """The stages of dvc.yaml.

    Raises:
        UserError: where it cannot be read, or has none.
    """
    try:
        text = Path("dvc.yaml").read_text(encoding="utf-8")
        return dict(YAML(typ="safe").load(text)["stages"])
    except (YAMLError, ValueError, TypeError, LookupError):
        mend = "`git diff dvc.yaml` shows what was changed"
        raise UserError(f"dvc.yaml: needs the stages of the pipeline, found none: {mend}") from None
