"""Commit what a run made, with a message that counts the changed images, and push it."""

import hashlib
from pathlib import Path
from typing import Any

from flows.versions import remote
from flows.versions.diff import as_text, compare, count_line
from flows.versions.dvc_graph import in_repo
from flows.versions.git import git
from flows.versions.revision import WORKSPACE, changed_since_run, read_versions
from tasks.common import machine
from tasks.common.errors import UserError
from tasks.common.params import PARAMS_FILE
from tasks.common.texts import counted

COMMITTED = ("dvc.lock", "data/raw.dvc", str(PARAMS_FILE), "metrics", "plots")
# while one of these is out of date, the validated manifest does not describe data/raw
STAGES_BEFORE_DIFF = {"data/raw", "ingest", "validate"}
DVC_CONFIGURATION = (".dvc/config", ".dvc/config.local")
UNKNOWN_CHANGES = (
    "What changed in images is not known: "
    "it takes what validate left, in the commit before and now."
)


def changes_since_commit() -> dict[str, Any] | None:
    """What changed in images since the last commit: see diff.compare().

    None where the last commit has no dataset, or a run ended before validate.
    """
    try:
        if STAGES_BEFORE_DIFF.intersection(changed_since_run()):
            return None
        return compare(*read_versions(["HEAD", WORKSPACE]))
    except UserError:
        return None


def commit() -> str | None:
    """Commit the files of the pipeline (COMMITTED), and nothing else that git tracks.

    Returns:
        The subject of the commit; None where nothing changed.

    Raises:
        UserError: where git refuses.
    """
    paths = [path for path in COMMITTED if Path(path).exists()]
    paths += [f":(exclude,literal){name}" for name in _deleted_files(paths)]
    git("add", "--", *paths, check=True)
    if not git("status", "--porcelain", "--untracked-files=no", "--", *paths, check=True):
        return None
    message = commit_message(changes_since_commit())
    git("commit", "--quiet", "--message", message, "--", *paths, check=True)
    return message.partition("\n")[0]


def _deleted_files(paths: list[str]) -> list[str]:
    """The files of HEAD under `paths` that the workspace lacks.

    A stage that was killed has removed its outputs, and its next run writes them again: that they
    are gone is nothing to commit.
    """
    names = git(
        "diff", "--name-only", "--relative", "--diff-filter=D", "-z", "HEAD", "--", *paths
    ).decode()
    return [name for name in names.split("\0") if name and not Path(name).exists()]


def commit_message(found: dict[str, Any] | None) -> str:
    """A commit message: the subject counts the changed images, the body is `variegate diff`.

    Args:
        found: see changes_since_commit().
    """
    if found is None:
        return f"Dataset: new version\n\n{UNKNOWN_CHANGES}\n"
    return f"Dataset: {count_line(found)}\n\n{as_text(found)}\n"


def push() -> str:
    """`dvc push`, then `git push` where the branch has an upstream: no commit without its data.

    `dvc push` asks the remote for every file, which takes long: it is left out where the versions
    and the remote are those of the last push, and there is no commit to push.

    Returns:
        What was pushed, in one line.

    Raises:
        UserError: where there is no remote, or it cannot be reached.
    """
    last_push, fingerprint = machine.cache_folder() / "pushed", _push_fingerprint()
    upstream = git("rev-parse", "--abbrev-ref", "HEAD@{upstream}").decode().strip()
    ahead = upstream and git("rev-list", f"{upstream}..HEAD")
    if ahead or not (last_push.is_file() and last_push.read_text() == fingerprint):
        sent = in_repo(remote.push)
        last_push.write_text(fingerprint)
        pushed = f"{counted(sent, 'file')} to DVC's remote"
    else:
        pushed = "nothing new for DVC's remote"
    if not upstream:
        return f"{pushed}; no git push: the branch has no upstream"
    if ahead:
        git("push", "--quiet", check=True)
    return f"{pushed}; {upstream} has the commit"


def _push_fingerprint() -> str:
    """A hash of what DVC would push, and of its configuration, which says where to."""
    digest = hashlib.sha256()
    for name in ("dvc.lock", "data/raw.dvc", *DVC_CONFIGURATION):
        path = Path(name)
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()
