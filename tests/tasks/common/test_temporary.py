import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.common.temporary import locked_beside, remove_abandoned

HOLD = """
import sys, time
from pathlib import Path
from tasks import scratch
with scratch.beside(Path(sys.argv[1])) as file, scratch.beside(Path(sys.argv[1]), Path.mkdir) as folder:
    (folder / "content").touch()
    print(flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> int:
    return len(list(folder.iterdir()))


def test_what_is_renamed_stays_and_all_else_goes(tmp_path: Path) -> None:
    with (
        locked_beside(tmp_path / "file") as file,
        locked_beside(tmp_path / "folder", Path.mkdir) as folder,
    ):
        (folder / "content").touch()
        file.rename(tmp_path / "file")
    with pytest.raises(FileNotFoundError), locked_beside(tmp_path / "other"):
        raise FileNotFoundError
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_holds_is_not(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "x")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        remove_abandoned(tmp_path)
        assert names(tmp_path) == 2
        os.kill(process.pid, signal.SIGKILL)
    assert names(tmp_path) == 2
    remove_abandoned(tmp_path)
    assert names(tmp_path) == 0
