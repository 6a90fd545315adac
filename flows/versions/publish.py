"""Commit what a run made, with a message that says what changed in images, and push it."""

import hashlib
from pathlib import Path
from typing import Any

from flows.versions.diff import as_text, compare, count_line
from flows.versions.dvc_graph import in_repo
from flows.versions.git import git
from flows.versions.revision import WORKSPACE, changed_since_run, read_versions
from tasks.common import machine
from tasks.common.errors import UserError
from tasks.common.params import PARAMS_FILE

COMMITTED = ("dvc.lock", "data/raw.dvc", str(PARAMS_FILE), "metrics", "plots")
UNTOLD = {
    "data/raw",
    "ingest",
    "validate",
}  # while these have changed, nobody knows what did in images
CONFIGURATION = (".dvc/config", ".dvc/config.local")


def changes() -> dict[str, Any] | None:
    """What changed in images since the last commit; None where that has no dataset, or a run ended before validate."""
    try:
        if UNTOLD.intersection(changed_since_run()):
            return None
        return compare(*read_versions(["HEAD", WORKSPACE]))
    except UserError:
        return None


def commit() -> str | None:
    """Commit what the pipeline wrote, and nothing else; the subject, or None where nothing changed.

    Raises:
        UserError: where git refuses.
    """
    paths = [path for path in COMMITTED if Path(path).exists()]
    # what a stage that was ended has removed comes back with its next run
    gone = (
        git("diff", "--name-only", "--relative", "--diff-filter=D", "-z", "HEAD", "--", *paths)
        .decode()
        .split("\0")
    )
    paths += [f":(exclude,literal){name}" for name in gone if name and not Path(name).exists()]
    git("add", "--", *paths, check=True)
    if not git("status", "--porcelain", "--untracked-files=no", "--", *paths, check=True):
        return None
    message = commit_message(changes())
    git("commit", "--quiet", "--message", message, "--", *paths, check=True)
    return message.partition("\n")[0]


def commit_message(found: dict[str, Any] | None) -> str:
    """The subject says how many images came and went, the body what else changed."""
    if found is None:
        why = "What changed in images is not known: it takes what validate left, in the commit before and now."
        return f"Dataset: new version\n\n{why}\n"
    return f"Dataset: {count_line(found)}\n\n{as_text(found)}\n"


def push() -> str:
    """`dvc push`, then `git push` where the branch has an upstream: nobody gets a commit without its data.

    What was pushed the last time is not looked for again, unless there is a commit to push.

    Raises:
        UserError: where there is no remote, or it cannot be reached.
    """
    marker, state = machine.cache_folder() / "pushed", _state()
    upstream = git("rev-parse", "--abbrev-ref", "HEAD@{upstream}").decode().strip()
    ahead = upstream and git("rev-list", f"{upstream}..HEAD")
    if ahead or not (marker.is_file() and marker.read_text() == state):
        sent = in_repo(lambda repo: repo.push())
        marker.write_text(state)
        told = f"{sent:,} files to DVC's remote"
    else:
        told = "nothing new for DVC's remote"
    if not upstream:
        return f"{told}; no git push: the branch has no upstream"
    if ahead:
        git("push", "--quiet", check=True)
    return f"{told}; {upstream} has the commit"


def _state() -> str:
    """Names what is to be pushed, and where to."""
    digest = hashlib.sha256()
    for name in (*COMMITTED[:2], *CONFIGURATION):
        path = Path(name)
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()
