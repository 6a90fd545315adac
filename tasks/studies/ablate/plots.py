"""Plots of the page of an ablation: differences to `none`, affinity and diversity, losses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import isfinite

from tasks.studies import charts
from tasks.studies.ablate.ablate import Ablation, ArmFinding
from tasks.studies.ablate.wording import is_told
from tasks.studies.charts import Chart, Mark, Scale
from tasks.studies.forest import Compared, Forest, forest, look
from tasks.studies.numbers import points
from tasks.studies.trainings.arm import NONE

LEAST, MOST = 4.0, 10.0  # radius of a mark, pixels: none and the largest difference


def differences(found: Ablation) -> Forest:
    """The differences of all arms to `none`, the first."""
    reference, *arms = found.arms
    compared = [_compared(one, reference.per_seed) for one in arms]
    return forest(reference.arm, reference.accuracy, compared)


def _compared(arm: ArmFinding, reference: Sequence[float]) -> Compared:
    """An arm against another. `reference`: the accuracies of that one's seeds."""
    seeds = [own - other for own, other in zip(arm.per_seed, reference, strict=True)]
    numbers = (arm.accuracy, arm.difference, arm.low, arm.high)
    return Compared(arm.arm, *numbers, seeds, is_told(arm), arm.verdict)


def tradeoff(arms: Iterable[ArmFinding]) -> Chart:
    """Affinity against diversity of each arm; the size of a mark is its difference to `none`.

    Source: R. Gontijo-Lopes et al., "Tradeoffs in Data Augmentation: An Empirical Study", 2021.
    """
    arms = [one for one in arms if isfinite(one.affinity) and isfinite(one.diversity)]
    across = Scale.over([one.affinity for one in arms], charts.WIDTH)
    up = Scale.over([one.diversity for one in arms], charts.HEIGHT, upwards=True)
    largest = max((abs(one.difference) for one in arms), default=0.0) or 1.0
    marks = [_mark(one, across, up, largest) for one in arms]
    return Chart(
        title="Affinity and diversity of each arm",
        across=across.ticks(),
        up=up.ticks(),
        across_label="affinity: accuracy of clean models on augmented over clean images",
        up_label="diversity: training loss over that of none",
        marks=charts.with_names(marks, [one.arm for one in arms]),
    )


def _mark(arm: ArmFinding, across: Scale, up: Scale, largest: float) -> Mark:
    shape, style = look(arm.difference, is_told(arm))
    if arm.arm == NONE.name:
        shape, style = "cross", "left-out"
    radius = round(LEAST + (MOST - LEAST) * abs(arm.difference) / largest, 1)
    title = (
        f"{arm.arm}: affinity {arm.affinity:.2f}, diversity {arm.diversity:.2f}, "
        f"{points(arm.difference)} points"
    )
    return Mark(across.at(arm.affinity), up.at(arm.diversity), radius, shape, style, title)


def losses(curves: Mapping[str, Sequence[float]]) -> Chart:
    """The mean training loss of each arm by epoch; of many arms the first ones."""
    shown = dict(list(curves.items())[: charts.MOST_LINES])
    values = filter(isfinite, chain.from_iterable(shown.values()))
    across = Scale.over([1, max(map(len, shown.values()), default=1)], charts.WIDTH, least_step=1)
    up = Scale.over([0.0, *values], charts.HEIGHT, upwards=True)
    lines = [
        charts.line(name, colour, _places(its, across, up))
        for colour, (name, its) in enumerate(shown.items())
    ]
    return Chart(
        title="Training loss of each arm by epoch",
        across=across.ticks(),
        up=up.ticks(),
        across_label="epoch",
        up_label="training loss",
        lines=lines,
        left_out=len(curves) - len(shown),
    )


def _places(by_epoch: Sequence[float], across: Scale, up: Scale) -> Iterator[tuple[float, float]]:
    """Where losses lie; those of a training that did not end in numbers are left out."""
    for epoch, loss in enumerate(by_epoch, 1):
        if isfinite(loss):
            yield across.at(epoch), up.at(loss)
