"""Edits of YAML: what does not change stays to the byte, what does reads as people write it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.common.yaml_edits import changed
from tasks.common.yaml_names import load

TEXT = """\
# all of it
augment:   # by hand
  "variants_per_image":   4     # of each
  policy:
    # how they lie
    - Affine: {scale: [0.9, 1.1],  rotate: [-12, 12]}   # a bit
    - RandomGamma:
        gamma_limit: [80, 120]  # darker or lighter
        p: 0.5
    - HorizontalFlip

  # the last
  total: 'x'
train: {epochs: 3, model: small_cnn}
"""


def changed_by(text: str, *keys: Any, to: Any) -> str:
    """With another value at the end of these keys; None removes the key."""
    content = at = json.loads(json.dumps(load(text)))  # without aliases
    for key in keys[:-1]:
        at = at[key]
    if to is None:
        del at[keys[-1]]
    else:
        at[keys[-1]] = to
    return changed(text, content)


@pytest.mark.parametrize(
    ("keys", "to", "old", "new"),
    [
        (["augment", "variants_per_image"], 2, "   4     # of", " 2     # of"),
        (["augment", "policy", 0, "Affine", "scale"], [0.95, 1.05], "[0.9, 1.1]", "[0.95, 1.05]"),
        (
            ["augment", "policy", 1, "RandomGamma", "gamma_limit"],
            [90, 110],
            "[80, 120]",
            "[90, 110]",
        ),
        (
            ["augment", "policy", 2],
            {"HorizontalFlip": {"p": 0.25}},
            "- HorizontalFlip",
            "- HorizontalFlip: {p: 0.25}",
        ),
        (["augment", "policy", 2], "ToGray", "- HorizontalFlip", "- ToGray"),
        (["augment", "total"], None, "  total: 'x'\n", ""),
        (["augment", "total"], {"a": [1]}, "'x'", "{a: [1]}"),
        (["augment", "seed"], 7, "  total: 'x'\n", "  total: 'x'\n  seed: 7\n"),
        (["train", "epochs"], 5, "epochs: 3", "epochs: 5"),
        (["train"], {"epochs": 5}, " {epochs: 3, model: small_cnn}", "\n  epochs: 5"),
        (["evaluate"], {"worst": 4}, "small_cnn}\n", "small_cnn}\nevaluate:\n  worst: 4\n"),
    ],
)
def test_one_value_changes(keys: list[Any], to: Any, old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    assert changed_by(TEXT, *keys, to=to) == TEXT.replace(old, new)


def test_nothing_changes() -> None:
    assert changed(TEXT, load(TEXT)) == TEXT


def test_a_policy_of_another_length_is_written_anew_after_its_comment() -> None:
    start, end = TEXT.index("    - Affine"), TEXT.index("\n\n  # the last")
    assert TEXT[TEXT.index("policy:") : start] == "policy:\n    # how they lie\n"
    new = ["HorizontalFlip", {"trivialaugment": {"scaled": True}}]
    lines = "    - HorizontalFlip\n    - trivialaugment: {scaled: true}"
    assert changed_by(TEXT, "augment", "policy", to=new) == TEXT[:start] + lines + TEXT[end:]
    assert changed_by(TEXT, "augment", "policy", to=[]) == TEXT[:start] + "    []" + TEXT[end:]


def test_lists_that_are_not_indented() -> None:
    text = "a:\n- x: {p: 1}\n# next\n- y\n\n# after\nb: 2"
    assert changed_by(text, "a", 1, to="z") == text.replace("- y", "- z")
    assert changed_by(text, "a", to=["x"]) == "a:\n  - x\n\n# after\nb: 2"
    assert changed_by(text, "c", to=[1, 2]) == text + "\nc: [1, 2]"


def test_a_step_alone() -> None:
    text = "augment:\n  policy: trivialaugment  # the yardstick\n"
    flips = ["HorizontalFlip", "VerticalFlip"]
    lines = "\n    - HorizontalFlip\n    - VerticalFlip  # the yardstick\n"
    assert changed_by(text, "augment", "policy", to=flips) == f"augment:\n  policy:{lines}"


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n"])
def test_a_file_without_blocks(text: str) -> None:
    made = changed(text, {"train": {"epochs": 3}})
    assert made.endswith("train:\n  epochs: 3\n")


def test_what_has_anchors_is_left_to_people() -> None:
    text = "a: &steps [x]\nb: *steps\n"
    with pytest.raises(UserError) as caught:
        changed_by(text, "a", 0, to="y")
    assert str(caught.value) == (
        "needs to be changed by hand: it has anchors, or what is like them"
    )


SCALARS = st.one_of(
    st.integers(-9, 9), st.booleans(), st.sampled_from(["x", "6", "no", "a b", "", "#", "- c"])
)
NAMES = st.sampled_from(["p", "limit", "6", "null", "y"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
BLOCKS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.dictionaries(st.sampled_from(["k", "l", "m"]), VALUES, min_size=1),
    min_size=1,
)


@given(first=BLOCKS, second=BLOCKS)
@settings(max_examples=25, deadline=None)
def test_what_is_written_reads_as_what_was_meant(first: Any, second: Any) -> None:
    text = changed("", first)
    assert load(text) == first
    assert load(changed(text, second)) == second


def test_a_comment_goes_with_the_step_that_it_speaks_of() -> None:
    text = "policy:\n  - Rotate: {limit: 30}  # all round\n  - HorizontalFlip  # mirrored\n"
    weaker = [{"Rotate": {"limit": 15}}, {"HorizontalFlip": {"p": 0.25}}]
    assert changed(text, {"policy": weaker}) == (
        "policy:\n  - Rotate: {limit: 15}  # all round\n  - HorizontalFlip: {p: 0.25}  # mirrored\n"
    )
    other = [{"trivialaugment": {"scaled": True}}, "HorizontalFlip"]
    assert changed(text, {"policy": other}) == (
        "policy:\n  - trivialaugment: {scaled: true}\n  - HorizontalFlip  # mirrored\n"
    )
