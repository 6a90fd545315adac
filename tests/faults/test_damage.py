"""Flipped bits and files cut short: made anew with equal bytes, or one line; never used."""

import os
import random
import re
import shlex
import sqlite3
from collections.abc import Callable

import pytest

from tests.conftest import Project
from tests.faults.conftest import Environment, Undisturbed, copy, lines_of
from tests.tasks.augment.test_stage import run_data_stages

pytestmark = pytest.mark.slow

CHANGES = {
    "validate": {"near_duplicates": "off"},
    "augment": {"variants_per_image": 3},
    "train": {"epochs": 1},
}
FILES = [  # what is damaged, and the stage that reads it next
    ("data/ingested/manifest.parquet", "validate"),
    ("data/ingested/found.json", "validate"),
    ("data/validated/manifest.parquet", "augment"),
    ("data/augmented/manifest.parquet", "train"),
    ("data/augmented/segments/*.tar", "train"),
]


def flip(data: bytes) -> bytes:
    place = 600 if len(data) > 20_000 else 300  # in a tar's first image, or in a manifest's rows
    return bytes([*data[:place], data[place] ^ 1, *data[place + 1 :]])


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


# --- what DVC keeps -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected(
    undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The dvc.lock with a changed parameter, so that the stage reads its input again."""
    locks = {}
    for stage, change in CHANGES.items():
        project = copy(undisturbed.finished, tmp_path_factory.mktemp(stage) / "project")
        set_params(project, stage, change)
        project.run("dvc", "repro", stage)
        locks[stage] = project.path("dvc.lock").read_bytes()
    return locks


@pytest.mark.parametrize(
    ("damage", "noticed"), [(flip, False), (cut, True)], ids=["flipped", "cut"]
)
@pytest.mark.parametrize(("name", "stage"), FILES)
def test_damage_of_what_a_stage_left(
    name: str,
    stage: str,
    damage: Callable[[bytes], bytes],
    noticed: bool,
    done: Project,
    expected: dict[str, bytes],
    prefect_server: Environment,
) -> None:
    done.environment |= prefect_server
    if (name, damage) == ("data/ingested/found.json", flip):
        pytest.skip("a bit of its text is checked by DVC alone, which asks for size and time first")
    done.run("dvc", "repro")  # DVC takes note of this copy's inodes
    (path,) = done.root.glob(name)
    before = path.stat()
    path.write_bytes(
        damage(path.read_bytes())
    )  # in place: DVC's cache and the private one share it
    if not noticed:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    set_params(done, stage, CHANGES[stage])
    first = done.run("dvc", "repro", stage, check=False)
    if first.returncode != 0:
        for command in told(lines_of(first)):
            done.run(*shlex.split(command), check=False)
        done.run("dvc", "repro", stage)
    assert done.path("dvc.lock").read_bytes() == expected[stage]
    assert "every variant is what the ledger says" in done.variegate("verify").stdout


def set_params(project: Project, stage: str, change: dict[str, object]) -> None:
    project.set_params(**{f"{stage}__{key}": value for key, value in change.items()})


def told(lines: list[str]) -> list[str]:
    """The one line that the run ended with, and the commands that it names."""
    assert not any("Traceback" in line for line in lines), "\n".join(lines)
    (line,) = [line for line in lines if line.startswith("error: ")]
    commands = re.findall(r"`(variegate .+?)`", line)
    assert commands, line
    return [command.replace("verify", "verify --repair") for command in commands]


# --- the private cache ----------------------------------------------------------------------------

RANDOM = random.Random(4)
PLACES = [RANDOM.random() for _ in range(4)]


@pytest.mark.parametrize("damage", ["flip", "cut"])
@pytest.mark.parametrize("place", PLACES)
def test_a_damaged_memory_is_made_anew(
    place: float, damage: str, undisturbed: Undisturbed, done: Project
) -> None:
    path = done.path(".variegate/memory.sqlite")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    expected = done.data_hashes()
    data = bytearray(path.read_bytes())
    at = int(place * len(data))
    data[at] ^= 1 << at % 8
    path.write_bytes(data if damage == "flip" else data[:at])
    run_data_stages(done)
    assert done.data_hashes() == expected
    assert "is not kept" not in run_data_stages(done)  # it works again
    assert done.data_hashes() == expected


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("ending", ["tar", "parquet", "sources"])
def test_a_damaged_segment_of_the_private_cache(
    ending: str, damage: Callable[[bytes], bytes], done: Project, undisturbed: Undisturbed
) -> None:
    (path,) = done.path(".variegate/segments").glob(f"*.{ending}")
    data = path.read_bytes()
    path.unlink()  # the tar is DVC's too
    path.write_bytes(damage(data) if len(data) > 300 else data[:-1])
    said = done.run("dvc", "repro", "--force", "augment").stdout
    assert "made 48, reused 0" in said
    assert done.path("dvc.lock").read_bytes() == undisturbed.lock
    assert path.read_bytes() == data
    assert "every variant is what the ledger says" in done.variegate("verify").stdout
