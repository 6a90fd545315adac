"""One version of the dataset: a git revision or the workspace, read through DVC."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dvc.repo import Repo
from dvc.repo.brancher import switch
from dvc_data.index import DataIndexDirError
from ruamel.yaml import YAML

from flows.versions.dvc_graph import in_repo, read_steps
from flows.versions.git import git
from flows.versions.stale_checkout import require_not_stale
from tasks.augment.counts import counts_by_class, read_counts
from tasks.common.errors import UserError
from tasks.common.params import PARAMS_FILE, STAGES
from tasks.dataset.paths import AUGMENT_METRICS, COUNTS, EVALUATE_METRICS, VALIDATED_MANIFEST

WORKSPACE = "workspace"
DATA_STAGES = ("ingest", "validate", "augment")
Read: TypeAlias = Callable[[str], bytes]  # from a file's path below the project to its content
Result = TypeVar("Result")
COLUMNS = ["sha256", "file_name", "label", "split", "status", "reason"]


@dataclass(frozen=True)
class Version:
    """A dataset as its last run left it.

    Attributes:
        name: the git revision, or WORKSPACE.
        images: a row for each file under data/raw, with COLUMNS, all text; "" is unknown.
        classes: the counts of each class, see tasks.augment.counts.per_class().
        recipe_hash: names what made its variants.
        params: the parameters that its stages ran with, by their path, as `augment.seed`.
        metrics: what evaluate found on its test images; empty where that was of another version.
    """

    name: str
    images: pd.DataFrame
    classes: dict[str, dict[str, int]]
    recipe_hash: str
    params: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)


def read_versions(names: list[str]) -> list[Version]:
    """The versions of these names, each a git revision or WORKSPACE, in the same order.

    Files that DVC's cache lacks are read from its remote.

    Raises:
        UserError: for an unknown revision, for one without a finished run, and where its files are
            neither in DVC's cache nor in its remote.
    """

    return in_repo(
        lambda repo: [read_files(repo, name, partial(_parse_version, name)) for name in names]
    )


def read_files(repo: Repo, name: str, action: Callable[[Read], Result]) -> Result:
    """Call `action` with a function that reads the files of a revision, or of WORKSPACE.

    Raises:
        UserError: see read_versions().
    """
    if name != WORKSPACE and not git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"):
        raise UserError(
            f"revision {name!r}: not found in git; needs a commit, a branch, a tag or HEAD"
        )
    # an old revision may configure another remote, or none: today's configuration is used
    today = {section: repo.config[section] for section in ("core", "remote", "cache")}
    with Repo(config=today) as configured, switch(configured, name):
        return action(partial(_read_file, configured, name))


def changed_since_run() -> list[str]:
    """The stages up to augment that would run again in the workspace.

    Raises:
        UserError: where git brought another data/raw.dvc, and data/raw did not follow.
    """
    steps = read_steps("augment")
    require_not_stale(steps)
    return [step.address.removesuffix(".dvc") for step in steps if not step.clean]


def _parse_version(name: str, read: Read) -> Version:
    """A version from its files, which `read` gives by their path."""
    stages = _stages_of(name, read)
    manifest, counts = read(str(VALIDATED_MANIFEST)), read(str(COUNTS))
    totals = YAML(typ="safe").load(read(str(AUGMENT_METRICS)))
    try:
        images = pq.read_table(io.BytesIO(manifest), columns=COLUMNS).to_pandas().fillna("")
        classes = counts_by_class(read_counts(io.BytesIO(counts)))
        metrics = json.loads(read(str(EVALUATE_METRICS))) if _is_evaluated(stages) else {}
        recipe_hash, params = totals["recipe_hash"], _params_of(stages)
        return Version(name, images, classes, recipe_hash, params, metrics)
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name}: its dataset cannot be read: {reason}") from None


def _stages_of(name: str, read: Read) -> dict[str, Any]:
    """What dvc.lock records of each stage that has run, by its name.

    Raises:
        UserError: where those up to augment have not.
    """
    try:
        stages: dict[str, Any] = YAML(typ="safe").load(read("dvc.lock"))["stages"]
        for stage in DATA_STAGES:
            _ = stages[stage]["params"][str(PARAMS_FILE)][stage]
        return stages
    except (UserError, KeyError, TypeError):
        need = f"needs a dvc.lock that names {', '.join(DATA_STAGES)}, found none"
        raise UserError(f"{name}: {need}; `variegate run --until augment` makes it") from None


def _params_of(stages: dict[str, Any]) -> dict[str, Any]:
    """The parameters that dvc.lock records: params.yaml may have been edited since the run."""
    run = [stage for stage in STAGES if stage in stages or stage in DATA_STAGES]
    blocks = {stage: stages[stage]["params"][str(PARAMS_FILE)][stage] for stage in run}
    params: dict[str, Any] = {}
    for stage, block in blocks.items():
        params.update(_flatten(stage, block))
    return params


def _is_evaluated(stages: dict[str, Any]) -> bool:
    """Whether train and evaluate have run on what the stages before them left."""
    if not {"train", "evaluate"} <= stages.keys():
        return False
    outs = chain.from_iterable(stage.get("outs", ()) for stage in stages.values())
    made = {out["path"]: out["md5"] for out in outs}
    deps = (*stages["train"]["deps"], *stages["evaluate"]["deps"])
    return all(made.get(dep["path"], dep["md5"]) == dep["md5"] for dep in deps)


def _flatten(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each value below `path` with its own path, as `augment.policy[0].Rotate.limit`.

    A list without mappings, and an empty mapping, are one value.
    """
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flatten(f"{path}.{key}", inner)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _flatten(f"{path}[{index}]", inner)
    else:
        yield path, value


def _read_file(repo: Repo, name: str, path: str) -> bytes:
    try:
        with repo.dvcfs.open(path, mode="rb") as file:
            return bytes(file.read())
    except (FileNotFoundError, DataIndexDirError):
        missing = f"{path} is neither in git nor in DVC's cache or remote"
        push = "`dvc push` it where it was made, then `dvc fetch`"
        raise UserError(
            f"{name}: {missing}; {push}; where it was not yours, commit your own first"
        ) from None
