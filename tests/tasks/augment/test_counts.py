"""Why variants were rejected: counted from the ledger, told in words; an error where all were."""

import json
import random
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.augment import counts
from tasks.common.errors import UserError
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.dataset.paths import AUGMENT_METRICS, LEDGER
from tasks.variants.params import AugmentParams
from tests.tasks.augment import datasets
from tests.tasks.augment.datasets import Dataset

CROP = "failed: ValueError: crop is larger"
REASONS = [None, "not_distinct", CROP, "failed: KeyError: 3", "equals_held_out: 0123", "one_colour"]


def ledger(*rows: tuple[str, str, str | None]) -> pa.Table:
    """Rows of label, source_id and reason."""
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    names = ["source_label", "source_id", "reason"]
    return pa.table([pa.array(column, pa.string()) for column in columns], names)


ROWS = ledger(
    ("cat", "s2", None),
    ("cat", "s2", "not_distinct"),
    ("cat", "s1", "not_distinct"),
    ("cat", "s1", CROP),
    ("dog", "s4", CROP),
    ("dog", "s3", CROP),
    ("dog", "s3", "failed: KeyError: 3"),
    ("dog", "s3", "equals_held_out: 0123"),
    ("dog", "s3", "equals_held_out: 4567"),
)
KINDS = {"failed": 4, "equals_held_out": 2, "not_distinct": 2}


def test_rejections_are_counted_by_the_text_before_the_first_colon() -> None:
    found = counts.sum_rejections([counts.count_rejections(ROWS)])
    assert found.to_dict("tight")["data"] == [
        ["cat", "failed", CROP, 1, "s1"],
        ["cat", "not_distinct", "", 2, "s1"],
        ["dog", "equals_held_out", "", 2, "s3"],
        ["dog", "failed", "failed: KeyError: 3", 1, "s3"],
        ["dog", "failed", CROP, 2, "s3"],
    ]
    assert counts.by_kind(found) == KINDS
    assert counts.kinds_by_class(found) == {
        "cat": {"not_distinct": 2, "failed": 1},
        "dog": {"failed": 3, "equals_held_out": 2},
    }
    assert counts.in_words({"failed": 1_200, "one_colour": 2}) == "1,200 failed, 2 one_colour"


def test_gates_are_counted_by_their_measure() -> None:
    reasons = ["gate: border 0.31 > 0.25", "gate: border 0.4 > 0.25", "gate: clipped_low 1 > 0.5"]
    rows = ledger(*(("cat", "s1", reason) for reason in reasons))
    found = counts.by_kind(counts.sum_rejections([counts.count_rejections(rows)]))
    assert found == {"gate border": 2, "gate clipped_low": 1}
    assert counts.rejection_lines(found) == [
        f"{number} gate {measure}: beyond what augment.gates allows; weaken the step of the "
        "policy that does it, or widen the gate"
        for number, measure in ((2, "border"), (1, "clipped_low"))
    ]
    numbers = {"sources": 1, "planned": 8, "written": 5}
    assert counts.class_shortfall("cat", numbers, found) == (
        "class 'cat': 5 of 8 planned variants written (2 gate border, 1 gate clipped_low); "
        "weaken the step of the policy that does it, or widen the gate"
    )


def test_gates_that_warn_are_told_with_their_share(tmp_path: Path) -> None:
    path = tmp_path / "ledger.parquet"
    pq.write_table(
        pa.table({"border": [None, 0.1, 0.2, 0.3], "kept": [None, 0.5, 1.0, None]}), path
    )
    gates = {
        "border": {"min": 0.15, "max": 0.25, "then": "warn"},
        "kept": {"min": 0.5, "then": "warn"},
        "sharpness": {"min": 1},
    }
    params = AugmentParams(variants_per_image=1, policy=[], gates=gates)
    assert counts.gate_warnings(params, path) == [
        "1 of 3 variants (33.3%) has border > 0.25; "
        "`border: {max: 0.25}` in augment.gates would draw them again",
        "1 of 3 variants (33.3%) has border < 0.15; "
        "`border: {min: 0.15}` in augment.gates would draw them again",
    ]


def test_variants_that_a_gate_knows_nothing_of_are_told(tmp_path: Path) -> None:
    """Neither sources nor rejected variants have measures: only what was written counts."""
    path = tmp_path / "ledger.parquet"
    columns = {
        "variant_index": [0, 1, 2, 3, 4],
        "status": ["written", "written", "written", "rejected", "written"],
        "border": [None, None, 0.1, None, 0.2],
        "kept": [None, 1.0, 0.9, None, 0.9],
        "sharpness": [None, None, None, None, None],
    }
    pq.write_table(pa.table(columns), path)
    gates = {"border": {"max": 0.25}, "kept": {"min": 0.5}}
    params = AugmentParams(variants_per_image=4, policy=[], gates=gates)
    assert counts.unmeasured(params, path) == [
        "1 of 3 variants (33.3%) passed augment.gates.border unmeasured; docs/measures.md says "
        "when border is not known"
    ]


def test_nothing_rejected_is_nothing() -> None:
    for parts in ([], [counts.count_rejections(ledger())], [counts.count_rejections(ROWS[:1])]):
        found = counts.sum_rejections(parts)
        assert (counts.by_kind(found), counts.kinds_by_class(found)) == ({}, {})


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(REASONS))),
    st.integers(1, 5),
)
def test_the_sum_does_not_depend_on_how_the_ledger_is_cut(
    rows: list[tuple[str, str, str | None]], size: int
) -> None:
    whole = counts.sum_rejections([counts.count_rejections(ledger(*rows))])
    cut = [ledger(*rows[start : start + size]) for start in range(0, len(rows), size)]
    pd.testing.assert_frame_equal(counts.sum_rejections(map(counts.count_rejections, cut)), whole)
    assert whole["count"].sum() == sum(reason is not None for *_, reason in rows)


def test_a_ledger_on_disk_gives_the_same(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "ledger.parquet", row_group_size=2)
    assert counts.by_kind(counts.read_rejections(tmp_path / "ledger.parquet")) == KINDS
    assert set(ROWS.column_names) <= set(LEDGER_COLUMNS.names)


def test_each_kind_is_a_sentence_with_what_helps() -> None:
    assert counts.rejection_lines({"not_distinct": 1_200, "an_odd_one": 1}) == [
        "1,200 not_distinct: equal to their source or to another variant of it; "
        "ask for fewer, or add a step to the policy: it makes no more different images of them",
        "1 an_odd_one: an odd one; see the ledger",
    ]


def lines(**classes: tuple[int, int, int]) -> pd.DataFrame:
    """Lines of counts.csv: for each class so many sources, with planned and written of each."""
    table = pd.DataFrame(
        {
            "label": [label for label, (number, *_) in classes.items() for _ in range(number)],
            "planned": [one[1] for one in classes.values() for _ in range(one[0])],
            "written": [one[2] for one in classes.values() for _ in range(one[0])],
        }
    )
    ids = [f"s{number}" for number in range(1, len(table) + 1)]
    table = table.assign(source_id=ids, split="train")
    return table.assign(
        rejected=table["planned"] - table["written"],
        file_name=table["label"] + "/" + table["source_id"] + ".png",
    )


def rejected(table: pd.DataFrame, **reasons: str) -> pd.DataFrame:
    """Every rejected variant of a class with its reason."""
    rows = [
        (row.label, row.source_id, reasons[row.label])
        for row in table.itertuples()
        for _ in range(row.rejected)
    ]
    return counts.sum_rejections([counts.count_rejections(ledger(*rows))])


def test_a_class_that_lost_much_is_named_with_what_helps() -> None:
    table = lines(**{"cat": (20, 4, 4), "007": (2, 4, 1), "dog": (1, 4, 0), "emu": (1, 4, 2)})
    found = rejected(table, **{"007": "not_distinct", "dog": CROP, "emu": "not_distinct"})
    assert counts.shortfalls(table, found) == [
        "4 variants failed, mostly with ValueError: crop is larger (dog/s23.png for one)",
        "class 'dog': none of 4 planned variants written (4 failed); "
        "change the step in the policy, or leave it out",
        "class '007': 2 of 8 planned variants written (6 not_distinct); "
        "`augment.per_class: {'007': {variants_per_image: 1}}` asks for what there is",
    ]


def test_where_all_lost_much_only_a_class_without_any_is_named() -> None:
    table = lines(cat=(3, 4, 1), dog=(3, 4, 1), emu=(1, 4, 0))
    found = rejected(table, cat="not_distinct", dog="not_distinct", emu="not_distinct")
    assert counts.shortfalls(table, found) == [
        "class 'emu': none of 4 planned variants written (4 not_distinct); "
        "`augment.per_class: {emu: {variants_per_image: 0}}` asks for what there is",
    ]


def test_of_many_classes_five_are_named() -> None:
    table = lines(cat=(99, 4, 4), **{f"c{number}": (1, 4, 0) for number in range(8)})
    found = rejected(table, **{f"c{number}": "not_distinct" for number in range(8)})
    texts = counts.shortfalls(table, found)
    assert [text.split(":")[0] for text in texts[:5]] == [
        f"class 'c{number}'" for number in range(5)
    ]
    assert texts[5:] == ["3 more classes lost as much: see data/augmented/counts.csv"]


def test_without_a_loss_there_is_no_warning() -> None:
    table = lines(cat=(2, 4, 4), dog=(2, 0, 0))
    none = counts.sum_rejections([])
    assert counts.shortfalls(table, none) == []
    counts.require_some(table, none)
    counts.require_some(lines(dog=(2, 0, 0)), none)


def test_none_written_of_what_was_planned_is_an_error() -> None:
    table = lines(cat=(2, 3, 0), dog=(1, 4, 0))
    with pytest.raises(UserError) as caught:
        counts.require_some(table, rejected(table, cat=CROP, dog="not_distinct"))
    assert str(caught.value) == (
        "params.yaml augment: none of the 10 variants planned was written: "
        "6 failed (a step of the policy, or the encoding, failed on the image), "
        "4 not_distinct (equal to their source or to another variant of it); "
        "6 variants failed, mostly with ValueError: crop is larger (cat/s1.png for one); "
        "change the step in the policy, or leave it out"
    )


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Four images of each of two classes, none of them held out, three variants of each wanted."""
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    made = Dataset(random.Random(0))
    made.files = {
        f"{label}{number}.png": (label, made.content()) for label in "ab" for number in range(4)
    }
    made.count = {"variants_per_image": 3}
    return made


@pytest.mark.starts
def test_the_stage_says_why_variants_are_missing(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(datasets, "POLICIES", [["InvertImg"]])  # one new image of each source
    datasets.run(dataset, tmp_path, monkeypatch)
    metrics = json.loads(AUGMENT_METRICS.read_text())
    assert (metrics["planned"], metrics["written"], metrics["rejected"]) == (24, 8, 16)
    assert metrics["rejections"] == {"not_distinct": 16}
    assert counts.by_kind(counts.read_rejections()) == {"not_distinct": 16}
    assert capsys.readouterr().out.splitlines()[-1] == (
        "rejected: 16 not_distinct: equal to their source or to another variant of it; "
        "ask for fewer, or add a step to the policy: it makes no more different images of them"
    )


@pytest.mark.starts
def test_a_run_that_writes_nothing_fails_and_leaves_no_ledger(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "POLICIES", [[{"RandomCrop": {"height": 9, "width": 9}}]])
    left, _ = datasets.run(dataset, tmp_path, monkeypatch)
    assert left["error"].startswith(
        b"params.yaml augment: none of the 24 variants planned was written: 24 failed "
    )
    assert not LEDGER.exists() and not AUGMENT_METRICS.exists()
