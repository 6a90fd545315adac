"""Advice: what gives images to a split that lacks them, named only where it does."""

import pandas as pd

from tasks.common.texts import counted
from tasks.dataset.columns import SPLITS
from tasks.dataset.selections import is_usable
from tasks.validate.params import ValidateParams
from tasks.validate.split import assign_splits, class_counts, open_rows, plan_splits


def lacking_splits(rows: pd.DataFrame, params: ValidateParams) -> list[str]:
    """A line for each class and split that it has no image in.

    Args:
        rows: with the columns of the validated manifest and `given_split` and `lineage`.
        params: of the stage.
    """
    counts = class_counts(rows)
    lacking = counts == 0
    exact = counts_if_exact(rows, params).reindex_like(counts).fillna(0)
    fewer = (exact == 0).sum(axis=1) < lacking.sum(axis=1)
    helps = lacking & (exact > 0) & fewer.to_numpy()[:, None]
    lines = []
    for split in SPLITS:
        for label in counts.index[lacking[split]]:
            advice = "; validate.stratify: exact gives it one" if helps.loc[label, split] else ""
            total = counts.loc[label].sum()
            lines.append(f"class {label!r} has no {split} image ({total:,} in all){advice}")
    return lines


def counts_if_exact(rows: pd.DataFrame, params: ValidateParams) -> pd.DataFrame:
    """The class_counts() of `stratify: exact`; no rows where it is set or could change nothing."""
    counts = class_counts(rows)
    if (
        params.stratify == "exact"
        or not plan_splits(rows, params).fractions
        or counts.to_numpy().all()
    ):
        return counts.head(0)
    return class_counts(assign_splits(rows, params.model_copy(update={"stratify": "exact"})))


def fill_split(rows: pd.DataFrame, split: str, params: ValidateParams) -> str:
    """What to do about a split that has no image at all.

    Args:
        rows: see lacking_splits().
        split: the empty one.
        params: of the stage.
    """
    plan, made = plan_splits(rows, params), open_rows(rows)
    lost = rows[~is_usable(rows) & (rows["given_split"] == split)]
    if counts_if_exact(rows, params).sum().all():
        return "set validate.stratify: exact"
    if len(lost):
        return _explain_loss(lost)
    if split not in plan.fractions:
        return f"folders or tables give every image to {' or '.join(plan.given)}: give it some"
    count, fraction = len(made), plan.fractions[split]
    if made["lineage"].nunique() < len(plan.fractions) <= count:
        return _explain_lineages(made)
    if count * fraction < 1:
        return f"add images: it gets {fraction:.0%} of {count:,}, which is less than one"
    return _explain_lineages(made)


def _explain_loss(lost: pd.DataFrame) -> str:
    """Why none of the images that a split was given can be used."""
    leaked = int((lost["reason"] == "leak").sum())
    if leaked:
        images = counted(leaked, "image belongs", "images belong")
        return f"{images} together with one of another split: see validate.on_leak"
    if (lost["status"] == "duplicate").all():
        return f"its images are copies of images in other splits, which are used: {len(lost):,}"
    return f"none of its images can be used: {list_causes(lost)}"


def list_causes(unused: pd.DataFrame) -> str:
    """Why images are not used, and how many: `2 corrupt, 1 duplicate`."""
    causes = unused["reason"].fillna("duplicate").value_counts()
    return ", ".join(f"{count:,} {cause}" for cause, count in causes.items())


def _explain_lineages(made: pd.DataFrame) -> str:
    """Which images belong together, so that there are too few parts for all splits."""
    if made["group_id"].notna().all() and made["group_id"].nunique() == 1:
        return "all images are of one group: see ingest.group_pattern"
    sizes = made["lineage"].value_counts()
    return (
        f"images that belong together stay in one split, and the {len(made):,} images make "
        f"{len(sizes):,} such sets, of {sizes.max():,} at most: see duplicates and groups"
    )
