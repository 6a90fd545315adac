"""What a trial may choose: a policy, its strength, and how its variants are shown."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

from optuna.trial import BaseTrial

from tasks.common.texts import counted
from tasks.studies.class_policies import Steps, for_all_classes, policies_of, with_steps
from tasks.studies.strength import weakened
from tasks.studies.trainings.arm import NONE, Arm
from tasks.studies.trainings.presentations import Presentations
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams

Kind = Literal[
    "none", "present", "strength", "trivialaugment", "trivialaugment_scaled", "randaugment"
]
Choice = dict[str, Any]  # what a kind leaves open: `strength`; `n` and `m`; `variants`
PRESENT = "present policy"  # the name of its arm
ONLINE = "online"  # in the place of a number of stored variants
VARIANTS = (1, 2, 4, 8)
STRENGTH_STEP = 0.05  # finer ones would be told apart by no training
MOST_OPERATIONS = 3  # of randaugment, one after the other
MOST_MAGNITUDE = 20  # of its 30: its authors found the best for small images at 4 to 14
SCALED = {"trivialaugment": {"scaled": True}}


@dataclass(frozen=True)
class Space:
    """Where the search goes on from, and what it may change.

    `augment`, `train`: the blocks of params.yaml. `shown`: how often a training of the study shows
    each image, and of how many variants as it is.
    """

    augment: AugmentParams
    train: TrainParams
    shown: Presentations

    @property
    def present_is_none(self) -> bool:
        """Whether training shows originals alone as it is."""
        return self.shown.variants == 0 or not any(policies_of(self.augment))

    @property
    def own_number(self) -> bool:
        """Whether one number of variants serves all images, so that another can take its place."""
        classes = self.augment.per_class.values()
        numbered = self.augment.variants_per_image is not None
        return numbered and not any(plan.has_number for plan in classes)

    @cached_property
    def kinds(self) -> list[str]:
        """What is drawn from; `none` and the present policy are tried first, and once."""
        published = ["trivialaugment", "trivialaugment_scaled", "randaugment"]
        present = policies_of(self.augment)
        changes = [weakened(steps, STRENGTH_STEP) for steps in present] != present
        return ["strength", *published] if changes else published

    @cached_property
    def variants(self) -> list[int | str]:
        """How an image's variants may be shown: that many of them stored, or always new ones.

        A plan that balances classes is kept: there other numbers are not offered. Nor are more than
        the epochs of a study would show, or than augment.max_per_image.
        """
        limit = self.augment.max_per_image
        most = self.shown.epochs - 1 if limit is None else min(limit, self.shown.epochs - 1)
        numbers = {self.shown.variants or 0, *(VARIANTS if self.own_number else ())} - {0}
        return [*sorted(number for number in numbers if number <= most), ONLINE]

    @property
    def shown_now(self) -> int | str:
        """How variants are shown as it is, of those that are on offer."""
        return self.shown.variants if self.shown.variants in self.variants else ONLINE

    @property
    def first(self) -> list[tuple[str, Choice]]:
        """The trials that come first, whatever the sampler would ask."""
        present: list[tuple[str, Choice]] = [] if self.present_is_none else [("present", {})]
        return [("none", {}), *present, ("trivialaugment", {"variants": self.shown_now})]


def choose(asked: BaseTrial, space: Space) -> tuple[str, Choice]:
    """What Optuna's sampler chooses for a trial; what is asked next depends on the kind."""
    kind = asked.suggest_categorical("kind", space.kinds)
    choice: Choice = {}
    if kind == "strength":
        strength = asked.suggest_float("strength", STRENGTH_STEP, 1.0, step=STRENGTH_STEP)
        choice["strength"] = round(strength, 2)
    if kind == "randaugment":
        choice["n"] = asked.suggest_int("n", 1, MOST_OPERATIONS)
        choice["m"] = asked.suggest_int("m", 1, MOST_MAGNITUDE)
    choice["variants"] = asked.suggest_categorical("variants", space.variants)
    return kind, choice


def parameters_of(kind: str, choice: Choice, space: Space) -> dict[str, Any]:
    """What the sampler would have to choose for a trial; {} for `none`, which is not on offer.

    The present policy is the strength 1.
    """
    if kind == "present" and "strength" in space.kinds:
        return {"kind": "strength", "strength": 1.0, "variants": space.shown_now}
    return {"kind": kind, **choice} if kind in space.kinds else {}


# --- what is trained --------------------------------------------------------------------------


def arm_of(kind: str, choice: Choice, space: Space) -> Arm:
    """What the trainings of a trial show."""
    if kind == "none":
        return NONE
    if kind == "present":
        return Arm(PRESENT, space.augment, space.shown.variants)
    stored = None if choice["variants"] == ONLINE else choice["variants"]
    return Arm(_name(kind, choice), _augment(kind, choice, space.augment), stored)


def _name(kind: str, choice: Choice) -> str:
    what = "scaled trivialaugment" if kind == "trivialaugment_scaled" else kind
    if kind == "strength":
        what = f"strength {choice['strength']:g}"
    if kind == "randaugment":
        what = f"randaugment n={choice['n']} m={choice['m']}"
    variants = choice["variants"]
    return f"{what}, {variants if variants == ONLINE else counted(variants, 'variant')}"


def _augment(kind: str, choice: Choice, augment: AugmentParams) -> AugmentParams:
    """The block with another policy.

    Of a published one all classes get the same. Rules of labels name steps of the policy that was
    there, so they go with it.
    """
    if kind == "strength":
        return with_steps(augment, partial(weakened, strength=choice["strength"]))
    published: dict[str, Steps] = {
        "trivialaugment": ["trivialaugment"],
        "trivialaugment_scaled": [SCALED],
        "randaugment": [{"randaugment": {"n": choice.get("n"), "m": choice.get("m")}}],
    }
    return for_all_classes(augment, published[kind]).model_copy(update={"labels": []})


# --- what is written --------------------------------------------------------------------------


def block_of(kind: str, choice: Choice, space: Space) -> dict[str, dict[str, Any]]:
    """What params.yaml needs for what a trial showed; {} where it has it, None for a key to remove.

    With it the stage presents each image as often as the study did.
    """
    if kind == "present" or (kind == "none" and space.present_is_none):
        return {}
    if kind == "none":
        return _block_of_none(space)
    made, before = _as_written(_augment(kind, choice, space.augment)), _as_written(space.augment)
    changed = {key: value for key, value in made.items() if value != before[key]}
    if choice["variants"] == ONLINE:
        return {"augment": changed, "train": _train(ONLINE, space.shown.epochs, kind, space)}
    stored = choice["variants"]
    if space.own_number:
        changed["variants_per_image"] = stored
    epochs = max(round(space.shown.epochs / (1 + stored)), 1)
    return {"augment": changed, "train": _train("offline", epochs, kind, space)}


def _as_written(augment: AugmentParams) -> dict[str, Any]:
    """What a trial may change of the block, as YAML has it; None where it is empty."""
    dump = augment.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return {key: dump.get(key) or None for key in ("policy", "per_class", "labels")}


def _block_of_none(space: Space) -> dict[str, dict[str, Any]]:
    counted = ("total", "target_per_class", "at_least", "max_per_image", "per_class", "labels")
    given = space.augment.model_fields_set
    removed = {key: None for key in counted if key in given}
    augment: dict[str, Any] = {"policy": [], "variants_per_image": 0, **removed}
    return {"augment": augment, "train": _train("offline", space.shown.epochs, "none", space)}


def _train(shown: str, epochs: int, kind: str, space: Space) -> dict[str, Any]:
    """The keys of the train block; mixup and cutmix belong to `device` alone."""
    before = space.train
    if before.augmentation == "device" and kind == "strength" and shown == ONLINE:
        return {"augmentation": "device", "epochs": epochs}
    mixed = [name for name in ("mixup", "cutmix") if getattr(before, name) != "none"]
    return {"augmentation": shown, "epochs": epochs, **dict.fromkeys(mixed)}
