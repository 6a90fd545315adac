"""Label rules: what they leave of a policy, for which classes, and which of them are refused."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.label_checks import check_label_rules
from tasks.variants.label_rules import effective_steps, rules_by_class
from tasks.variants.params import AugmentParams, LabelRule
from tasks.variants.policy import LOCATION, TRANSFORMS, Policy, build_step, build_transforms
from tasks.variants.recipe import Recipes, check_policies, policies
from tasks.variants.step_ranges import step_ranges
from tasks.variants.transforms import ELEMENTS
from tests.tasks.variants.test_policy import NEEDED

IMAGE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
LABELS = "params.yaml augment.labels"
DIGITS = ("6", "8", "9")


def left(policy: list[Any], **rule: Any) -> list[Any]:
    """What a rule leaves of a policy."""
    return effective_steps(policy, {0: LabelRule(classes=["a"], **rule)}, LOCATION).steps


def changes(policy: list[Any], **rule: Any) -> tuple[str, ...]:
    """What it did, in words."""
    return effective_steps(policy, {0: LabelRule(classes=["a"], **rule)}, LOCATION).changes


def params_with(policy: list[Any], *rules: dict[str, Any], **block: Any) -> AugmentParams:
    """A block with these label rules, for classes 6 and 9 where they name none."""
    labels = [{"classes": ["6", "9"], **rule} for rule in rules]
    return AugmentParams(variants_per_image=1, policy=policy, labels=labels, **block)


def checked(params: AugmentParams, classes: tuple[str, ...] = DIGITS) -> None:
    """All checks, in their order."""
    check_policies(params)
    check_label_rules(params, classes)
    policies(params, classes)


# --- forbidden steps ------------------------------------------------------------------------------


def test_forbidden_steps_are_left_out_within_composites_too() -> None:
    policy = [
        "Blur",
        {"OneOf": {"transforms": ["Rotate", {"Blur": {"p": 0}}], "p": 0.3}},
        {"SomeOf": {"n": 2, "transforms": ["Rotate", "Blur", "Rotate"]}},
        {"SomeOf": {"n": 2, "transforms": ["Rotate", "Blur"], "replace": True}},
        {"Sequential": {"transforms": [{"OneOf": {"transforms": ["Rotate"]}}]}},
        {"Sequential": {"transforms": ["Rotate", "ToGray"], "p": 0.2}},
        {"Rotate": {"limit": 3}},
    ]
    assert left(policy, forbid="Rotate") == [
        "Blur",
        {"SomeOf": {"n": 1, "transforms": ["Blur"]}},
        {"SomeOf": {"n": 1, "transforms": ["Blur"], "replace": True}},
        {"Sequential": {"transforms": ["ToGray"], "p": 0.2}},
    ]
    assert changes(policy, forbid="Rotate")[:4] == (
        "policy[1].transforms[0] Rotate: forbidden",
        "policy[1] OneOf: nothing is left of it",
        "policy[2].transforms[0] Rotate: forbidden",
        "policy[2].transforms[2] Rotate: forbidden",
    )
    assert "policy[3] SomeOf.n: 1 instead of 2" in changes(policy, forbid="Rotate")
    assert left(policy, forbid=["Rotate", "Blur", "Sequential"]) == []
    assert left(policy, forbid="ToSepia") == policy


def test_d4_is_left_without_the_elements_that_are_forbidden() -> None:
    assert left(["D4"], forbid="VerticalFlip") == [
        {"D4": {"elements": ["e", "r90", "r180", "r270", "hvt", "h", "t"]}}
    ]
    assert changes(["D4"], forbid="VerticalFlip") == ("policy[0] D4: without v",)
    assert left(["SquareSymmetry"], forbid=["Transpose", "RandomRotate90"]) == [
        {"SquareSymmetry": {"elements": ["e", "v", "h"]}}
    ]
    own = [{"D4": {"elements": ["h", "v"], "p": 0.3}}]
    assert left(own, forbid="VerticalFlip") == [{"D4": {"elements": ["h"], "p": 0.3}}]
    assert left(own, forbid="RandomRotate90") == own
    assert left(own, forbid="D4") == left(own, forbid=["HorizontalFlip", "VerticalFlip"]) == []
    assert left([{"D4": {"elements": ["v", "e"]}}], forbid="VerticalFlip") == []
    assert left(["Transpose", "NoOp"], forbid="Transpose") == ["NoOp"]


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRANSFORMS)
def test_ranges_are_written_as_they_are_read(name: str) -> None:
    arguments = NEEDED.get(name, {})
    ranges = step_ranges(name, arguments)
    assert step_ranges(name, {**arguments, **ranges}) == ranges
    narrow = left([{name: arguments}], bound={name: ranges}) if ranges else [{name: arguments}]
    assert narrow == [{name: arguments}]


def test_ranges_are_those_of_the_schema() -> None:
    assert step_ranges("Rotate", {"limit": 30}) == {"limit": (-30, 30)}
    assert step_ranges("Rotate", {}) == {"limit": (-90, 90)}
    assert step_ranges("RandomGamma", {"gamma_limit": [120, 80]}) == {"gamma_limit": (80, 120)}
    shifted = step_ranges("ShiftScaleRotate", {"scale_limit": [-0.3, 0.1], "shift_limit": 0.05})
    assert shifted == {
        "scale_limit": (-0.3, 0.1),
        "rotate_limit": (-45, 45),
        "shift_limit_x": (-0.05, 0.05),
        "shift_limit_y": (-0.05, 0.05),
    }
    assert step_ranges("Affine", {"scale": {"x": 0.9}, "translate_percent": [0, 0.1]}) == {
        "scale": {"x": (0.9, 0.9), "y": (1, 1)},
        "translate_percent": {"x": (0, 0.1), "y": (0, 0.1)},
        "rotate": (0, 0),
        "shear": {"x": (0, 0), "y": (0, 0)},
    }
    assert step_ranges("CropAndPad", {"px": 4}) == {"px": (4, 4)}
    assert step_ranges("RandomResizedCrop", {"size": [8, 9]}).keys() == {"scale", "ratio"}
    assert step_ranges("OneOf", {"transforms": ["Blur"]}) == step_ranges("D4", {}) == {}


def test_a_bound_is_the_intersection_of_ranges() -> None:
    assert left(["Rotate"], bound={"Rotate": {"limit": 30}}) == [{"Rotate": {"limit": [-30, 30]}}]
    policy = [{"Rotate": {"limit": [-10, 40], "p": 1}}]
    bound: dict[str, Any] = {"Rotate": {"limit": 30}}
    assert left(policy, bound=bound) == [{"Rotate": {"limit": [-10, 30], "p": 1}}]
    assert changes(policy, bound=bound) == (
        "policy[0] Rotate.limit: [-10, 30] instead of [-10, 40]",
    )
    assert left([{"Rotate": {"limit": 20}}], bound=bound) == [{"Rotate": {"limit": 20}}]
    affine = [{"Affine": {"rotate": [-40, 40], "scale": [0.5, 1.5], "shear": [0, 3]}}]
    bound = {"Affine": {"scale": {"x": [0.8, 1.2]}, "rotate": [-7.5, 90], "shear": [-2, 2]}}
    assert left(affine, bound=bound) == [
        {
            "Affine": {
                "rotate": [-7.5, 40],
                "scale": {"x": [0.8, 1.2], "y": [0.5, 1.5]},
                "shear": [0, 2],
            }
        }
    ]
    assert left([{"OneOf": {"transforms": ["Rotate"]}}], bound={"Rotate": {"limit": 1}}) == [
        {"OneOf": {"transforms": [{"Rotate": {"limit": [-1, 1]}}]}}
    ]
    moved = [{"ShiftScaleRotate": {"shift_limit_x": [0, 0.2], "shift_limit": 0.01}}]
    bound = {"ShiftScaleRotate": {"shift_limit": 0.1, "scale_limit": [-0.05, 1]}}
    assert left(moved, bound=bound) == [
        {
            "ShiftScaleRotate": {
                "shift_limit": 0.01,
                "shift_limit_x": [0, 0.1],
                "scale_limit": [-0.05, 0.1],
            }
        }
    ]
    blurred = [{"AdvancedBlur": {"blur_limit": 6}}]  # of which 7 is made, as without rules
    bound = {"AdvancedBlur": {"beta_limit": [0.9, 2]}}
    assert left(blurred, bound=bound) == [
        {"AdvancedBlur": {"blur_limit": 6, "beta_limit": [0.9, 2]}}
    ]
    # the smallest kernel is a range of one
    blurred = [{"Blur": {"blur_limit": 5}}]
    assert left(blurred, bound={"Blur": {"blur_limit": 3}}) == [{"Blur": {"blur_limit": [3, 3]}}]
    # nothing is moved, so there is nothing to bound
    assert left(["Affine"], bound={"Affine": {"translate_percent": [0.1, 0.2]}}) == ["Affine"]


def test_all_rules_for_a_class_hold() -> None:
    params = params_with(
        ["Blur", "Rotate", "HorizontalFlip"],
        {"bound": {"Rotate": {"limit": [-20, 30]}}},
        {"classes": ["9"], "bound": {"Rotate": {"limit": [-30, 15]}}},
        {"classes": ["*"], "forbid": "HorizontalFlip"},
        per_class={"8": {"policy": ["HorizontalFlip", "ToGray"]}},
    )
    checked(params)
    found = {policy.labels: policy for policy in policies(params, DIGITS)}
    assert {labels: policy.steps for labels, policy in found.items()} == {
        ("6",): ["Blur", {"Rotate": {"limit": [-20, 30]}}],
        ("8",): ["ToGray"],
        ("9",): ["Blur", {"Rotate": {"limit": [-20, 15]}}],
        None: ["Blur", "Rotate", "HorizontalFlip"],
    }
    assert found[("8",)].location == f"{LABELS} '8' policy"
    assert found[("8",)].base == "params.yaml augment.per_class '8' policy"
    assert found[("6",)].base == "params.yaml augment.policy"


# --- the classes ----------------------------------------------------------------------------------


def test_a_name_wins_over_a_pattern_and_accents_have_two_encodings() -> None:
    def named(*names: str) -> set[str]:
        rule = LabelRule(classes=list(names), forbid="Blur")
        return set(rules_by_class([rule], ["t-shirt [new]", "t-shirt n", "shoe", "caf\u00e9"]))

    assert named("t-shirt [new]") == {"t-shirt [new]"}
    assert named("t-shirt [n]") == {"t-shirt n"}
    assert named("t-shirt*", "shoe") == {"t-shirt [new]", "t-shirt n", "shoe"}
    assert named("cafe\u0301") == named("caf?") == {"caf\u00e9"}
    assert named("SHOE") == set()


def test_classes_share_a_recipe_where_nothing_differs() -> None:
    params = params_with(
        [{"Rotate": {"limit": 20}}, "Blur"],
        {"classes": ["a*", "b"], "bound": {"Rotate": {"limit": 20}}},
        {"classes": ["c", "d"], "forbid": "Blur"},
        {"classes": ["d"], "bound": {"Rotate": {"limit": [-20, 25]}}},
    )
    recipes = Recipes.from_params(params, AS_DECODED, ["a1", "a2", "b", "c", "d", "e"])
    general = recipes.general.hash
    hashes = [recipes.of(label).hash for label in ("a1", "a2", "b", "e", "c", "d")]
    assert hashes[:4] == [general] * 4 and hashes[4] == hashes[5] != general
    without = Recipes.from_params(params.model_copy(update={"labels": []}), AS_DECODED, ["a1"])
    assert without.general.hash == general


def test_many_classes_and_rules_take_no_time() -> None:
    classes = [f"class {number:05}" for number in range(10_000)]
    rules = [
        {"classes": [f"*{i}"], "forbid": "VerticalFlip", "bound": {"Rotate": {"limit": 30 + i}}}
        for i in range(5)
    ]
    params = params_with(["D4", "Rotate"], *rules)
    started = time.perf_counter()
    found = policies(params, classes)
    check_label_rules(params, classes)
    assert time.perf_counter() - started < 1
    assert [len(policy.labels or ()) for policy in found] == [1000] * 5 + [0]
    names = "'class 00000', 'class 00010', 'class 00020', 'class 00030', 'class 00040'"
    assert found[0].location == f"{LABELS} {names} and 995 more policy"


# --- every draw -----------------------------------------------------------------------------------

FLIPS = ["HorizontalFlip", "VerticalFlip", "Transpose", "RandomRotate90", "D4", "SquareSymmetry"]
BOUNDED = {  # the argument, and what of an operation was drawn from it
    "Affine": ("rotate", lambda applied: [applied["rotate"]]),
    "HueSaturationValue": ("hue_shift_limit", lambda applied: [applied["hue_shift"]]),
    "RandomGamma": ("gamma_limit", lambda applied: [100 * applied["gamma"]]),
    "ShiftScaleRotate": ("scale_limit", lambda applied: [n - 1 for n in applied["scale"].values()]),
}
LIMITS = {
    "Affine": [-50, 50],
    "HueSaturationValue": [-20, 20],
    "RandomGamma": [80, 120],
    "ShiftScaleRotate": [-0.2, 0.3],
}
P = st.sampled_from([0.3, 0.7, 1.0])


@st.composite
def flips(draw: st.DrawFn) -> Any:
    name, arguments = draw(st.sampled_from(FLIPS)), {"p": draw(P)}
    elements = draw(st.lists(st.sampled_from(list(ELEMENTS)), unique=True))
    if name in ("D4", "SquareSymmetry") and elements:
        return {name: {**arguments, "elements": elements}}
    return {name: arguments}


@st.composite
def ranged(draw: st.DrawFn) -> Any:
    name = draw(st.sampled_from(list(BOUNDED)))
    argument, _ = BOUNDED[name]
    limits = {argument: LIMITS[name]} if name == "Affine" or draw(st.booleans()) else {}
    return {name: {**limits, "p": draw(P)}}


@st.composite
def composites(draw: st.DrawFn, steps: st.SearchStrategy[Any]) -> Any:
    inner = draw(st.lists(steps, min_size=1, max_size=3))
    name = draw(st.sampled_from(["OneOf", "SomeOf", "Sequential"]))
    arguments = {"transforms": inner, "p": draw(P)}
    if name == "SomeOf":
        arguments |= {"n": draw(st.integers(1, len(inner))), "replace": draw(st.booleans())}
    return {name: arguments}


STEPS = st.recursive(flips() | ranged(), composites, max_leaves=5)
BOUNDS = st.fixed_dictionaries(
    {},
    optional={
        "Affine": st.just({"rotate": [-15, 70]}),
        "HueSaturationValue": st.just({"hue_shift_limit": 5}),
        "RandomGamma": st.just({"gamma_limit": [95, 105]}),
        "ShiftScaleRotate": st.just({"scale_limit": [-0.5, 0.05]}),
    },
)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(STEPS, min_size=1, max_size=3),
    st.lists(st.sampled_from([*FLIPS, *BOUNDED, "OneOf"]), unique=True, max_size=4),
    BOUNDS,
)
def test_no_draw_does_what_is_forbidden(
    policy: list[Any], forbid: list[str], bound: dict[str, Any]
) -> None:
    rule = LabelRule.model_construct(classes=["a"], forbid=forbid, bound=bound, relabel={})
    steps = effective_steps(policy, {0: rule}, LOCATION).steps
    made = Policy(steps)
    for operation in operations_of(made):
        name = operation["name"]
        does = {name, ELEMENTS.get(operation.get("group_element", "e"))}
        assert not does & set(forbid)
        if name in bound:
            argument, drawn = BOUNDED[name]
            low, high = step_ranges(name, bound[name])[argument]
            assert all(low - 1e-6 <= value <= high + 1e-6 for value in drawn(operation))
    assert effective_steps(steps, {0: rule}, LOCATION) == (steps, ())
    if steps == policy:
        untouched = Policy(policy).apply(IMAGE, 7)
        assert np.array_equal(made.apply(IMAGE, 7).pixels, untouched.pixels)


def operations_of(policy: Policy) -> Iterator[dict[str, Any]]:
    """What 200 draws apply."""
    for seed in range(200):
        yield from policy.apply(IMAGE, seed).operations


# --- what is refused ------------------------------------------------------------------------------

FLIP = ["HorizontalFlip"]
TURN = [{"Rotate": {"limit": 20}}]


@pytest.mark.parametrize(
    ("policy", "rules", "message"),
    [
        (
            FLIP,
            [{"forbid": "HorizontlFlip"}],
            "[0].forbid HorizontlFlip: unknown transform; is HorizontalFlip meant? "
            "docs/policies.md lists the known",
        ),
        (
            FLIP,
            [{"bound": {"Rotat": {"limit": 3}}}],
            "[0].bound.Rotat: unknown transform; is Rotate meant? docs/policies.md lists the known",
        ),
        (
            FLIP,
            [{"relabel": {"Flip": {"6": "9"}}}],
            "[0].relabel.Flip: unknown transform; is HorizontalFlip and VerticalFlip meant? "
            "docs/policies.md lists the known",
        ),
        (
            FLIP,
            [{"forbid": "VerticalFlip"}],
            "[0].forbid VerticalFlip: is no step of the policy of '6', '9'; its steps: "
            "HorizontalFlip",
        ),
        (
            [],
            [{"forbid": "VerticalFlip"}],
            "[0].forbid VerticalFlip: is no step of the policy of '6', '9'; its steps: none",
        ),
        (
            [{"D4": {"elements": ["e", "h"]}}],
            [{"forbid": "HorizontalFlip"}, {"forbid": "Transpose"}],
            "[1].forbid Transpose: is no step of the policy of '6', '9'; its steps: D4",
        ),
        (
            ["D4"],
            [{"bound": {"Rotate": {"limit": 9}}}],
            "[0].bound.Rotate: is no step of the policy of '6', '9'; its steps: D4",
        ),
        (
            FLIP,
            [{"relabel": {"VerticalFlip": {"6": "9"}}}],
            "[0].relabel.VerticalFlip: is no step of the policy of '6', '9'; its steps: "
            "HorizontalFlip",
        ),
        (
            [{"OneOf": {"transforms": FLIP}}],
            [{"bound": {"OneOf": {"p": 1}}}],
            "[0].bound.OneOf: needs a transform, found a composite of several",
        ),
        (
            [{"OneOf": {"transforms": FLIP}}],
            [{"relabel": {"OneOf": {"6": "9"}}}],
            "[0].relabel.OneOf: needs a transform, found a composite of several",
        ),
        (
            ["D4"],
            [{"relabel": {"D4": {"6": "9"}}}],
            "[0].relabel.D4: counts as the flip or the turn that it does; name RandomRotate90, "
            "VerticalFlip, Transpose, HorizontalFlip",
        ),
        (
            FLIP,
            [{"classes": ["7"], "forbid": FLIP}],
            "[0].classes '7': no such class in the dataset; classes: 6, 8, 9",
        ),
        (
            FLIP,
            [{"classes": ["1*"], "forbid": FLIP}],
            "[0].classes '1*': matches no class; classes: 6, 8, 9",
        ),
        (
            FLIP,
            [{"relabel": {"HorizontalFlip": {"6": "nine"}}}],
            "[0].relabel.HorizontalFlip 'nine': no such class in the dataset; classes: 6, 8, 9",
        ),
        (
            FLIP,
            [{"relabel": {"HorizontalFlip": {"1": "9"}}}],
            "[0].relabel.HorizontalFlip '1': no such class in the dataset; classes: 6, 8, 9",
        ),
        (
            FLIP,
            [
                {"relabel": {"HorizontalFlip": {"6": "9"}}},
                {"classes": ["9"], "relabel": {"HorizontalFlip": {"6": "8"}}},
            ],
            "[1].relabel.HorizontalFlip.6: needs one target for '9', found '8', and '9' in "
            "labels[0]",
        ),
        (
            TURN,
            [{"bound": {"Rotate": {"p": 0.5}}}],
            "[0].bound.Rotate.p: is no range of Rotate; its ranges: limit",
        ),
        (
            TURN,
            [{"bound": {"Rotate": {"interpolation": [0, 1]}}}],
            "[0].bound.Rotate.interpolation: is no range of Rotate; its ranges: limit",
        ),
        (
            TURN,
            [{"bound": {"Rotate": {"angle": 9}}}],
            "[0].bound.Rotate.angle: is no argument of Rotate; its ranges: limit",
        ),
        (
            FLIP,
            [{"bound": {"HorizontalFlip": {"p": 0.5}}}],
            "[0].bound.HorizontalFlip.p: is no range of HorizontalFlip; it has no ranges",
        ),
        (
            TURN,
            [{"bound": {"Rotate": {"limit": "x"}}}],
            "[0].bound.Rotate.limit: input should be a valid tuple, found 'x'",
        ),
        (
            TURN,
            [{"bound": {"Rotate": {"limit": [0, float("inf")]}}}],
            "[0].bound.Rotate.limit: needs finite numbers, found [0, inf]",
        ),
        (
            TURN,
            [{"bound": {"Rotate": {"limit": [30, 40]}}}],
            "[0].bound.Rotate.limit: leaves nothing of [-20, 20] (policy[0] Rotate) for '6', '9';"
            " needs a range that has part of it, found [30, 40]",
        ),
        (
            ["Affine"],
            [{"bound": {"Affine": {"scale": {"x": [2, 3]}}}}],
            "[0].bound.Affine.scale: leaves nothing of [1, 1] (policy[0] Affine) for '6', '9'; "
            "needs a range that has part of it, found [2, 3]",
        ),
        (
            [{"Affine": {"rotate": [-9, 9]}}],
            [{"bound": {"Affine": {"rotate": 30}}}],
            "[0].bound.Affine.rotate: needs a range, as [-30, 30]: a number alone is that one "
            "value here, found 30",
        ),
        (
            [{"Affine": {"translate_px": [0, 3]}}],
            [{"bound": {"Affine": {"translate_percent": 0.1}}}],
            "[0].bound.Affine.translate_percent: the policy has translate_px instead; bound that",
        ),
        (
            ["CoarseDropout"],
            [{"bound": {"CoarseDropout": {"hole_height_range": [2, 8]}}}],
            "[0].bound.CoarseDropout.hole_height_range: needs a range that is a share of the "
            "image, as the policy's [0.1, 0.2], found [2, 8], which is in pixels",
        ),
        (
            ["Blur"],
            [{"bound": {"Blur": {"blur_limit": [3, 4]}}}],
            "[0].bound.Blur.blur_limit: needs a range that can be drawn from: blur_limit: Non-"
            "zero kernel sizes must be odd. Range (3, 4) automatically adjusted to (3, 5).",
        ),
    ],
)
def test_rules_that_cannot_hold_are_refused(
    policy: list[Any], rules: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(UserError) as error:
        checked(params_with(policy, *rules))
    assert str(error.value) == f"{LABELS}{message}"


def test_near_names_of_classes_are_shown() -> None:
    params = params_with(FLIP, {"classes": ["lefft"], "forbid": FLIP})
    with pytest.raises(UserError) as error:
        check_label_rules(params, ("left", "right"))
    assert str(error.value) == (
        f"{LABELS}[0].classes 'lefft': no such class in the dataset; near it: left; classes: left, "
        "right"
    )


def test_a_rule_may_name_a_step_of_one_of_its_classes() -> None:
    own = {"9": {"policy": ["Blur"]}}
    checked(params_with(FLIP, {"forbid": ["Blur", "HorizontalFlip"]}, per_class=own))
    with pytest.raises(UserError, match=r"its steps: Blur$"):
        checked(params_with(FLIP, {"classes": ["9"], "forbid": FLIP}, per_class=own))


# --- elements of D4 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ([], "needs a list of e, r90, r180, r270, v, hvt, h, t, found []"),
        ("e", "needs a list of e, r90, r180, r270, v, hvt, h, t, found 'e'"),
        (["e", "x"], "unknown element 'x'; known: e, r90, r180, r270, v, hvt, h, t"),
        ([["e"]], "unknown element ['e']; known: e, r90, r180, r270, v, hvt, h, t"),
        (["v", "e", "v"], "v is there twice"),
    ],
)
def test_elements_are_checked(elements: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        build_step({"D4": {"elements": elements}}, f"{LOCATION}[0]")
    assert str(error.value) == f"{LOCATION}[0] D4.elements: {message}"


def test_elements_are_drawn_alike_and_in_whatever_order_they_are_written() -> None:
    def drawn(elements: list[str]) -> list[str]:
        policy = Policy([{"SquareSymmetry": {"elements": elements}}])
        return [operation["group_element"] for operation in operations_of(policy)]

    assert drawn(["t", "e", "h"]) == drawn(["h", "t", "e"])
    counts = [drawn(["t", "e", "h"]).count(element) for element in ("e", "h", "t")]
    assert sum(counts) == 200 and min(counts) > 45
    assert build_transforms([{"D4": {"elements": ["t", "e"]}}])[0].elements == ["e", "t"]
