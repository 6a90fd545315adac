"""Prefect artifacts of a stage: counts, progress, links, pictures and changes of the dataset."""

from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.versions.diff import as_markdown, code_span
from tasks.augment.counts import (
    by_kind,
    counts_by_class,
    explain,
    in_words,
    kinds_by_class,
    read_counts,
    read_rejections,
)
from tasks.dataset.paths import COUNTS

# Prefect sends each artifact as an event too, and refuses those of more than 1.5 MB.
MOST_BYTES_OF_PICTURE = 1_400_000
MOST_CLASSES = 2_000  # of a table


def publish_counts(stage: str, counts: dict[str, Any]) -> None:
    """The numbers that a stage counted, and for augment those of each class."""
    rows = [{"name": name.replace("_", " "), "value": value} for name, value in counts.items()]
    create_table_artifact(rows, key=f"{stage}-counts", description=f"What {stage} counted")
    if stage == "augment":
        publish_classes()


def publish_classes() -> None:
    """The training images of each class (of very many the first), and why variants were rejected.

    Reasons are there where any was.
    """
    classes, rejections = counts_by_class(read_counts()), read_rejections()
    kinds = kinds_by_class(rejections)
    table = [
        {"class": code_span(label), **numbers, "reasons": in_words(kinds.get(label, {}))}
        for label, numbers in islice(classes.items(), MOST_CLASSES)
    ]
    description = "Training images per class, before and after"
    if len(classes) > MOST_CLASSES:
        whole = code_span(str(COUNTS.resolve()))
        description += f"; the first {MOST_CLASSES:,} of {len(classes):,} classes, from {whole}"
    create_table_artifact(table, key="images-per-class", description=description)
    lost = [
        {"reason": kind, "variants": count, **explain(kind)._asdict()}
        for kind, count in by_kind(rejections).items()
    ]
    if lost:
        text = "Why variants were rejected, and what helps"
        create_table_artifact(lost, key="rejected-variants", description=text)


def publish_link(stage: str, text: str, path: str) -> None:
    """The path of a file that the stage wrote for people."""
    create_markdown_artifact(
        f"The {text}: {code_span(str(Path(path).resolve()))}", key=f"{stage}-{text}"
    )


def publish_picture(text: str, uri: str) -> None:
    """A picture, given as a `data:` URI."""
    create_markdown_artifact(
        picture_or_size(text, uri), key=text.replace(" ", "-"), description=text.capitalize()
    )


def picture_or_size(text: str, uri: str) -> str:
    """Markdown that shows a picture; one that Prefect would refuse is only named."""
    if len(uri) > MOST_BYTES_OF_PICTURE:
        return f"The {text} is too large for this page: {len(uri):,} bytes."
    return f"![{text}]({uri})"


def publish_changes(found: dict[str, Any] | None) -> None:
    """What the run changed in images since the last commit; nothing for None.

    Args:
        found: see flows.versions.publish.changes_since_commit().
    """
    if found is not None:
        create_markdown_artifact(
            as_markdown(found), key="changes", description="Since the last commit"
        )


class Progress:
    """The progress bar of one stage; created with the first progress event."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.artifact: UUID | None = None

    def show(self, what: str, done: int, total: int) -> None:
        percent = 100 * done / total
        if self.artifact is None:
            made = create_progress_artifact(percent, key=f"{self.stage}-progress", description=what)
            self.artifact = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self.artifact, percent, description=what)
