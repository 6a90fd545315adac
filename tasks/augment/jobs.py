"""What the workers are given to do: expand some sources, or look whether a tar made before is sound."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks import images
from tasks.augment.variants import Made, Recipe, Source, expand


@dataclass
class Part:
    """Some sources to expand, with what was made of them before, by source_id and index.

    `images`: how many it stands for, originals included.
    """

    recipe: Recipe
    sources: list[Source] = field(default_factory=list)
    images: int = 0
    made: dict[tuple[str, int], Made] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A tar to check, and the name of the segment that it should be."""

    name: str
    tar: Path


def do(job: Part | Check | None) -> Any:
    """The variants of each source of a part, in order; of a check, whether the tar has the bytes it is named by."""
    if job is None:
        return None
    if isinstance(job, Part):
        return [expand(source, job.recipe, job.made) for source in job.sources]
    try:
        return f"{images.sha256(job.tar.read_bytes())[:16]}.tar" == job.name
    except OSError:
        return False
