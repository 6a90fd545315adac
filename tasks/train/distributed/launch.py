"""Start a stage on several devices: one process for each, by torch.distributed.run.

On one machine nothing is asked of the user, and nothing leaves it: processes find each other by a
file and speak over loopback. For several hosts, torch's own variables say how they meet:
PET_NNODES, PET_NODE_RANK, PET_MASTER_ADDR and PET_MASTER_PORT, or PET_RDZV_BACKEND and
PET_RDZV_ENDPOINT.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn

from tasks.common.errors import UserError
from tasks.train.distributed.rank import STORE

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

# Which failure is told, where several processes failed: the launcher ends those that go on.
ORDER = ("mend", "killed", "defect", "lost", "ended")
TOGETHER = "training on several devices"


def launch(module: str, devices: int) -> None:
    """Run `python -m module` in `devices` processes, and wait for them.

    Raises:
        UserError: what ended the first of them that failed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.run import parse_args, run

    hosts = host_count()
    if devices % hosts:
        raise UserError(
            f"params.yaml train.devices: needs a multiple of the {hosts} hosts of PET_NNODES, "
            f"found {devices}"
        )
    with TemporaryDirectory(prefix="variegate-ranks-") as folder, _quiet():
        arguments = [f"--nproc-per-node={devices // hosts}", f"--log-dir={folder}"]
        arguments += ["--max-restarts=0", "--signals-to-handle=SIGTERM,SIGHUP,SIGQUIT"]
        if hosts == 1:
            os.environ[STORE] = str(Path(folder, "ranks"))
            os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # it listens to all networks
            arguments += ["--rdzv-backend=c10d", f"--rdzv-endpoint={Path(folder, 'launcher')}"]
            arguments += ["--rdzv-conf=store_type=file"]
        try:
            run(parse_args([*arguments, "--module", module]))
        except ChildFailedError as error:
            _end_by(error.failures, devices)
        except RendezvousError as error:
            raise UserError(f"{TOGETHER}: the {hosts} hosts do not meet: {error}") from None
        except SignalException as error:
            sys.exit(128 + error.sigval)
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            os.environ.pop(STORE, None)


def host_count() -> int:
    """PET_NNODES; 1 where it is not set.

    Raises:
        UserError: where it is no number, or nothing says how the hosts meet.
    """
    text = os.environ.get("PET_NNODES", "1")
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UserError(f"PET_NNODES: needs a whole number from 1, found {text!r}")
    ways = ("PET_MASTER_ADDR", "PET_RDZV_ENDPOINT")
    if int(text) > 1 and not any(map(os.environ.get, ways)):
        raise UserError(f"PET_NNODES: {text} hosts need {' or '.join(ways)}, found neither")
    return int(text)


@contextmanager
def _quiet() -> Iterator[None]:
    """No word of torch's launcher: what it logs of a failure is said in one line instead."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _end_by(failures: "dict[int, ProcessFailure]", devices: int) -> NoReturn:
    """End as the process that failed first: the others fail because they lose it.

    Raises:
        UserError: unless that is a defect, whose traceback is printed.
    """
    rank, failure = min(failures.items(), key=lambda each: (ORDER.index(_kind(each[1])), each[0]))
    kind, text = _kind(failure), str(failure.message).rstrip()
    if kind == "mend":
        raise UserError(text) from None
    if kind in ("killed", "ended"):
        raise UserError(
            f"{TOGETHER}: process {rank + 1} of {devices} was ended by {failure.signal_name()}; "
            "is there enough memory?"
        ) from None
    if kind == "lost":
        reason = text.rpartition("\n")[2]
        raise UserError(f"{TOGETHER}: another process was lost: {reason}") from None
    print(text, file=sys.stderr)
    sys.exit(1)


def _kind(failure: "ProcessFailure") -> str:
    """What a process said of its failure, see rank.py, or how it was ended."""
    if failure.exitcode < 0:
        return "ended" if failure.exitcode == -signal.SIGTERM else "killed"
    return str(failure.error_file_data.get("kind", "defect"))
