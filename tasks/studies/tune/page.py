"""Page of a tuning: reports/tune.html, self-contained, with plots and a table of trials."""

from pathlib import Path

from tasks.common.yaml_names import in_one_line
from tasks.dataset.paths import TUNING_REPORT
from tasks.studies import charts, pages
from tasks.studies.tune import plots, wording
from tasks.studies.tune.tune import Tuning

MOST_TRIALS = 200  # of the table and the plots


def write_page(found: Tuning) -> None:
    """Write the page."""
    pages.write(TUNING_REPORT, render(found))


def render(found: Tuning) -> str:
    """The page, as HTML."""
    shown = found.trials[:MOST_TRIALS]
    return pages.render(
        Path(__file__).with_name("tune.html.j2"),
        found=found,
        wording=wording,
        to_none=plots.to_none(found.finalists),
        to_present=plots.to_present(found.finalists),
        by_choice=plots.by_choice(shown),
        best_so_far=plots.best_so_far(shown),
        trials=shown,
        left_out=len(found.trials) - len(shown),
        in_one_line=in_one_line,
        width=charts.WIDTH,
        height=charts.HEIGHT,
    )
