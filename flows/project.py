"""The state of a checkout: is this a project, is there raw data, are the parameters sound."""

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from tasks import ingest, sample
from tasks.augment.accounts import per_class, read_counts
from tasks.errors import UserError
from tasks.filling import has_files
from tasks.params import PARAMS_FILE, STAGES, read_blocks, read_params

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

    blocks = read_blocks()
    missing = [stage for stage in STAGES if stage not in blocks]
    if missing:
        raise UserError(f"{PARAMS_FILE}: needs the block {missing[0]}: DVC tracks it; `{missing[0]}: {{}}` will do")
    read_params("ingest", ingest.IngestParams)
    read_params("validate", ValidateParams)
    Policy(read_params("augment", AugmentParams).policy)
    train = read_params("train", TrainParams)
    read_params("evaluate", EvaluateParams)
    if train.model != "small_cnn":
        from tasks.train.model import check_name  # torch takes seconds

        check_name(train.model)


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
    if has_files(ingest.RAW):
        return 0
    require_no_others({sample.DVC_HASH.get(name)})
    return sample.write_sample(name, ingest.RAW)


def require_no_others(samples: Collection[str | None]) -> None:
    """Raises UserError where data/raw.dvc says that other images than these samples belong into the empty data/raw."""
    if raw_hash() not in (None, *samples):
        raise UserError(f"{ingest.RAW} is empty: run dvc pull")


def require_room() -> None:
    """Raises UserError where data/raw is empty because its images, other than a sample's, were not pulled."""
    if not has_files(ingest.RAW):
        require_no_others(set(sample.DVC_HASH.values()))


def note_on_layout() -> str | None:
    """What to know where data/raw holds one folder that is no split's: it counts as the only class."""
    folders = [path for path in ingest.RAW.iterdir() if path.is_dir()]
    if len(folders) != 1 or folders[0].name.lower() in ingest.SPLITS:
        return None
    return f"note: {folders[0]} is the only folder, so the only class; if it is none, move its folders up"


def require_raw() -> None:
    """Raises UserError where data/raw is empty."""
    if not has_files(ingest.RAW):
        require_no_others(set(sample.DVC_HASH.values()))
        raise UserError(f"{ingest.RAW} is empty: put images there in class folders, or run `variegate sample digits`")
    for name in ingest.list_files(ingest.RAW):
        path = ingest.RAW / name
        if ingest.links_out(path) and path.is_file():  # DVC would make the other file its own, and read-only
            raise UserError(f"{path}: needs to be a file, found a link to {path.resolve()}; copy it instead")


def require_stage(name: str) -> None:
    """Raises UserError where dvc.yaml has no stage of that name."""
    stages = YAML(typ="safe").load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    if name not in stages:
        raise UserError(f"--until {name}: needs a stage of dvc.yaml: {', '.join(stages)}")


def refresh(stage: str) -> None:
    """Bring the stages up to `stage` up to date, without the flow: for what has to know the present images.

    Raises:
        UserError: where that fails; the stage has told why.
    """
    from flows.graph import read_steps

    require_raw()
    check_params()
    if all(step.clean for step in read_steps(stage)):
        return
    print(f"what {stage} depends on has changed: running it first", file=sys.stderr)
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", stage]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
        raise UserError(told[-1] if told else f"{stage} failed: {done.stderr.strip() or done.stdout.strip()}")


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


def summary(stages: Collection[str]) -> list[str]:
    """What a run of `stages` ended with, in lines: images in, variants per class, training images, accuracy, report."""
    lines: list[str] = []
    if "validate" in stages:
        found = _read_metrics("validate")
        status = found["status"]
        lines.append(
            f"files in         {found['files']:,}: {status['ok']:,} usable, "
            f"{status['duplicate']:,} duplicates, {status['quarantined']:,} quarantined"
        )
        lines += [f"warning          {warning}" for warning in found["warnings"]]
    if "augment" in stages:
        totals = _read_metrics("augment")
        lines.append(f"variants         {totals['written']:,} of {totals['planned']:,} planned")
        lines += [f"  {line}" for line in _class_lines(per_class(read_counts()))]
        lines.append(f"training images  {totals['training_images']:,}")
    if "train" in stages:
        found = _read_metrics("exposure")
        lines.append(
            f"shown            {found['presentations']:,} in {found['epochs']:,} epochs ({found['augmentation']}): "
            f"{found['original']:,} originals, {found['stored']:,} stored variants, {found['online']:,} made on the fly"
        )
    if "evaluate" in stages:
        found = _read_metrics("evaluate")
        lines.append(f"test accuracy    {found['accuracy']:.2%} of {found['images']:,} images")
        lines.append(f"report           {Path('reports/index.html').resolve()}")
    return lines


def _class_lines(classes: dict[str, dict[str, int]]) -> list[str]:
    width = max(len(label) for label in classes)
    return [
        f"{label:<{width}}  {numbers['sources']:>7,} + {numbers['written']:>8,} = {numbers['training_images']:>8,}"
        + (f"  ({numbers['rejected']:,} rejected)" if numbers["rejected"] else "")
        for label, numbers in classes.items()
    ]


def _read_metrics(stage: str) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(Path(f"metrics/{stage}.json").read_text(encoding="utf-8"))
    return metrics
