"""What a run made, for others: a commit that says what changed in images, and a push of the data and the commit."""

import hashlib
from pathlib import Path
from typing import Any

from flows.compare import as_text, compare, count_line
from flows.git import git
from flows.graph import in_repo
from flows.versions import WORKSPACE, read_versions
from tasks import machine
from tasks.errors import UserError
from tasks.params import PARAMS_FILE

COMMITTED = ("dvc.lock", "data/raw.dvc", str(PARAMS_FILE), "metrics", "plots")
CONFIGURATION = (".dvc/config", ".dvc/config.local")


def changes() -> dict[str, Any] | None:
    """What changed in images since the last commit; None where that has no dataset to compare with."""
    try:
        return compare(*read_versions(["HEAD", WORKSPACE]))
    except UserError:
        return None


def commit() -> str | None:
    """Commit what the pipeline wrote, and nothing else; the subject, or None where nothing changed.

    Raises:
        UserError: where git refuses.
    """
    paths = [path for path in COMMITTED if Path(path).exists()]
    if not git("status", "--porcelain", "--", *paths, check=True):
        return None
    message = commit_message(changes())
    git("add", "--", *paths, check=True)
    git("commit", "--quiet", "--message", message, "--", *paths, check=True)
    return message.partition("\n")[0]


def commit_message(found: dict[str, Any] | None) -> str:
    """The subject says how many images came and went, the body what else changed."""
    if found is None:
        why = "Nothing to compare with: the commit before has no dataset, or none that is in DVC's cache or remote."
        return f"Dataset: new version\n\n{why}\n"
    return f"Dataset: {count_line(found)}\n\n{as_text(found)}\n"


def push() -> str:
    """`dvc push`, then `git push` where the branch has an upstream: nobody gets a commit without its data.

    What was pushed the last time is not looked for again.

    Raises:
        UserError: where there is no remote, or it cannot be reached.
    """
    marker, state = machine.cache_folder() / "pushed", _state()
    if not (marker.is_file() and marker.read_text() == state):
        sent = in_repo(lambda repo: repo.push())
        marker.write_text(state)
        told = f"{sent:,} files to DVC's remote"
    else:
        told = "DVC's remote has all"
    upstream = git("rev-parse", "--abbrev-ref", "HEAD@{upstream}").decode().strip()
    if not upstream:
        return f"{told}; no git push: the branch has no upstream"
    if git("rev-list", f"{upstream}..HEAD"):
        git("push", "--quiet", check=True)
    return f"{told}; {upstream} has the commit"


def _state() -> str:
    """Names what is to be pushed, and where to."""
    digest = hashlib.sha256()
    for name in (*COMMITTED[:2], *CONFIGURATION):
        path = Path(name)
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()
