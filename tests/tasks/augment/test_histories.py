"""Whatever the dataset's history, the stage leaves what a cold run of its last state leaves."""

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.augment import committed_segments, expand, segments
from tasks.augment.committed_segments import read_segments
from tasks.augment.tar_format import END
from tasks.common import tables
from tasks.dataset.paths import LEDGER, SEGMENTS
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants import recipe as recipes
from tasks.variants.originals import OF_THE_DATASET
from tasks.variants.recipe import Recipes
from tests.tasks.augment.datasets import COMMITTED, Dataset, files_below, run

pytestmark = pytest.mark.starts  # each test runs the stage many times, in this process


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few sources, one process, and a folder in the place of DVC's cache."""
    monkeypatch.setattr(segments, "MEAN_BYTES", 8 * 1024)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setattr(
        recipes, "library_versions", dict
    )  # they take longer to ask for than all else
    # as in a dataset of so many segments that none is remembered
    monkeypatch.setattr(segments, "read_row_group", segments.read_row_group.__wrapped__)
    monkeypatch.setattr(expand, "is_sound", segments.is_sound.__wrapped__)
    monkeypatch.setattr(committed_segments, "COMMITS", ("HEAD",))
    monkeypatch.setattr(committed_segments, "committed_files", lambda *_: files_below(COMMITTED))


def variants_in(path: Path) -> set[tuple[str, str]]:
    """The variants that rows of a ledger hold, but for those that other images forbid."""
    rows = pq.read_table(path, columns=["variant_id", "recipe_hash", "variant_index", "reason"])
    return {
        (row["variant_id"], row["recipe_hash"])
        for row in rows.to_pylist()
        if row["variant_index"] and not (row["reason"] or "").startswith(OF_THE_DATASET)
    }


def made_before(folder: Path) -> set[tuple[str, str]]:
    """The variants, each with its recipe, that are in the private cache or were committed."""
    found: set[tuple[str, str]] = set()
    for index in folder.glob(".variegate/segments/*.sources"):
        rows, tar = (
            index.with_suffix(".parquet"),
            index.with_name(f"{index.stem.partition('-')[0]}.tar"),
        )
        found |= variants_in(rows) if rows.is_file() and tar.is_file() else set()
    committed = folder / COMMITTED / "manifest.parquet"
    if committed.exists() and list(committed.parent.glob("segments/*")):
        found |= variants_in(committed)
    return found


def planned_in(ledger: Path) -> set[tuple[str, str]]:
    rows = pq.read_table(ledger, columns=["variant_id", "recipe_hash", "variant_index"])
    return {
        (row["variant_id"], row["recipe_hash"]) for row in rows.to_pylist() if row["variant_index"]
    }


def live(
    seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Dataset, dict[str, bytes]]:
    """A dataset with a history, and what its last run left; each run reuses all that it can."""
    dataset = Dataset(random.Random(seed))
    left, _ = run(dataset, folder, monkeypatch)
    for _ in range(dataset.rng.randint(3, 6)):
        dataset.edit()
        before = made_before(folder)
        left, said = run(dataset, folder, monkeypatch)
        if "error" in left:
            continue
        assert said["made"] == len(planned_in(LEDGER) - before)
        assert said["made"] + said["reused"] == said["planned"]
    return dataset, left


@pytest.mark.parametrize(
    "seed", [*range(80), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(80, 200))]
)
def test_a_history_leaves_what_a_cold_run_leaves(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 10 == 0:  # row groups that part a source's rows
        monkeypatch.setattr(tables, "ROWS_PER_GROUP", 7)
    dataset, left = live(seed, tmp_path / "warm", monkeypatch)
    cold, said = run(dataset, tmp_path / "cold", monkeypatch)
    assert left == cold
    assert "error" in cold or said["reused"] == 0


@pytest.mark.parametrize(("seed", "workers"), [(1, "2"), (2, "4"), (3, "2")])
def test_with_any_number_of_workers(
    seed: int, workers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 4 * 2**20)  # worker processes know no other
    _, expected = live(seed, tmp_path / "one", monkeypatch)
    monkeypatch.setenv("VARIEGATE_WORKERS", workers)
    assert live(seed, tmp_path / "many", monkeypatch)[1] == expected


def some(rng: random.Random, **labels: str) -> Dataset:
    """Images by name and label; class b gets no variants, each other image ends a segment."""
    dataset = Dataset(rng)
    dataset.files = {f"{name}.png": (label, dataset.content()) for name, label in labels.items()}
    dataset.count = {"variants_per_image": 2, "per_class": {"b": {"variants_per_image": 0}}}
    return dataset


def rename(dataset: Dataset, old: str, new: str) -> None:
    dataset.files[f"{new}.png"] = dataset.files.pop(f"{old}.png")


def test_sources_without_images_at_the_ends_of_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 1)
    dataset = some(random.Random(0), a1="b", a2="a", a3="b", a4="a", a5="b")

    def check(made: int, tars: int) -> None:
        left, said = run(dataset, tmp_path / "warm", monkeypatch)
        assert (said["made"], sum(name.endswith(".tar") for name in left)) == (made, tars)
        assert (
            left
            == run(dataset, tmp_path / f"cold after {len(list(tmp_path.iterdir()))}", monkeypatch)[
                0
            ]
        )
        monkeypatch.chdir(tmp_path / "warm")

    check(made=4, tars=2)  # a1 a2, a3 a4, a5
    dataset.commit_and_clone()
    check(made=0, tars=2)
    dataset.commit_and_clone()
    dataset.files["a6.png"] = "a", dataset.content()
    check(made=2, tars=3)  # a5 a6: not in the segment of a4, with which a5 was found
    rename(dataset, "a1", "a7")
    check(made=0, tars=3)  # a2, with the same bytes; a7 by itself
    rename(dataset, "a7", "a1")
    check(made=0, tars=3)


def test_segments_of_a_ledger_are_found_with_their_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MEAN_BYTES", 1)
    monkeypatch.setattr(tables, "ROWS_PER_GROUP", 4)
    dataset = some(random.Random(0), a1="b", a2="a", a3="a", a4="b", a5="b", a6="a", a7="b")
    run(dataset, tmp_path, monkeypatch)
    tars = {path.name: path for path in SEGMENTS.iterdir()}
    recipe = Recipes.from_params(dataset.params(), AS_DECODED).general.hash
    found = list(read_segments(LEDGER, tars))
    assert [(one.first, one.count, list(rows["rows"])) for one, rows in found] == [
        (0, 4, [1, 3]),
        (4, 3, [3]),
        (7, 6, [1, 1, 3, 1]),
    ]
    for one, rows in found:
        assert one.tar.stat().st_size == rows["size"].sum() + len(END)
        for source in rows:
            its = one.rows(int(source["start"]), int(source["start"]) + int(source["rows"]))
            assert its["sha256"][0].as_py() + recipe == source["key"].decode()
            assert its["variant_index"].to_pylist() == list(range(int(source["rows"])))
    found[1][0].tar.unlink()
    assert [one.name for one, _ in read_segments(LEDGER, tars)] == [
        found[0][0].name,
        found[2][0].name,
    ]
