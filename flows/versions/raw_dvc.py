"""data/raw.dvc: what data/raw should hold, and whether DVC can take what it holds."""

from pathlib import Path

from ruamel.yaml import YAML

from tasks.common.errors import UserError
from tasks.dataset import raw_files
from tasks.dataset.paths import RAW

RAW_DVC = Path("data/raw.dvc")


def raw_hash() -> str | None:
    """What data/raw.dvc says that data/raw holds, or None without one."""
    if not RAW_DVC.is_file():
        return None
    return YAML(typ="safe").load(RAW_DVC.read_text(encoding="utf-8"))["outs"][0].get("md5")


def require_versionable() -> None:
    """Raises UserError where data/raw holds what DVC cannot take."""
    names = raw_files.list_files(RAW) if RAW.is_dir() else ()
    for (
        name
    ) in names:  # before DVC takes them: it would make a link's file its own, or wait for a pipe
        problem = raw_files.problem_of(name)
        if problem and raw_files.links_out(RAW / name):
            target = (RAW / name).resolve()
            raise UserError(
                f"{RAW / name}: needs to be a file, found a link to {target}; copy it instead"
            )
        if problem:
            raise UserError(
                f"{RAW}/{raw_files.printable(name)}: {problem}; DVC cannot take it: move it away"
            )
