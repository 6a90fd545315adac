import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.augment.plan import plan_by_class, plan_counts, spread_evenly
from tasks.common.errors import UserError
from tasks.dataset.selections import class_named
from tasks.variants.params import AugmentParams


def sources(**classes: int) -> pd.DataFrame:
    """So many sources of each class, with ids that do not follow their order."""
    labels = [label for label, count in classes.items() for _ in range(count)]
    ids = [f"{(number * 7919) % 100_003:016x}" for number in range(len(labels))]
    return pd.DataFrame({"source_id": ids, "label": labels})


def counted(rows: pd.DataFrame, **params: object) -> dict[str, int]:
    counts = plan_counts(rows, AugmentParams(policy=[], **params))
    return counts.groupby(rows["label"]).sum().to_dict()


def test_four_variants_of_100_sources_are_500_images() -> None:
    rows = sources(cat=100)
    table = plan_by_class(rows, plan_counts(rows, AugmentParams(policy=[], variants_per_image=4)))
    assert table.loc["cat"].to_dict() == {
        "sources": 100,
        "variants": 400,
        "training_images": 500,
        "multiplier": 5.0,
    }


def test_total_counts_the_originals() -> None:
    assert sum(counted(sources(cat=7, dog=3), total=25).values()) == 15


def test_target_per_class_balances() -> None:
    assert counted(sources(cat=10, dog=4), target_per_class=15) == {"cat": 5, "dog": 11}
    assert counted(sources(cat=10, dog=4), target_per_class="max") == {"cat": 0, "dog": 6}


def test_per_class_overrides() -> None:
    rows = sources(cat=10, dog=4, emu=2)
    override = {"dog": {"variants_per_image": 0}, "emu": {"target_per_class": 7}}
    assert counted(rows, variants_per_image=3, per_class=override) == {
        "cat": 30,
        "dog": 0,
        "emu": 5,
    }
    assert counted(rows, total=100, per_class=override) == {
        "cat": 100 - 4 - 7 - 10,
        "dog": 0,
        "emu": 5,
    }


def test_at_least_raises_the_small_classes_and_leaves_the_larger() -> None:
    rows = sources(cat=10, dog=4, emu=7)
    assert counted(rows, target_per_class=7, at_least=True) == {"cat": 0, "dog": 3, "emu": 0}
    assert counted(rows, target_per_class=12, at_least=True) == counted(rows, target_per_class=12)
    raised = {"target_per_class": 7, "at_least": True}
    own = {"cat": raised, "dog": raised}
    assert counted(rows, variants_per_image=2, per_class=own) == {"cat": 0, "dog": 3, "emu": 14}
    strict = {"cat": {"target_per_class": 11}}
    assert counted(rows, target_per_class=8, at_least=True, per_class=strict) == {
        "cat": 1,
        "dog": 4,
        "emu": 1,
    }
    # 6 more of 4 dogs are 2 of two and 1 of the others
    limited = counted(rows, target_per_class=10, at_least=True, max_per_image=2)
    assert limited == {"cat": 0, "dog": 6, "emu": 3}


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=1), st.integers(1, 12))
def test_at_least_is_the_larger_of_target_and_originals(classes: dict, target: int) -> None:
    rows = sources(**classes)
    counts = counted(rows, target_per_class=target, at_least=True)
    assert {label: classes[label] + counts[label] for label in classes} == {
        label: max(target, originals) for label, originals in classes.items()
    }


def test_a_class_is_found_whichever_way_its_accents_are_encoded() -> None:
    rows = sources(cafe=2, the=1).replace({"label": {"cafe": "cafe\u0301"}})
    own = {"caf\u00e9": {"variants_per_image": 3}}
    assert counted(rows, variants_per_image=1, per_class=own) == {"cafe\u0301": 6, "the": 1}


def test_of_many_classes_the_nearest_names_are_listed() -> None:
    rows = sources(**{f"breed {number:02}": 1 for number in range(20)}, terrier=1)
    with pytest.raises(UserError) as caught:
        counted(rows, variants_per_image=1, per_class={"terier": {"variants_per_image": 1}})
    assert str(caught.value) == (
        "params.yaml augment.per_class 'terier': no such class in training; near it: terrier; "
        "classes: breed 00, breed 01, breed 02, breed 03, breed 04, breed 05, breed 06, breed 07, "
        "breed 08, breed 09 and 11 more"
    )


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"target_per_class": 8},
            "params.yaml augment.target_per_class, class 'cat': "
            "needs at least the 10 originals there are "
            "(nothing is undersampled), found 8; "
            "`at_least: true` beside it leaves larger classes as they are",
        ),
        (
            {
                "variants_per_image": 1,
                "per_class": {"cat": {"target_per_class": 9}},
            },
            "params.yaml augment.per_class 'cat' target_per_class: "
            "needs at least the 10 originals there are "
            "(nothing is undersampled), found 9; "
            "`at_least: true` beside it leaves larger classes as they are",
        ),
        (  # the limit holds for the classes that are raised
            {"target_per_class": 9, "at_least": True, "max_per_image": 1},
            "params.yaml augment.target_per_class, class 'dog': "
            "9 is out of reach; max_per_image 1 allows 8",
        ),
        (
            {"target_per_class": 30, "max_per_image": 2},
            "params.yaml augment.target_per_class, class 'dog': "
            "30 is out of reach; max_per_image 2 allows 12",
        ),
        (
            {"total": 100, "max_per_image": 3},
            "params.yaml augment.total: 100 is out of reach; max_per_image 3 allows 56",
        ),
        (
            {"total": 13},
            "params.yaml augment.total: needs at least the 14 originals there are "
            "(nothing is undersampled), found 13",
        ),
        (  # 10 + 10 cats and 4 dogs
            {"total": 23, "per_class": {"cat": {"variants_per_image": 1}}},
            "params.yaml augment.total: needs at least the 24 images that originals and per_class "
            "make (nothing is undersampled), found 23",
        ),
        (
            {"variants_per_image": 1, "per_class": {"cow": {"variants_per_image": 1}}},
            "params.yaml augment.per_class 'cow': no such class in training; classes: cat, dog",
        ),
        (
            {"variants_per_image": 1, "per_class": {"Cats": {"variants_per_image": 1}}},
            "params.yaml augment.per_class 'Cats': no such class in training; "
            "near it: cat; classes: cat, dog",
        ),
        (
            {"total": 50, "per_class": {c: {"variants_per_image": 1} for c in ("cat", "dog")}},
            "params.yaml augment.total: 50 is out of reach; per_class leaves no source to vary",
        ),
    ],
)
def test_what_cannot_be_reached_says_so(params: dict, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        counted(sources(cat=10, dog=4), **params)
    assert str(caught.value) == expected


@given(st.integers(0, 500), st.integers(1, 60))
def test_spread_is_exact_and_even(number: int, count: int) -> None:
    shares = spread_evenly(number, sources(x=count)["source_id"])
    assert shares.sum() == number
    assert shares.max() - shares.min() <= 1


@given(st.integers(0, 200), st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_order_of_the_sources_changes_nothing(number: int, count: int, random: object) -> None:
    ids = sources(x=count)["source_id"]
    shuffled = ids.sample(frac=1, random_state=random.randrange(2**31))  # type: ignore[attr-defined]
    plain = dict(zip(ids, spread_evenly(number, ids), strict=True))
    assert plain == dict(zip(shuffled, spread_evenly(number, shuffled), strict=True))


@given(st.integers(1, 300), st.integers(1, 40))
def test_one_more_source_changes_as_few_others_as_the_arithmetic_allows(
    total_new: int, count: int
) -> None:
    ids = sources(x=count + 1)["source_id"]
    before = spread_evenly(total_new, ids[:-1])
    after = spread_evenly(
        total_new - 1, ids
    )  # the new source is itself one of the images asked for
    changed = np.abs(after[:-1] - before)
    must_change = before.sum() - after[:-1].sum()
    assert changed.sum() == must_change or changed.max() <= 1


@pytest.mark.parametrize(("count", "more"), [(10, ""), (11, " and 1 more")])
def test_of_many_classes_ten_are_listed(count: int, more: str) -> None:
    classes = pd.Index([f"k{number:02d}" for number in range(count)])
    with pytest.raises(UserError) as caught:
        class_named("zebra", classes, "here")
    problem = f"no such class in training; classes: {', '.join(classes[:10])}{more}"
    assert str(caught.value) == f"here 'zebra': {problem}"


def test_a_class_without_a_step_cannot_have_variants() -> None:
    rules = [{"classes": ["6", "9"], "forbid": "HorizontalFlip"}]
    rows = sources(**{"6": 3, "8": 2, "9": 1})

    def counts(**own: object) -> dict[str, int]:
        params = AugmentParams(
            policy="HorizontalFlip", variants_per_image=2, labels=rules, per_class=own
        )
        return plan_counts(rows, params).groupby(rows["label"]).sum().to_dict()

    with pytest.raises(UserError) as error:
        counts()
    assert str(error.value) == (
        "params.yaml augment.labels: leaves no step of policy for '6', '9', of which 8 variants "
        "are planned; allow a step, or plan none, augment.per_class: "
        "{'6': {variants_per_image: 0}}"
    )
    none = {"variants_per_image": 0}
    with pytest.raises(UserError, match=r" for '9', of which 2 variants are planned"):
        counts(**{"6": none})
    assert counts(**{"6": none, "9": none}) == {"6": 0, "8": 4, "9": 0}
    assert counts(**{"6": none, "9": {"policy": "Blur"}}) == {"6": 0, "8": 4, "9": 2}
