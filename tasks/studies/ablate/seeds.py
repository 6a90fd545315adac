"""How many seeds an ablation has: as many as usual, or as fit into a time."""

from collections.abc import Callable, Sequence

from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.budget import Count, costs_of, number_within, seconds_side_by_side
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.key import Keys
from tasks.studies.trainings.training import Training

SEEDS = 5
LEAST_SEEDS = 2  # one has no spread
MOST_SEEDS = 50  # more would tell little: what images there are decides then


def seeds_within(budget: str, arms: Sequence[Arm], data: StudyData, epochs: int) -> int:
    """As many as fit, see number_within(); `epochs`: of each training.

    Raises:
        UserError: where less than LEAST_SEEDS fit.
    """

    def measure() -> Callable[[int], float]:
        costs = costs_of(arms, data)
        share = len(data.validation) / len(data.training)
        # of each arm a training, and a look at its validation images, which tells the affinity
        once = [cost.of(epochs) + share * cost.further for cost in costs]
        return lambda seeds: seconds_side_by_side(once * seeds)

    keys = Keys(data)
    study = ["ablate", *(keys.of(Training(arm, data.params.seed, epochs)) for arm in arms)]
    count = Count(lambda seeds: f"{seeds} seeds of {len(arms)} arms", LEAST_SEEDS, MOST_SEEDS)
    return number_within(budget, study, count, measure)
