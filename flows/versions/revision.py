"""One version of the dataset: a git revision or the workspace, read through DVC without a checkout."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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
from tasks.augment.counts import per_class, read_counts
from tasks.common.errors import UserError
from tasks.common.params import PARAMS_FILE, STAGES
from tasks.dataset.paths import AUGMENT_METRICS, COUNTS, VALIDATED_MANIFEST

WORKSPACE = "workspace"
DATA_STAGES = ("ingest", "validate", "augment")
COLUMNS = ["sha256", "file_name", "label", "split", "status", "reason"]


@dataclass(frozen=True)
class Version:
    """A dataset as its last run left it.

    `images`: a row for each file under data/raw, with COLUMNS; what is unknown is "". `classes`: see per_class().
    `params`: what its stages ran with, as `augment.seed`.
    """

    name: str
    images: pd.DataFrame
    classes: dict[str, dict[str, int]]
    recipe_hash: str
    params: dict[str, Any]


def read_versions(names: list[str]) -> list[Version]:
    """The versions of these names: revisions, or WORKSPACE. What DVC's cache lacks is read from its remote.

    Raises:
        UserError: for an unknown revision, one without a finished run, and where its files are nowhere.
    """

    def read(repo: Repo) -> list[Version]:
        # an old revision may know another remote, or none: today's is where its files are looked for
        today = {section: repo.config[section] for section in ("core", "remote", "cache")}
        with Repo(config=today) as anywhere:
            return [_read_version(anywhere, name) for name in names]

    return in_repo(read)


def changed_since_run() -> list[str]:
    """The stages of the workspace that would run again: what they made is older than what is there now.

    Raises:
        UserError: where git brought another data/raw.dvc, and data/raw has little or nothing of it.
    """
    steps = read_steps("augment")
    require_not_stale(steps)
    return [step.address.removesuffix(".dvc") for step in steps if not step.clean]


def _read_version(repo: Repo, name: str) -> Version:
    if name != WORKSPACE and not git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"):
        raise UserError(
            f"revision {name!r}: not found in git; needs a commit, a branch, a tag or HEAD"
        )
    with switch(repo, name):
        return _version_of(name, lambda path: _read(repo, name, path))


def _version_of(name: str, read: Callable[[str], bytes]) -> Version:
    params = _params_of(name, read)
    images, lines = read(str(VALIDATED_MANIFEST)), read(str(COUNTS))
    totals = YAML(typ="safe").load(read(str(AUGMENT_METRICS)))
    try:
        rows = pq.read_table(io.BytesIO(images), columns=COLUMNS).to_pandas().fillna("")
        return Version(
            name, rows, per_class(read_counts(io.BytesIO(lines))), totals["recipe_hash"], params
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{name}: its dataset cannot be read: {str(error).splitlines()[0]}"
        ) from None


def _params_of(name: str, read: Callable[[str], bytes]) -> dict[str, Any]:
    """dvc.lock and not params.yaml: it says what the data was made with."""
    try:
        stages = YAML(typ="safe").load(read("dvc.lock"))["stages"]
        run = [stage for stage in STAGES if stage in stages or stage in DATA_STAGES]
        blocks = {stage: stages[stage]["params"][str(PARAMS_FILE)][stage] for stage in run}
    except (UserError, KeyError, TypeError):
        need = f"needs a dvc.lock that names {', '.join(DATA_STAGES)}, found none"
        raise UserError(f"{name}: {need}; `variegate run --until augment` makes it") from None
    return {key: value for stage, block in blocks.items() for key, value in _leaves(stage, block)}


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values below `place`, with their places, as `augment.policy[0].Rotate.limit`; plain lists stay whole."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{place}.{key}", inner)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _leaves(f"{place}[{index}]", inner)
    else:
        yield place, value


def _read(repo: Repo, name: str, path: str) -> bytes:
    try:
        with repo.dvcfs.open(path, mode="rb") as file:
            return bytes(file.read())
    except (FileNotFoundError, DataIndexDirError):
        where = "neither in git nor in DVC's cache or remote"
        mend = "`dvc push` it where it was made, then `dvc fetch`; where it was not yours, commit your own first"
        raise UserError(f"{name}: {path} is {where}; {mend}") from None
