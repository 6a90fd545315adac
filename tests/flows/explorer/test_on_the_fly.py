"""Variants made for a page: those of the ledger, and those that a run or training would make."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from flows.explorer import on_the_fly
from flows.explorer.on_the_fly import MOST_INDEX, MOST_MADE, Shown, make
from flows.inputs import read_inputs
from tasks.commands.verify import remake_variant
from tasks.common.errors import UserError
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.paths import LEDGER, RAW
from tasks.dataset.selections import planned_variants
from tasks.variants.originals import read_originals
from tests.conftest import Project
from tests.flows.explorer.dataset import EVIL, PLAIN, VARIANTS, row_of


def source(name: str) -> str:
    return str(row_of(f"train/{name}")["source_id"])


def test_stored_variants_are_made_again_with_equal_bytes_and_measures(explored: Project) -> None:
    for row in planned_variants(read_ledger()).to_dict("records"):
        made = make(row["source_id"], row["variant_index"])
        known = {name: value for name, value in made.row.items() if value is not None}
        assert known == {name: row[name] for name in known}
        assert (made.data is None) == (row["status"] == "rejected")
        assert made.notes == []


@pytest.mark.parametrize("name", [f"{EVIL}/0.png", f"{PLAIN}/deep.png"])
@pytest.mark.parametrize("stored", [True, False])
def test_beyond_the_ledger_it_is_what_a_larger_number_would_give(
    explored: Project, name: str, stored: bool
) -> None:
    """With `distinct`, whose images run out for the class that is inverted alone."""
    if not stored:
        LEDGER.unlink()
    inputs = read_inputs()
    originals = read_originals(inputs.validated, inputs.recipes.general.preprocessing)
    for index in (1, VARIANTS + 1, 9):
        variant_id = f"{source(name)}-v{index:03}"
        expected = remake_variant(variant_id, inputs.validated, inputs.recipes, originals)
        made = make(source(name), index)
        assert (made.row, made.data) == (expected.row, expected.data)


def test_of_a_far_variant_those_before_it_are_not_made_and_the_page_says_so(
    explored: Project,
) -> None:
    near, far = VARIANTS + MOST_MADE + 1, VARIANTS + MOST_MADE + 2
    assert make(source(f"{PLAIN}/0.png"), near).notes == []
    assert make(source(f"{PLAIN}/0.png"), far).notes == [
        f"{MOST_MADE + 1} variants before it are not stored and were not made: "
        "where one of them is equal to it, training draws it again"
    ]
    made = make(source(f"{PLAIN}/0.png"), MOST_INDEX)
    assert made.data is not None and made.row["variant_id"].endswith("-v10000")
    explored.set_params(augment__distinct=False)
    assert len(make(source(f"{PLAIN}/0.png"), far).notes) == 1  # of the other recipe alone


def test_another_recipe_than_the_ledgers_is_told(explored: Project) -> None:
    id = source(f"{PLAIN}/0.png")
    before = make(id, 1)
    theirs = read_ledger().query("source_id == @id")["recipe_hash"].iloc[0]
    explored.set_params(augment__seed=7)
    after = make(id, 1)
    assert after.row["seed"] != before.row["seed"]
    (note,) = after.notes
    assert note.startswith("params.yaml now says recipe ")
    assert note.endswith(f"; the ledger's variants were made by recipe {theirs}")


def test_a_variant_that_equals_a_held_out_image_is_rejected(explored: Project) -> None:
    """As augment leaves it out: the held-out image is this source, inverted."""
    inverted = make(source(f"{EVIL}/0.png"), 1)
    assert inverted.data is not None
    (RAW / "test" / EVIL / "inverted.png").write_bytes(inverted.data)
    explored.stages_here("ingest", "validate")
    id = source(f"{EVIL}/0.png")
    held_out = row_of(f"test/{EVIL}/inverted.png")["source_id"]
    made = make(id, 1)
    assert made.data is None and made.row["reason"] == f"equals_held_out: {held_out}"


def test_what_is_no_training_image_is_refused(explored: Project) -> None:
    test = str(row_of(f"test/{EVIL}/0.png")["source_id"])
    for id in (test, "0" * 16):
        with pytest.raises(UserError) as error:
            make(id, 1)
        assert str(error.value) == (
            f"source {id!r}: no training image of data/validated/manifest.parquet"
        )


def test_a_source_that_changed_or_is_too_large_is_refused(
    explored: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, path = source(f"{PLAIN}/1.png"), RAW / "train" / PLAIN / "1.png"
    make(id, 1)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(UserError) as changed:
        make(id, 1)
    assert str(changed.value) == (f"{path}: changed since it was validated; run from ingest again")
    path.unlink()
    os.mkfifo(path)  # to read it would never end, and all that wait for a variant would wait on
    with pytest.raises(UserError, match="changed since it was validated"):
        make(id, 1)
    path.unlink()
    with pytest.raises(UserError, match="gone since it was validated"):
        make(id, 1)
    monkeypatch.setattr(on_the_fly, "LARGEST_SOURCE", 100)
    with pytest.raises(UserError) as large:
        make(id, 1)
    assert str(large.value) == (
        f"source {id!r}: needs at most 100 pixels to be varied in a page, found 96 x 96 pixels"
    )


def test_which_variant_an_epoch_shows() -> None:
    assert Shown("online", 3, 10).index_of(5) == 5
    assert Shown("both", 3, 10).index_of(5) == 8
    assert Shown("offline", 3, 10).index_of(5) == 5
    assert [Shown("both", 3, epochs).most for epochs in (1, 40, 10**6)] == [20, 43, MOST_INDEX]
    with pytest.raises(UserError) as error:
        Shown("both", 3, 10).index_of(MOST_INDEX)
    assert str(error.value) == "epoch 10,000: needs a variant up to 10,000, is 10,003"


def test_a_label_rule_makes_another_class_of_it(explored: Project) -> None:
    rule = {"classes": [EVIL], "relabel": {"InvertImg": {EVIL: PLAIN}}}
    explored.set_params(augment__labels=[rule])
    made = make(source(f"{EVIL}/0.png"), 1)
    assert (made.row["label"], made.row["source_label"]) == (PLAIN, EVIL)


def test_sources_of_the_manifest_have_what_making_needs(explored: Project) -> None:
    """Also one inside a tar, whose bytes lie at an offset."""
    inside = f"{PLAIN}/shard.tar::inside.jpg"
    assert pd.notna(row_of(f"train/{inside}")["offset"])
    made = make(source(inside), 2)
    assert made.data is not None and made.data.startswith(b"\xff\xd8")
    assert len(read_validated()) > 20


def test_what_makes_variants_is_imported_when_the_first_is_asked_for() -> None:
    code = (
        "import sys, flows.explorer.server; print({'torch', 'albumentations', 'prefect', 'dvc'} "
        "& sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
