"""Page of an ablation: reports/ablate.html, self-contained, with plots and a table of classes."""

from pathlib import Path
from typing import NamedTuple

from tasks.common.yaml_names import in_one_line
from tasks.dataset.paths import ABLATION_REPORT
from tasks.studies import charts, pages
from tasks.studies.ablate import plots, wording
from tasks.studies.ablate.ablate import Ablation, ArmFinding, ClassFinding

MOST_CLASSES = 100  # of the table: the worst


class Row(NamedTuple):
    """A class, and what became of it in each arm but `none`, in their order."""

    name: str
    accuracy: float
    cells: list[ClassFinding]

    @property
    def harmed(self) -> bool:
        """Whether any arm harms the class."""
        return any(cell.harmed for cell in self.cells)

    @property
    def largest_loss(self) -> float:
        """The least difference; below 0 where the class loses."""
        return min((cell.difference for cell in self.cells), default=0.0)


def write_page(found: Ablation) -> None:
    """Write the page."""
    pages.write(ABLATION_REPORT, render(found))


def render(found: Ablation) -> str:
    """The page, as HTML."""
    reference, *arms = found.arms
    classes = rows(reference, arms)
    return pages.render(
        Path(__file__).with_name("ablate.html.j2"),
        summary=wording.summary(found),
        found=found,
        reference=reference,
        arms=arms,
        forest=plots.differences(found),
        tradeoff=plots.tradeoff(found.arms),
        losses=plots.losses(found.curves),
        rows=classes[:MOST_CLASSES],
        left_out=len(classes) - len(classes[:MOST_CLASSES]),
        harmed=sum(row.harmed for row in classes),
        in_one_line=in_one_line,
        width=charts.WIDTH,
        height=charts.HEIGHT,
    )


def rows(reference: ArmFinding, arms: list[ArmFinding]) -> list[Row]:
    """A row for each class, those harmed first, then by their largest loss."""
    made = []
    for label, own in reference.classes.items():
        made.append(Row(label, own.accuracy, [arm.classes[label] for arm in arms]))
    return sorted(made, key=lambda row: (not row.harmed, row.largest_loss))
