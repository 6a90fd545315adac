"""Transfers to and from DVC's remote: what fails, in one line that names the files."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dvc.config import NoRemoteError
from dvc.exceptions import DownloadError, DvcException, UploadError
from dvc.repo import Repo
from dvc_data.hashfile.transfer import logger as transfer_logger
from dvc_objects.fs.errors import RemoteMissingDepsError

from flows.versions.dvc_graph import message_of
from flows.versions.raw_listing import first_names
from tasks.common.errors import UserError
from tasks.common.texts import counted

PACKAGES = {"s3": "variegate[s3]"}  # by the kind of a remote; else dvc-<kind>
Failures = dict[str, BaseException | None]  # by the hash of the file that did not arrive


def push(repo: Repo) -> int:
    """`dvc push`; how many files it sent.

    Raises:
        UserError: where not all arrived.
    """
    with _in_one_line(repo, "`dvc push` sends what is missing"):
        return int(repo.push())


def pull(repo: Repo, targets: list[str] | None = None, **options: bool) -> None:
    """`dvc pull` of these stages and .dvc files, or of all.

    Raises:
        UserError: where not all arrived.
    """
    with _in_one_line(
        repo, "`dvc push` it where it was made, or see docs/team.md, then pull again"
    ):
        repo.pull(targets, **options)


def place(repo: Repo) -> str:
    """The default remote, without a login that its address may have; "" without a remote."""
    name, url = _default(repo)
    scheme, separator, rest = url.rpartition("://")
    address, slash, path = rest.partition("/")
    shown = f"{scheme}{separator}{address.rpartition('@')[2]}{slash}{path}"
    return f"{name} ({shown})" if name else ""


def missing_package(repo: Repo) -> str:
    """What to install for the default remote's kind; "" where nothing is missing."""
    try:
        repo.cloud.get_remote_odb()  # asks no server
    except NoRemoteError:
        return ""
    except (ImportError, RemoteMissingDepsError):
        scheme = _default(repo)[1].partition("://")[0]
        return f"pip install '{PACKAGES.get(scheme, f'dvc-{scheme}')}'"
    return ""


def _default(repo: Repo) -> tuple[str, str]:
    """The name and the address of the default remote; twice "" without one."""
    name = repo.config["core"].get("remote", "")
    return name, str(repo.config["remote"].get(name, {}).get("url", ""))


@contextmanager
def _in_one_line(repo: Repo, mend: str) -> Iterator[None]:
    """Raise UserError for whatever a transfer fails with; DVC itself would log hashes alone."""
    failures: Failures = {}
    handler = _Collector(failures)
    transfer_logger.addHandler(handler)
    transfer_logger.propagate = False
    try:
        yield
    except (UploadError, DownloadError) as error:
        raise _not_arrived(repo, failures, error, mend) from error
    except DvcException:  # in_repo() has the words
        raise
    except Exception as error:  # each kind of remote has exceptions of its own
        raise UserError(f"DVC's remote {place(repo)}: {_reason(repo, error)}") from error
    finally:
        transfer_logger.propagate = True
        transfer_logger.removeHandler(handler)


class _Collector(logging.Handler):
    """Takes DVC's records of files that it failed to transfer: their hash and the error."""

    def __init__(self, failures: Failures) -> None:
        super().__init__()
        self.failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == "failed to transfer '%s'" and isinstance(record.args, tuple):
            self.failures[str(record.args[0])] = record.exc_info[1] if record.exc_info else None


def _not_arrived(
    repo: Repo, failures: Failures, error: UploadError | DownloadError, mend: str
) -> UserError:
    """Says which files did not arrive, and why the first of them did not."""
    names = sorted(_names(repo, set(failures))) or [counted(error.amount, "file")]
    first = next((failure for failure in failures.values() if failure), error)
    there = "reach" if isinstance(error, UploadError) else "come from"
    did_not = f"did not {there} DVC's remote {place(repo)}: {_reason(repo, first)}"
    return UserError(f"{first_names(names)} {did_not}; {mend}")


def _names(repo: Repo, hashes: set[str]) -> Iterator[str]:
    """The paths of files with these hashes in the workspace's outputs; a hash where none has it."""
    unknown = set(hashes)
    for out in repo.index.outs:
        found = [(str(out), out.hash_info.value if out.hash_info else None)]
        if out.hash_info and out.is_dir_checksum and (tree := out.get_dir_cache()):
            files = tree.as_dict().items()
            found += [("/".join([str(out), *key]), info.value) for key, (_, info) in files]
        named = [(name, value) for name, value in found if value in hashes]
        unknown -= {str(value) for _, value in named}
        yield from (name for name, _ in named)
    yield from unknown


def _reason(repo: Repo, error: BaseException) -> str:
    if isinstance(error, ImportError | RemoteMissingDepsError):
        return f"needs a package that is not installed: {missing_package(repo)}"
    return message_of(error).rstrip(".") or type(error).__name__
