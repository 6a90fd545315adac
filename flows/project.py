"""The state of a checkout: is this a project, is there raw data, are the parameters sound."""

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from tasks import ingest, sample, validate
from tasks.augment.counts import per_class, read_counts
from tasks.errors import CheckFailedError, UserError
from tasks.filling import has_files
from tasks.ingest import files
from tasks.ingest.params import IngestParams
from tasks.params import PARAMS_FILE, STAGES, read_blocks, read_params

RAW_DVC = Path("data/raw.dvc")
MOST_NAMED = 12  # classes


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
    from tasks.validate.params import ValidateParams

    blocks = read_blocks()
    missing = [stage for stage in STAGES if stage not in blocks]
    if missing:
        raise UserError(f"{PARAMS_FILE}: needs the block {missing[0]}: DVC tracks it; `{missing[0]}: {{}}` will do")
    read_params("ingest", IngestParams)
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
        raise UserError(f"{ingest.RAW} is empty: run dvc pull, or remove {RAW_DVC} to begin with other images")


def require_room() -> None:
    """Raises UserError where data/raw is empty because its images, other than a sample's, were not pulled."""
    if not has_files(ingest.RAW):
        require_no_others(set(sample.DVC_HASH.values()))


def require_raw() -> None:
    """Raises UserError where data/raw is empty, or holds what DVC cannot take."""
    require_versionable()
    require_room()
    if not has_files(ingest.RAW):
        raise UserError(f"{ingest.RAW} is empty: put images there in class folders, or run `variegate sample digits`")


def require_versionable() -> None:
    """Raises UserError where data/raw holds what DVC cannot take."""
    names = files.list_files(ingest.RAW) if ingest.RAW.is_dir() else ()
    for name in names:  # before DVC takes them: it would make a link's file its own, or wait for a pipe
        problem = files.problem_of(name)
        if problem and files.links_out(ingest.RAW / name):
            target = (ingest.RAW / name).resolve()
            raise UserError(f"{ingest.RAW / name}: needs to be a file, found a link to {target}; copy it instead")
        if problem:
            raise UserError(f"{ingest.RAW}/{files.printable(name)}: {problem}; DVC cannot take it: move it away")


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
    from flows.behind import require_not_left_behind
    from flows.graph import read_steps
    from flows.merge import require_finished

    require_finished()
    require_raw()
    check_params()
    steps = read_steps(stage)
    if all(step.clean for step in steps):
        return
    require_not_left_behind(steps)
    print(f"what {stage} depends on is not up to date: running it first", file=sys.stderr)
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", stage]
    # what the stage says on the way goes where progress goes; standard output is the result's
    done = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise _told_by_stage(stage, done.stderr)


def _told_by_stage(stage: str, text: str) -> UserError:
    """The stage's own last line, out of all that DVC says around it."""
    for line in reversed(text.splitlines()):
        for mark, kind in (("failed: ", CheckFailedError), ("error: ", UserError)):
            if line.startswith(mark):
                return kind(line.removeprefix(mark))
    return UserError(f"{stage} failed: {text.strip()}")


def summary(stages: Collection[str]) -> list[str]:
    """What a run of `stages` ended with, in lines: images in, variants per class, training images, accuracy, report."""
    lines: list[str] = []
    if "validate" in stages:
        found = read_metrics("validate")
        status = found["status"]
        lines.append(
            f"images in        {found['images']:,}: {status['ok']:,} usable, "
            f"{status['duplicate']:,} duplicates, {status['quarantined']:,} quarantined"
        )
        lines += [f"warning          {warning}" for warning in found["warnings"]]
    if "augment" in stages:
        totals = read_metrics("augment")
        lines.append(f"variants         {totals['written']:,} of {totals['planned']:,} planned")
        lines += [f"  {line}" for line in _class_lines(per_class(read_counts()))]
        lines.append(f"training images  {totals['training_images']:,}")
    if "train" in stages:
        found = read_metrics("exposure")
        lines.append(
            f"shown            {found['presentations']:,} in {found['epochs']:,} epochs ({found['augmentation']}): "
            f"{found['original']:,} originals, {found['stored']:,} stored variants, {found['online']:,} made on the fly"
        )
    if "evaluate" in stages:
        found = read_metrics("evaluate")
        lines.append(f"test accuracy    {found['accuracy']:.2%} of {found['images']:,} images")
        lines.append(f"report           {Path('reports/index.html').resolve()}")
    return lines


def validation_lines(found: dict[str, Any], labels: list[str], moved: list[dict[str, str]]) -> list[str]:
    """What validate found, in lines for people.

    Args:
        found: the content of metrics/validate.json.
        labels: of the classes.
        moved: see moved_between().
    """
    status, pairs = found["status"], found["pairs"]
    named = [*labels[:MOST_NAMED], "..."] if len(labels) > MOST_NAMED else labels
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in found["quarantined"].items())
    lines = [
        f"layout           {found['layout']}",
        f"images in        {found['images']:,} in {found['files']:,} files: {status['ok']:,} usable, "
        f"{status['duplicate']:,} duplicates, {status['quarantined']:,} quarantined",
        f"quarantined      {reasons or 'none'}",
        f"pairs            {pairs['bytes']:,} of equal bytes, {pairs['pixels']:,} of equal pixels, "
        f"{pairs['near']:,} that look the same",
        f"groups           {found['groups']:,}",
        f"leaks            {found['leaks']:,}",
        f"classes          {found['classes']:,}: {', '.join(named)}",
        "splits           " + ", ".join(f"{split} {count:,}" for split, count in found["splits"].items()),
        f"                 {found['split']}",
    ]
    if found["not_compared"]:
        lines.insert(4, f"not compared     {found['not_compared']:,} images, for looking the same: see near_duplicates")
    lines += [f"warning          {text}" for text in found["warnings"]]
    lines += [f"failure          {text}" for text in found["failures"]]
    if moved:
        some = ", ".join(f"{image['file_name']} ({image['before']} -> {image['after']})" for image in moved[:3])
        lines.append(
            f"moved            {len(moved):,} images are in another split than before: {some}; --json lists all"
        )
    return [*lines, f"report           {validate.PAGE.resolve()}"]


def splits_of_images() -> pd.DataFrame:
    """The usable images of the last run, by their bytes: file_name, label, split; none where there was no run."""
    columns = ["sha256", "file_name", "label", "split", "status"]
    try:
        rows = validate.read(columns)
    except UserError:
        rows = pd.DataFrame(columns=columns)
    return rows[rows["status"] == "ok"].set_index("sha256")[["file_name", "label", "split"]]


def moved_between(before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, str]]:
    """The images that are in another split than before: file_name, before, after. See splits_of_images()."""
    both = after.join(before["split"].rename("before"), how="inner")
    moved = both[both["split"] != both["before"]].rename(columns={"split": "after"})
    return moved[["file_name", "before", "after"]].sort_values("file_name").to_dict("records")


def _class_lines(classes: dict[str, dict[str, int]]) -> list[str]:
    width = max(len(label) for label in classes)
    return [
        f"{label:<{width}}  {numbers['sources']:>7,} + {numbers['written']:>8,} = {numbers['training_images']:>8,}"
        + (f"  ({numbers['rejected']:,} rejected)" if numbers["rejected"] else "")
        for label, numbers in classes.items()
    ]


def read_metrics(stage: str) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(Path(f"metrics/{stage}.json").read_text(encoding="utf-8"))
    return metrics
