"""What is given to workers to do: sources to expand, and what was made before to check."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from tasks.augment.segments import Expanded, gather
from tasks.variants.make import Made, Recipe, Source, expand


class Job(Protocol):
    def do(self) -> Any: ...


@dataclass
class Part:
    """Some sources to expand, in groups of those next to each other.

    `made`: what was made of them before, by source_id and index. `pixels`: how much work it is, originals included.
    """

    recipe: Recipe
    groups: list[list[Source]] = field(default_factory=list)
    pixels: int = 0
    made: dict[tuple[str, int], Made] = field(default_factory=dict)

    def do(self) -> list[list[Expanded]]:
        """Of each group, the sources with their variants, in order, ready to be put into segments."""
        return gather(
            [[(one, expand(one, self.recipe, self.made)) for one in group] for group in self.groups]
        )


def do(job: Job) -> Any:
    """Do a job: what crosses to a worker is this function and a part."""
    return job.do()
