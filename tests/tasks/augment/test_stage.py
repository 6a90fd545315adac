"""What the stage leaves does not depend on workers, order, history or interruption."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from tasks.pixels.hashing import sha256
from tests.conftest import Project, fill, marked, wait_until

NAMES = ("ingest", "validate", "augment")
# in one process, which saves most of the time: each import of a stage takes as long as the stage
DATA_STAGES = "; ".join(
    f"from tasks.{name} import __main__ as {name}; {name}.main()" for name in NAMES
)
LEDGER = "data/augmented/manifest.parquet"


def run_data_stages(project: Project, **environment: str) -> str:
    """Ingest, validate, augment, from nothing as DVC does it; gives what they said."""
    remove_outputs(project)
    return project.stages_here(*NAMES, **environment)


def remove_outputs(project: Project) -> None:
    for folder in ("ingested", "validated", "augmented"):
        shutil.rmtree(project.path(f"data/{folder}"), ignore_errors=True)


def run_apart(project: Project) -> str:
    """The same in a process of its own, which remembers nothing of the cache's files."""
    remove_outputs(project)
    return project.run(sys.executable, "-c", DATA_STAGES).stdout


def cold(project: Project) -> dict[str, str]:
    """The hashes that a run without any memory leaves."""
    shutil.rmtree(project.path(".variegate"), ignore_errors=True)
    run_apart(project)
    return project.data_hashes()


def test_ledger_counts_and_tars_reconcile(digits: Project) -> None:
    said = run_data_stages(digits)
    ledger = pd.read_parquet(digits.path(LEDGER))
    counts = pd.read_csv(digits.path("data/augmented/counts.csv"))
    members = {}
    for path in digits.path("data/augmented/segments").iterdir():
        with tarfile.open(path) as tar:
            members |= {m.name.removesuffix(".png"): sha256(tar.extractfile(m).read()) for m in tar}
    train = counts[counts["split"] == "train"]
    assert list(counts) == [
        "source_id",
        "file_name",
        "label",
        "split",
        "planned",
        "written",
        "rejected",
    ]
    assert len(counts) == 18 and len(train) == 12
    assert train["planned"].tolist() == [4] * 12
    assert (counts["planned"] == counts["written"] + counts["rejected"]).all()
    assert counts.loc[counts["split"] != "train", "planned"].sum() == 0
    assert len(ledger) == 12 * 5
    new = ledger[ledger["variant_index"] > 0]
    assert members == dict(zip(new["variant_id"], new["sha256"], strict=True))
    originals = ledger[ledger["variant_index"] == 0]
    assert originals["segment"].isna().all() and len(originals) == 12
    assert "planned 48, written 48, rejected 0, training images 60, made 48, reused 0" in said


@pytest.mark.parametrize("workers", ["2", "4"])
def test_the_number_of_workers_changes_nothing(workers: str, digits: Project) -> None:
    expected = cold(digits)
    shutil.rmtree(digits.path(".variegate"))
    run_data_stages(digits, VARIEGATE_WORKERS=workers)
    assert digits.data_hashes() == expected


def test_one_image_more_makes_only_its_own_and_equals_a_cold_run(digits: Project) -> None:
    digits.set_params(
        validate__stratify="stable",
        validate__train=0.98,
        validate__validation=0.01,
        validate__test=0.01,
    )
    digits.write_digits(per_class=70, folder="data/pool")
    for label in "012":  # enough for each split to hold some
        for path in sorted(digits.path(f"data/pool/{label}").iterdir())[6:69]:
            shutil.copy(path, digits.path(f"data/raw/{label}/{path.name}"))
    run_data_stages(digits)
    before = pd.read_parquet(digits.path(LEDGER))
    for path in sorted(digits.path("data/pool/0").iterdir())[69:]:
        shutil.copy(path, digits.path(f"data/raw/0/{path.name}"))
    said = run_data_stages(digits)
    after = pd.read_parquet(digits.path(LEDGER))
    assert len(after) - len(before) == 5
    assert f"made 4, reused {(before['variant_index'] > 0).sum()}" in said
    assert digits.data_hashes() == cold(digits)


@pytest.mark.parametrize(
    "change", ["delete", "rename", "relabel", "more variants", "fewer variants"]
)
def test_every_edit_reuses_and_equals_a_cold_run(change: str, digits: Project) -> None:
    run_data_stages(digits)
    first = digits.path("data/raw/0/0000.png")
    if change == "delete":
        first.unlink()
    elif change == "rename":
        first.rename(first.with_name("zzz.png"))
    elif change == "relabel":
        first.rename(digits.path("data/raw/1/0000.png"))
    else:
        digits.set_params(augment__variants_per_image=6 if change == "more variants" else 2)
    said = run_data_stages(digits)
    if change == "more variants":
        assert "made 24, reused 48" in said
    if change == "fewer variants":
        assert "made 0, reused 24" in said
    if change == "rename":
        assert "made 0, reused 48" in said
    assert digits.data_hashes() == cold(digits)


def test_a_changed_recipe_makes_all_anew(digits: Project) -> None:
    run_data_stages(digits)
    digits.set_params(augment__seed=1)
    assert "made 48, reused 0" in run_data_stages(digits)


def test_a_damaged_cache_is_not_trusted(digits: Project) -> None:
    run_data_stages(digits)
    expected = digits.data_hashes()
    (tar,) = digits.path(".variegate/segments").rglob("*.tar")
    data = bytearray(tar.read_bytes())
    data[600] ^= 1  # in the first image
    tar.unlink()
    tar.write_bytes(data)
    assert "made 48, reused 0" in run_apart(digits)
    assert digits.data_hashes() == expected
    (rows,) = digits.path(".variegate/segments").rglob("*.parquet")
    rows.write_bytes(rows.read_bytes()[:100])
    assert "made 48, reused 0" in run_apart(digits)
    assert digits.data_hashes() == expected
    flipped = bytearray(rows.read_bytes())
    flipped[len(flipped) // 3] ^= 1  # in the rows: their pages have checksums
    rows.unlink()
    rows.write_bytes(flipped)
    assert "made 48, reused 0" in run_apart(digits)
    assert digits.data_hashes() == expected


@pytest.mark.parametrize("ending", ["parquet", "sources", "tar"])
def test_damage_in_any_cached_file_is_mended_by_a_run(ending: str, digits: Project) -> None:
    run_data_stages(digits)
    (path,) = digits.path(".variegate/segments").rglob(f"*.{ending}")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    digits.set_params(
        augment__variants_per_image=5
    )  # of each source some variants were made before
    assert "made 60, reused 0" in run_apart(digits)
    expected = digits.data_hashes()
    assert "made 0, reused 60" in run_apart(digits)
    assert digits.data_hashes() == expected == cold(digits)


@pytest.mark.starts
def test_a_killed_run_resumes_and_ends_as_if_it_had_not_been_killed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    project = fill(tmp_path / "a")
    project.write_digits(per_class=50, classes=10)
    # large images, so that there are some segments to be killed between
    project.set_params(augment__policy=[{"RandomResizedCrop": {"size": [120, 120], "p": 1.0}}])
    project.stages_here("ingest", "validate")
    running = subprocess.Popen(
        [sys.executable, "-m", "tasks.augment"],
        cwd=project.root,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: len(list(project.path(".variegate").rglob("*.parquet"))) >= 1, seconds=60)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not project.path(LEDGER).exists()
    shutil.rmtree(project.path("data/augmented"))
    said = project.stage("augment").stdout
    assert "reused 0" not in said and "made 0" not in said
    assert project.data_hashes() == cold(project)


@pytest.mark.starts
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    project = fill(tmp_path)
    project.write_digits(per_class=100, classes=10)
    project.set_params(augment__variants_per_image=200)
    for name in ("ingest", "validate"):
        project.stage(name)
    mark = f"{os.getpid()}-{tmp_path.name}"
    running = subprocess.Popen(
        [sys.executable, "-m", "tasks.augment"],
        cwd=project.root,
        env={**project.environment, "VARIEGATE_WORKERS": "2", "VARIEGATE_MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: len(marked(mark)) >= 4, seconds=30)  # stage, fork server, workers
    running.kill()
    running.wait()
    wait_until(lambda: not marked(mark), seconds=30)


if not Path("/proc").is_dir():
    test_workers_end_when_their_parent_is_killed = pytest.mark.skip("needs /proc")(  # type: ignore[assignment]
        test_workers_end_when_their_parent_is_killed
    )


def test_the_cache_is_bounded(digits: Project) -> None:
    run_data_stages(digits, VARIEGATE_CACHE_GB="0.00001")
    assert list(digits.path(".variegate").rglob("*.tar")) == []
    done = digits.stage("augment", check=False, VARIEGATE_CACHE_GB="lots")
    assert (done.returncode, done.stderr) == (
        2,
        "error: VARIEGATE_CACHE_GB: needs a number, found 'lots'\n",
    )


def test_a_bad_policy_is_told_before_any_work(digits: Project) -> None:
    digits.set_params(augment__policy=["Flop"])
    done = digits.stage("augment", check=False)
    expected = (
        "error: params.yaml augment.policy[0] Flop: unknown transform; "
        "docs/policies.md lists the known\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)
