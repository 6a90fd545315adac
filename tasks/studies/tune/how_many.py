"""How many trials a tuning has: as many as usual, or as fit into a time."""

from collections.abc import Callable

from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.budget import Count, costs_of, number_within, seconds_side_by_side
from tasks.studies.trainings.data import StudyData
from tasks.studies.tune.search import BATCH, Round
from tasks.studies.tune.space import MOST_OPERATIONS, ONLINE, Space, arm_of
from tasks.studies.tune.tune import all_rounds, key_of

TRIALS = 2 * BATCH  # a batch by chance, and one that goes by what the first told
MOST_TRIALS = 200


def trials_within(budget: str, space: Space, data: StudyData) -> int:
    """As many as fit, see number_within().

    Raises:
        UserError: where those that come first do not.
    """

    def measure() -> Callable[[int], float]:
        costs = costs_of(_costly_arms(space), data)

        def takes(one: Round) -> float:
            longest = max(cost.of(one.epochs) for cost in costs)
            return seconds_side_by_side([longest] * one.trainings)

        return lambda trials: sum(map(takes, all_rounds(trials, space)))

    count = Count(lambda trials: f"{trials} trials", len(space.first), MOST_TRIALS)
    return number_within(budget, ["tune", key_of(space, data)], count, measure)


def _costly_arms(space: Space) -> list[Arm]:
    """Of what is on offer, what takes the longest."""
    operations = {"n": MOST_OPERATIONS, "m": 10, "variants": ONLINE}
    present = [] if space.present_is_none else [arm_of("present", {}, space)]
    return [arm_of("randaugment", operations, space), *present]
