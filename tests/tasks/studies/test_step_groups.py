"""Groups of steps: each in one, composites with their steps."""

import re

import pytest

from tasks.studies.step_groups import GROUPS, group_of, groups_of
from tasks.variants.policy import TRANSFORMS
from tasks.variants.published_policies import PUBLISHED
from tasks.variants.transforms import KINDS
from tests.conftest import ROOT


def test_each_step_is_in_one_group() -> None:
    assert len(set(TRANSFORMS)) == len(TRANSFORMS)
    for name in (*TRANSFORMS, *PUBLISHED):
        assert group_of(name) in GROUPS
        assert groups_of([name]) == {group_of(name): [name]}


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_those_of_the_docs(kind: str) -> None:
    row = re.search(rf"\| {kind} \|(.*)\|", (ROOT / "docs/policies.md").read_text(), re.IGNORECASE)
    assert row
    assert tuple(row[1].strip().split(", ")) == KINDS[kind]


def test_groups_of_a_policy_by_hand() -> None:
    affine, blur = {"Affine": {"rotate": [-9, 9]}}, {"Blur": {"p": 0.1}}
    flips = {"OneOf": {"transforms": ["HorizontalFlip", "VerticalFlip"]}}
    mixed = {"OneOf": {"transforms": [blur, {"Sequential": {"transforms": ["D4", "ToGray"]}}]}}
    steps = [affine, "ToGray", flips, "CoarseDropout", blur, mixed, "autoaugment"]
    assert groups_of(steps) == {
        "geometry": [affine, flips],
        "light and colour": ["ToGray"],
        "occlusion and weather": ["CoarseDropout"],
        "blur and noise": [blur],
        "OneOf of geometry, light and colour, blur and noise": [mixed],
        "published policies": ["autoaugment"],
    }
    assert groups_of([]) == {}
