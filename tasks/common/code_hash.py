"""The hash of the code that runs: names and bytes of its files."""

import hashlib
from pathlib import Path

import tasks


def code_hash(folder: Path = Path(tasks.__file__).parent) -> str:
    """The SHA-256 of the code below `folder`: names and bytes."""
    files = sorted((str(path.relative_to(folder)), path) for path in folder.rglob("*.py"))
    listing = [f"{_digest(path)} {name}" for name, path in files]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
