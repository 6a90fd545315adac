import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from tasks.common import tables, temporary
from tasks.common.temporary import atomic_write, locked_beside, remove_abandoned

HOLD = """
import sys, time
from pathlib import Path
from tasks.common.temporary import locked_beside
path = Path(sys.argv[1])
with locked_beside(path), locked_beside(path, Path.mkdir) as folder:
    (folder / "content").touch()
    print(flush=True)
    time.sleep(60)
"""
SCHEMA = pa.schema({"number": pa.int64()})
ROWS = pd.DataFrame({"number": [1, 2, 3]})


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


@pytest.mark.parametrize(
    "write",
    [
        lambda path: tables.write_table(path, ROWS, SCHEMA),
        lambda path: tables.write_arrow(path, tables.to_arrow(ROWS, SCHEMA)),
        lambda path: tables.write_csv(path, ROWS),
        lambda path: tables.write_json(path, {}),
        lambda path: tables.write_text(path, ""),
    ],
    ids=["table", "arrow", "csv", "json", "text"],
)
def test_every_writer_removes_what_a_killed_process_left_and_nothing_else(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / ".file.0123abcd.tmp").touch()
    (tmp_path / ".notes.tmp").touch()
    write(tmp_path / "file")
    assert {path.name for path in tmp_path.iterdir()} == {"file", ".notes.tmp"}


def test_thousands_of_files_cost_one_look_through_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []
    monkeypatch.setattr(temporary, "remove_abandoned", looks.append)
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        for path in (Path(f"a/{number}"), tmp_path / f"a/{number}", Path(f"b/{number}")):
            with atomic_write(path) as file:
                file.touch()
    assert looks == [tmp_path / "a", tmp_path / "b"]
