"""Prefect artifacts of a stage: counts, progress, links, pictures and changes of the dataset."""

import os
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pandas as pd
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.service.environment import is_this_machine
from flows.service.pages import pages_url
from flows.versions.diff import as_markdown
from tasks.augment.counts import (
    by_kind,
    counts_by_class,
    explain,
    in_words,
    kinds_by_class,
    read_counts,
    read_labels,
    read_rejections,
)
from tasks.common.texts import code_span
from tasks.dataset.columns import MEASURES
from tasks.dataset.paths import (
    COUNTS,
    LEDGER,
    REPORT_PAGE,
    VERSIONS_PAGE,
    page_of_class,
    page_of_images,
    page_of_operation,
    page_of_variant,
)
from tasks.dataset.variant_measures import (
    UNCHANGED,
    Measured,
    high_is_worst,
    read_measured,
    read_rows,
)
from tasks.pixels.encode import encode
from tasks.pixels.thumbnails import data_uri

# Prefect sends each artifact as an event too, and refuses those of more than 1.5 MB.
MOST_BYTES_OF_PICTURE = 1_400_000
MOST_CLASSES = 2_000  # of a table
PAGES_OF_FILES = {"report": REPORT_PAGE, "images": page_of_images()}  # by what stages call them
PAGES_OF_PICTURES = {"contact sheet": ("All variants", page_of_images(kind="variant"))}


def publish_counts(stage: str, counts: dict[str, Any]) -> None:
    """The numbers that a stage counted, and for augment those of each class."""
    rows = [{"name": name.replace("_", " "), "value": value} for name, value in counts.items()]
    create_table_artifact(rows, key=f"{stage}-counts", description=f"What {stage} counted")
    if stage == "augment":
        publish_classes()
        publish_measures()


def publish_classes() -> None:
    """The training images of each class (of very many the first), and why variants were rejected.

    Reasons are there where any was.
    """
    classes, rejections = counts_by_class(read_counts()), read_rejections()
    kinds, by_label = kinds_by_class(rejections), read_labels()
    table = [
        {
            "class": linked(label, page_of_class(label)),
            **numbers,
            **label_cells(numbers["sources"], by_label.get(label)),
            "reasons": in_words(kinds.get(label, {})),
        }
        for label, numbers in islice(classes.items(), MOST_CLASSES)
    ]
    description = "Training images per class, before and after"
    if by_label:
        description += "; by label: those that show it, as augment.labels relabels variants"
    if len(classes) > MOST_CLASSES:
        whole = code_span(str(COUNTS.resolve()))
        description += f"; the first {MOST_CLASSES:,} of {len(classes):,} classes, from {whole}"
    create_table_artifact(table, key="images-per-class", description=description)
    lost = [
        {
            "reason": linked(kind, page_of_rejected(kind)),
            "variants": count,
            **explain(kind)._asdict(),
        }
        for kind, count in by_kind(rejections).items()
    ]
    if lost:
        text = "Why variants were rejected, and what helps"
        create_table_artifact(lost, key="rejected-variants", description=text)


def label_cells(sources: int, shown: dict[str, Any] | None) -> dict[str, Any]:
    """The training images that show a class, and how many were expected; see count_labels()."""
    if shown is None:
        return {}
    expected = round(sources + shown["expected"], 1)
    return {"training_images_by_label": shown["training_images"], "expected_by_label": expected}


def publish_measures() -> None:
    """What augmentation did to the images: their measures, by operation too, and the worst."""
    from tasks.augment.contact_sheet import SHEET_QUALITY  # with Albumentations: a second
    from tasks.commands.worst_variants import WORST_SHOWN, stored_worst_sheet

    measured = read_measured(LEDGER)
    if not measured.known:
        return
    text = "What augmentation did to the images; see the report for each class"
    create_table_artifact(measure_rows(measured), key="image-measures", description=text)
    text = "The same by operation: the median, then the 5% or 95% that is worse"
    rows = operation_rows(measured)
    create_table_artifact(rows, key="image-measures-by-operation", description=text)
    sheet = stored_worst_sheet(LEDGER, measured)
    if sheet is not None:
        uri = data_uri(encode(sheet, "jpeg", SHEET_QUALITY), "jpeg")
        publish_picture("worst variants", uri, worst_variants(measured, WORST_SHOWN))


def measure_rows(measured: Measured) -> list[dict[str, Any]]:
    """Of each measure its median, 5% and 95% over all variants, the worst, and what it means."""
    values = measured.rows[measured.known]
    found = values.quantile([0.5, 0.05, 0.95]).round(4)
    return [
        {
            "measure": linked(name, page_of_worst(name)),
            "median": float(found.at[0.5, name]),
            "5%": float(found.at[0.05, name]),
            "95%": float(found.at[0.95, name]),
            "worst": float(values[name].max() if high_is_worst(name) else values[name].min()),
            "meaning": MEASURES[name],
        }
        for name in measured.known
    ]


def operation_rows(measured: Measured) -> list[dict[str, Any]]:
    """Of each operation its variants, and of each measure the median and what the worst have."""
    table = pd.DataFrame({"variants": measured.uses})
    for name in measured.known:
        table[name] = median_and_worse(measured, name)
    table = table.fillna("").rename_axis("operation")
    table.index = table.index.map(linked_operation)
    return table.reset_index().to_dict("records")


def linked_operation(name: str) -> str:
    """An operation's name, which leads to its page."""
    return name if name == UNCHANGED else linked(name, page_of_operation(name))


def worst_variants(measured: Measured, count: int) -> str:
    """A list in Markdown: of each measure its so many worst variants, which lead to their pages."""
    worst = measured.worst_rows(count)
    numbers = sorted(set(chain.from_iterable(worst.values())))
    names = read_rows(LEDGER, numbers, ["source_id", "variant_id"]).set_axis(numbers)
    pages = {
        row.Index: linked(row.variant_id, page_of_variant(row.source_id, row.variant_id))
        for row in names.itertuples()
    }
    return "\n".join(
        f"- {linked(measure, page_of_worst(measure))}: {', '.join(map(pages.__getitem__, its))}"
        for measure, its in worst.items()
    )


def page_of_worst(measure: str) -> str:
    """The grid of the variants, the worst by this measure first."""
    order = "desc" if high_is_worst(measure) else "asc"
    return page_of_images(kind="variant", sort=measure, order=order)


def page_of_rejected(kind: str) -> str:
    """The grid of the variants that were rejected for a reason, of a gate whatever its measure."""
    return page_of_images(kind="variant", status="rejected", reason=kind.split()[0])


def linked(name: str, page: str) -> str:
    """A name in a table, which leads to a page of `variegate ui` where this machine has both.

    Tables know links, and no other Markdown within one: a name that could end its link has none.

    Args:
        name: also one that others chose.
        page: see tasks.dataset.paths.
    """
    if not is_reached() or set(name) & set("[]`") or not name.strip() or not name.isprintable():
        return code_span(name)
    return f"[{name}]({pages_url()}{page})"


def leading(words: str, page: str) -> str:
    """Words of ours, as linked(); "" where they would lead nowhere."""
    return linked(words, page) if is_reached() else ""


def is_reached() -> bool:
    """Whether the dashboard is this machine's, where `variegate ui` serves the pages."""
    server = os.environ.get("PREFECT_API_URL", "")
    return not server or is_this_machine(urlsplit(server).hostname or "")


def median_and_worse(measured: Measured, name: str) -> pd.Series:
    """A measure's median over the variants of each operation, and its 5% or 95%: as texts."""
    table = measured.by_operation(name).map("{:.2f}".format)
    return table[0.5] + " / " + table[0.95 if high_is_worst(name) else 0.05]


def publish_link(stage: str, text: str, path: str) -> None:
    """The path of a file that the stage wrote for people, and the page that shows it."""
    named = leading(text, PAGES_OF_FILES[text]) or text
    create_markdown_artifact(
        f"The {named}: {code_span(str(Path(path).resolve()))}", key=f"{stage}-{text}"
    )


def publish_picture(text: str, uri: str, more: str = "") -> None:
    """A picture, given as a `data:` URI; `more`: what stands below it, in Markdown."""
    if text in PAGES_OF_PICTURES:
        more = leading(*PAGES_OF_PICTURES[text])
    shown = paragraphs(picture_or_size(text, uri), more)
    create_markdown_artifact(shown, key=text.replace(" ", "-"), description=text.capitalize())


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
        text = paragraphs(as_markdown(found), leading("The same with pictures", VERSIONS_PAGE))
        create_markdown_artifact(text, key="changes", description="Since the last commit")


def paragraphs(*parts: str) -> str:
    """Markdown of parts, of which some may be empty."""
    return "\n\n".join(filter(None, parts))


class Progress:
    """The progress bar of one stage; created with the first progress event."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.artifact: UUID | None = None

    def show(self, what: str, done: int, total: int, pace: str = "") -> None:
        """Show how far `what` is; `pace`: how many a second, and the time that is left."""
        percent = 100 * done / total
        what = f"{what}: {pace}" if pace else what
        if self.artifact is None:
            made = create_progress_artifact(percent, key=f"{self.stage}-progress", description=what)
            self.artifact = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self.artifact, percent, description=what)
