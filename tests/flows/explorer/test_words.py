"""What is said of images and variants: exact texts, by the rows of the manifests."""

from typing import Any

import pytest

from flows.explorer import words
from tasks.dataset.columns import MEASURES, REJECTIONS, VALIDATED_COLUMNS

BY_CONTENT = "split by content: train 70.0% (wanted 70%); stable"


def a_row(**values: Any) -> dict[str, Any]:
    """A row of the images, in which all is unknown but what is given."""
    what_became = ("predicted", "probability", "probability_of_label", "correct", "presentations")
    unknown = dict.fromkeys([*VALIDATED_COLUMNS.names, *what_became])
    return {**unknown, "status": "ok", "label": "cat", "split": "train", **values}


def texts(sentences: list[words.Sentence]) -> list[str]:
    return [f"{one.text}{one.linked}{one.rest}" for one in sentences]


def test_the_status_names_what_stands_for_a_copy_and_what_a_leak_belongs_to() -> None:
    assert texts(words.status_in_words(a_row())) == ["It is used, in train."]
    (copy,) = words.status_in_words(a_row(status="duplicate", duplicate_of="a&b.png"))
    assert copy.address == "/image?file=a%26b.png"
    assert texts([copy]) == [
        "It is not used, for its pixels are equal to those of a&b.png, which stands for it."
    ]
    leak = a_row(status="quarantined", reason="leak", detail="belongs together with test/1.png")
    first, second = words.status_in_words(leak)
    assert first.address == "/images?status=quarantined&reason=leak"
    assert second.address == "/image?file=test%2F1.png"
    corrupt = a_row(status="quarantined", reason="corrupt", detail="OSError: truncated")
    assert texts(words.status_in_words(corrupt)) == [
        "It was set aside: corrupt, the decoder failed on the bytes.",
        "In detail: OSError: truncated.",
    ]


def test_a_reason_of_another_version_is_told_as_it_is() -> None:
    row = a_row(status="quarantined", reason="new")
    assert texts(words.status_in_words(row)) == ["It was set aside: new."]


@pytest.mark.parametrize(
    ("split", "given", "rule", "others", "said"),
    [
        ("test", "test", words.GIVEN, [], "Its folder, its container or a table says test."),
        ("train", "train", words.GIVEN, [], "Its folder, its container or a table says train."),
        ("test", "test", BY_CONTENT, [], "Its folder, its container or a table says test."),
        (
            "test",
            None,
            BY_CONTENT,
            [],
            "No folder, container or table names its split: a hash of its bytes decided.",
        ),
        (
            "validation",
            "train",
            "split test as given; of the rest ...; exact",
            [],
            "It is given as train, of which a part became validation: "
            "the order of hashes in its class decided.",
        ),
        (
            "train",
            "train",
            BY_CONTENT,
            ["1 copy", "2 look-alikes"],
            "It is given as train, and stayed there when other splits were taken out of it: "
            "a hash decided, the same for it and 1 copy and 2 look-alikes, which no split parts.",
        ),
    ],
)
def test_why_an_image_is_in_its_split(
    split: str, given: str | None, rule: str, others: list[str], said: str
) -> None:
    found = texts(words.split_in_words(a_row(split=split), given, rule, others))
    assert found[0] == said
    assert found[1:] == ([] if rule == words.GIVEN else [f"How all splits were decided: {rule}."])


def test_what_is_not_used_has_no_split_and_none_is_explained() -> None:
    row = a_row(status="quarantined", split=None)
    assert words.split_in_words(row, "train", BY_CONTENT, []) == []


def test_images_that_belong_together_are_counted() -> None:
    counts = {"pixel_sha256": 1, "cluster": 2000, "group_id": 1}
    assert words.related_in_words(a_row(group_id="g7"), counts) == [
        "1 copy",
        "2,000 look-alikes",
        "1 other of group g7",
    ]


def test_what_the_model_says() -> None:
    assert words.model_in_words(a_row()) == []
    right = a_row(predicted="cat", probability=0.971, correct=True)
    assert texts(words.model_in_words(right)) == ["The model says cat, with 97.1%: right."]
    wrong = a_row(predicted="dog", probability=0.971, correct=False, probability_of_label=0.02)
    assert texts(words.model_in_words(wrong)) == [
        "The model says dog, with 97.1%: wrong. Its class, cat, has 2.0%."
    ]


def test_how_often_training_showed_it() -> None:
    line = dict.fromkeys((*words.EXPOSURE, "mixed_in", "left_out"), "0")
    assert words.exposure_in_words(None) == []
    counts = {"original": "1000", "stored": "1", "replaced": "2"}
    shown = {**line, **counts, "presentations": "1003", "mixed_in": "1"}
    assert texts(words.exposure_in_words(shown)) == [
        "Training showed it 1,003 times: 1,000 as it is, 1 as a stored variant, "
        "2 as it is, in place of a variant that was rejected.",
        "It was mixed into other images once.",
    ]


def test_facts_that_are_not_known_are_left_out() -> None:
    named = words.facts_of(a_row(label=None, split=None, sha256="ab", bytes=1234))
    assert [(fact.name, fact.value) for fact in named] == [
        ("status", "ok"),
        ("bytes", "1,234"),
        ("SHA-256", "ab"),
    ]


# --- variants ---------------------------------------------------------------------------------


def a_variant(**values: Any) -> dict[str, Any]:
    known = {"status": "written", "reason": None, "attempt": 0, "operations": "[]"}
    return {**dict.fromkeys(MEASURES), **known, **values}


def test_operations_are_named_linked_and_have_what_they_drew() -> None:
    row = a_variant(operations='[{"name":"Rotate","angle":8.125,"shape":[4,4]}]')
    (operation,) = words.operations_of(row)
    assert operation == ("Rotate", "angle\N{NO-BREAK SPACE}8.12", "/operation?name=Rotate")
    assert words.operations_of(a_variant()) == [("unchanged", "", "")]


def test_the_worst_is_the_highest_border_and_the_lowest_sharpness_worse_than_untouched() -> None:
    rows = [
        a_variant(border=0.0, sharpness=1.5, kept=1.0),
        a_variant(border=0.25, sharpness=0.5, kept=1.0),
        a_variant(border=0.5, sharpness=float("nan"), kept=1.0),
    ]
    assert words.worst_of(rows) == {"border": 0.5, "sharpness": 0.5}
    assert words.worst_of(rows[:1]) == {}
    better = [a_variant(sharpness=1.25), a_variant(sharpness=1.5)]
    assert words.worst_of(better) == {}
    alike = [a_variant(border=0.091), a_variant(border=0.094)]
    assert words.worst_of(alike) == {}
    found = words.measures_of(rows[1], words.worst_of(rows))
    assert [(one.name, one.value, one.worst) for one in found] == [
        ("border", "0.25", False),
        ("kept", "1.00", False),
        ("sharpness", "0.50", True),
    ]


def test_of_the_blurriest_variants_one_can_tell_which_is_worse() -> None:
    rows = [a_variant(sharpness=0.00174), a_variant(sharpness=0.0023), a_variant(sharpness=0.00001)]
    found = [words.measures_of(row, words.worst_of(rows[:2]))[0] for row in rows]
    assert [one.value for one in found] == ["0.0017", "0.0023", "0.00"]
    assert [one.worst for one in found] == [True, False, False]


def test_how_often_it_was_drawn_again() -> None:
    assert words.draws_in_words(a_variant()) == ""
    assert words.draws_in_words(a_variant(attempt=1)) == "drawn again once, and kept"
    rejected = a_variant(attempt=9, status="rejected")
    assert words.draws_in_words(rejected) == "drawn again 9 times, and given up"


def test_a_rejection_says_what_it_is_and_what_mends_it() -> None:
    assert words.rejection_in_words(a_variant()) == []
    gate = a_variant(status="rejected", reason="gate: border 0.31 > 0.25")
    assert texts(words.rejection_in_words(gate)) == [
        "Rejected: gate, beyond what augment.gates allows.",
        "In detail: border 0.31 > 0.25.",
        f"What mends it: {REJECTIONS['gate'].mend}.",
    ]
    equal = a_variant(status="rejected", reason="equals_held_out: 0123456789abcdef")
    second = words.rejection_in_words(equal)[1]
    assert (second.linked, second.address) == (
        "0123456789abcdef",
        "/image?source=0123456789abcdef",
    )


def test_commands_are_for_training_images_and_quote_names() -> None:
    assert words.replay_command("a-v001", "jpeg") == "variegate replay a-v001 -o a-v001.jpg"
    row = a_row(label="it's; rm -rf", source_id="a")
    found = [part.value for part in words.commands_for(row, "device")]
    assert found[0] == """variegate preview --class 'it'"'"'s; rm -rf'"""
    assert found[2] == "variegate replay a-d001 -o a-d001.png"
    assert words.commands_for(a_row(split="test"), "offline") == []
    told = a_row(split="test", predicted="cat", file_name="a b.png")
    (predict,) = words.commands_for(told, "offline")
    assert predict.value == "variegate predict 'data/raw/a b.png'"
