"""Arms of an ablation: none, each group of steps alone, all but each group, all, TrivialAugment."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

import pandas as pd

from tasks.common.errors import UserError
from tasks.studies.class_policies import Steps, for_all_classes, policies_of, with_steps
from tasks.studies.step_groups import groups_of
from tasks.studies.trainings.arm import NONE, Arm
from tasks.variants.params import AugmentParams
from tasks.variants.policy import LOCATION, canonical_json, parse_step
from tasks.variants.published_policies import PUBLISHED, WIDE

ALL = "all"
TRIVIAL = "trivialaugment"
TRIVIAL_SCALED = "scaled trivialaugment"
# Of images with a shorter side below that, TrivialAugment's strongest shift moves out most.
SMALL = 2 * int(WIDE["TranslateX"])


def arms_of(params: AugmentParams, variants: int | None, sizes: pd.DataFrame) -> list[Arm]:
    """The arms, `none` first, each policy once; all show equally many variants of an image.

    Policies of single classes are cut as the general one is; gates and label rules stay. The arms
    of TrivialAugment have one policy for all classes.

    Args:
        params: the augment block.
        variants: see Arm.
        sizes: of the training images as policies get them: `width` and `height`.

    Raises:
        UserError: without a step or a variant.
    """
    if variants == 0:
        need = "needs variants to try with train.augmentation: offline"
        raise UserError(f"params.yaml augment: {need}, found none in its plan")
    if not any(policies_of(params)):
        raise UserError(f"{LOCATION}: needs a step to try, found none")
    trivial: dict[str, Steps] = {TRIVIAL: ["trivialaugment"]}
    if sizes[["width", "height"]].min(axis=1).median() < SMALL:
        trivial[TRIVIAL_SCALED] = [{"trivialaugment": {"scaled": True}}]
    made = [*_of_groups(params), (ALL, params)]
    made += [(name, for_all_classes(params, steps)) for name, steps in trivial.items()]
    return [NONE, *(Arm(name, augment, variants) for name, augment in _each_once(made))]


def _of_groups(params: AugmentParams) -> Iterator[tuple[str, AugmentParams]]:
    """Each group alone, then all but each group; nothing of a published policy, which is one."""
    found = policies_of(params)
    if any(map(_is_published, found)):
        return
    groups = list(dict.fromkeys(chain.from_iterable(map(groups_of, found))))
    for group in groups:
        yield f"{group} alone", with_steps(params, partial(_alone, group=group))
    for group in groups:
        yield f"all but {group}", with_steps(params, partial(_without, group=group))


def _is_published(steps: Steps) -> bool:
    return len(steps) == 1 and parse_step(steps[0], LOCATION)[0] in PUBLISHED


def _alone(steps: Steps, group: str) -> Steps:
    return groups_of(steps).get(group, [])


def _without(steps: Steps, group: str) -> Steps:
    gone = _alone(steps, group)
    return [step for step in steps if step not in gone]


def _each_once(made: Iterable[tuple[str, AugmentParams]]) -> Iterator[tuple[str, AugmentParams]]:
    """Each policy once, under the plainest name that it has; none that shows originals alone.

    Of a single group, that group alone is all; of two, each alone is all but the other.
    """
    names: dict[str, str] = {}
    for name, augment in made:
        key = canonical_json(policies_of(augment))
        if key not in names or name == ALL:
            names[key] = name
    for name, augment in made:
        if any(policies_of(augment)) and names[canonical_json(policies_of(augment))] == name:
            yield name, augment
