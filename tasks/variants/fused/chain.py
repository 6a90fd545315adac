"""Walk through the steps of a policy, drawing as Albumentations' own Compose does."""

from typing import Any

from tasks.variants.fused.canvas import Canvas


def apply_step(step: Any, canvas: Canvas, chosen: bool = False) -> None:
    """Apply a transform or a composite with its probability.

    The draws are those of Albumentations' composites, in their order; they would copy the image
    for each step, where a canvas waits for the last one.

    Args:
        step: a transform, OneOf, SomeOf or Sequential of Albumentations.
        canvas: the image.
        chosen: OneOf has chosen it, and applies it whatever its p; SomeOf asks its p even then.
    """
    match type(step).__name__:
        case "OneOf":
            if step.transforms_ps and (chosen or step.py_random.random() < step.p):
                number = step.random_generator.choice(len(step.transforms), p=step.transforms_ps)
                apply_step(step.transforms[number], canvas, chosen=True)
        case "SomeOf":
            if step.py_random.random() < step.p:
                for number in step._get_idx():
                    apply_step(step.transforms[number], canvas)
        case "Sequential":
            if chosen or step.py_random.random() < step.p:
                for inner in step.transforms:
                    apply_step(inner, canvas)
        case _:
            if step.should_apply(force_apply=chosen):
                canvas.add(step)
