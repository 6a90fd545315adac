"""A run that finds all stages up to date, without Prefect: for machines on which no server is up.

Starting a temporary server would take ten times as long as asking DVC.
"""

from pathlib import Path

from flows.stage_options import read_options
from flows.versions.dvc_graph import read_steps
from flows.versions.raw_dvc import RAW_DVC
from flows.versions.stale_checkout import require_not_stale


def find_all_cached(until: str | None = None) -> dict[str, str] | None:
    """What a run of the flow would return, `cached` for each stage; None where it has work to do.

    The caller has checked what every run checks first: parameters, and the images in data/raw.

    Args:
        until: the last stage to run; None for all.

    Raises:
        UserError: as the flow would, where it could not begin.
    """
    if not Path(RAW_DVC).is_file():
        return None
    steps = read_steps(until)
    require_not_stale(steps)
    if not all(step.clean for step in steps):
        return None
    for step in steps:
        read_options(step)
    return {step.address: "cached" for step in steps}
