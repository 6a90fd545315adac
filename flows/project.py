"""The state of a checkout: is this a project, is there raw data, are the parameters sound."""

import json
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from tasks import ingest, sample
from tasks.errors import UserError
from tasks.params import read_params

RAW_DVC = Path("data/raw.dvc")


def require_root() -> None:
    """Raises UserError outside a project's root."""
    if not Path("dvc.yaml").is_file():
        raise UserError(f"dvc.yaml: not found in {Path.cwd()}; run this from the project's root")


def check_params() -> None:
    """Read every stage's block, so that a mistake is told before any work.

    Raises:
        UserError: the first mistake.
    """
    from tasks.augment.params import AugmentParams
    from tasks.augment.policy import Policy
    from tasks.evaluate.params import EvaluateParams
    from tasks.train.params import TrainParams
    from tasks.validate import ValidateParams

    read_params("ingest", ingest.IngestParams)
    read_params("validate", ValidateParams)
    Policy(read_params("augment", AugmentParams).policy)
    read_params("train", TrainParams)
    read_params("evaluate", EvaluateParams)


def raw_hash() -> str | None:
    """What data/raw.dvc says that data/raw holds, or None without one."""
    if not RAW_DVC.is_file():
        return None
    return YAML(typ="safe").load(RAW_DVC.read_text(encoding="utf-8"))["outs"][0].get("md5")


def write_sample_if_empty(name: str) -> int:
    """Write a sample where data/raw is empty and nothing else is expected there; returns how many images.

    Raises:
        UserError: where data/raw.dvc says that other images belong there.
    """
    if sample.has_files(ingest.RAW):
        return 0
    expected = raw_hash()
    if expected is not None and expected != sample.DVC_HASH.get(name):
        raise UserError(f"{ingest.RAW} is empty: run dvc pull")
    return sample.write_sample(name, ingest.RAW)


def require_raw() -> None:
    """Raises UserError where data/raw is empty."""
    if not sample.has_files(ingest.RAW):
        if raw_hash() is not None:
            raise UserError(f"{ingest.RAW} is empty: run dvc pull")
        raise UserError(f"{ingest.RAW} is empty: put images there in class folders, or run `variegate sample digits`")


def require_server() -> str:
    """The Prefect server that PREFECT_API_URL (or the profile) names, "" for none.

    Raises:
        UserError: where it does not answer.
    """
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value() or ""
    if url:
        try:
            httpx.get(f"{url}/health", timeout=5).raise_for_status()
        except httpx.HTTPError as error:
            need = "needs a Prefect server that answers: `prefect server start`, or unset it"
            raise UserError(f"PREFECT_API_URL {url}: {need}; found: {error}") from None
    return url


def read_metrics(stage: str) -> dict[str, Any]:
    """The metrics of a stage, {} where it has not run."""
    path = Path(f"metrics/{stage}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def summary() -> list[str]:
    """What a run ended with, in lines: images in, variants per class, training images, accuracy, the report."""
    validate, augment, evaluate = (read_metrics(stage) for stage in ("validate", "augment", "evaluate"))
    lines = []
    if validate:
        status = validate["status"]
        lines.append(
            f"files in         {validate['files']:,}: {status['ok']:,} usable, "
            f"{status['duplicate']:,} duplicates, {status['quarantined']:,} quarantined"
        )
        lines += [f"warning          {warning}" for warning in validate["warnings"]]
    if augment:
        lines.append(f"variants         {augment['written']:,} of {augment['planned']:,} planned")
        width = max(len(label) for label in augment["per_class"])
        for label, numbers in augment["per_class"].items():
            sources, written, after = (numbers[name] for name in ("sources", "written", "training_images"))
            text = f"  {label:<{width}}  {sources:>7,} + {written:>8,} = {after:>8,}"
            lines.append(text + (f"  ({numbers['rejected']:,} rejected)" if numbers["rejected"] else ""))
        lines.append(f"training images  {augment['training_images']:,}")
    if evaluate:
        lines.append(f"test accuracy    {evaluate['accuracy']:.2%} of {evaluate['images']:,} images")
        lines.append(f"report           {Path('reports/index.html').resolve()}")
    return lines
