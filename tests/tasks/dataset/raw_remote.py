"""A DVC remote in a folder, and data/raw in it, written as `dvc add` and `dvc push` write them."""

import hashlib
import json
from pathlib import Path


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def push(project: Path, remote: Path) -> None:
    """Put data/raw of a project into the remote, and write data/raw.dvc and .dvc/config."""
    files = sorted(path for path in (project / "data/raw").rglob("*") if path.is_file())
    listing = [
        {
            "md5": store(path.read_bytes(), remote),
            "relpath": str(path.relative_to(project / "data/raw")),
        }
        for path in files
    ]
    name = store(json.dumps(listing).encode(), remote, ".dir")
    lines = ["outs:", f"- md5: {name}", "  hash: md5", "  path: raw", ""]
    (project / "data/raw.dvc").write_text("\n".join(lines))
    (project / ".dvc").mkdir(exist_ok=True)
    (project / ".dvc/config").write_text(
        f"[core]\n    remote = Store\n['remote \"store\"']\n    url = {remote}\n"
    )


def store(data: bytes, remote: Path, suffix: str = "") -> str:
    name = md5(data) + suffix
    path = object_path(name, remote)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


def object_path(name: str, remote: Path) -> Path:
    return remote / "files/md5" / name[:2] / name[2:]
