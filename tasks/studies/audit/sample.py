"""Sample: the training images that an audit looks at, and their variants by each setting."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from tasks.common import events
from tasks.studies.audit.evidence import Images
from tasks.studies.audit.features import Projection, choose_form
from tasks.studies.audit.making import UNTOUCHED, Made, Maker, Task, make_all, policy_of
from tasks.studies.audit.settings import Setting
from tasks.variants.label_rules import names_in_words
from tasks.variants.policy import canonical_json
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source, policy_input_sizes, to_sources

# Images that are looked at. Of photos fewer: they take their time to be decoded, and are told apart
# so badly that more of them would tell no more.
MOST_OF_CLASS = {"pixels": 400, "hog": 100}
MOST_IMAGES = 4_000  # of all classes, but LEAST_OF_CLASS of each
LEAST_OF_CLASS = 8  # of fewer nothing can be told


# --- which images -----------------------------------------------------------------------------


def classes_with_enough(counts: pd.Series) -> list[str]:
    """The classes of which something can be told, sorted; one line names the others.

    `counts`: the training images of each class.
    """
    few = counts.index[counts < LEAST_OF_CLASS].tolist()
    enough = counts.index[counts >= LEAST_OF_CLASS].tolist()
    need = f"{LEAST_OF_CLASS} training images"
    if few:
        events.say(f"nothing can be told of classes with fewer than {need}: {names_in_words(few)}")
    if len(enough) < 2:
        events.say(f"nothing can be told without two classes of {need} or more")
    return sorted(enough)


def chosen_rows(rows: pd.DataFrame, most_of_class: int) -> pd.DataFrame:
    """Some rows of each class: those with the lowest hashes, so that no order has a part in it."""
    most = max(min(most_of_class, MOST_IMAGES // rows["label"].nunique()), LEAST_OF_CLASS)
    ordered = rows.sort_values(["label", "sha256"])
    return ordered[ordered.groupby("label").cumcount() < most]


# --- their variants ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """The images that are looked at, and their variants by each setting.

    Attributes:
        sources: the images, by class and hash.
        classes: sorted; the number of a class is its index.
        maker: how variants were made.
        made: what became of each source, see make_all().
    """

    sources: list[Source]
    classes: list[str]
    maker: Maker
    made: dict[bytes, bytes] = field(default_factory=dict)

    def with_variants(self, settings: list[Setting]) -> "Sample":
        """The same images with their variants by these settings, which are made."""
        wanted = (Task(source, _policies_for(source, settings)) for source in self.sources)
        return replace(self, made=make_all(self.maker, wanted))

    @cached_property
    def labels(self) -> np.ndarray:
        """The number of each source's class, int64 (sources,)."""
        return np.array([self._number[source.label] for source in self.sources], np.int64)

    @cached_property
    def originals(self) -> np.ndarray:
        """The features of the sources themselves, (sources, dimensions)."""
        made = [self._of(source, UNTOUCHED) for source in self.sources]
        return np.stack([one.features for one in made if one.features is not None])

    @cached_property
    def _number(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.classes)}

    def _of(self, source: Source, policy: str) -> Made:
        return Made.from_bytes(self.made[self.maker.key(source, policy)])

    def as_images(self, projection: Projection) -> Images:
        """The sources themselves."""
        features = projection.apply(self.originals)
        return Images(features, self.labels, np.arange(len(self.sources)))

    def variants_of(self, setting: Setting, projection: Projection) -> Images | None:
        """The variants of a setting; one line tells of those that are not there.

        A variant that was relabelled ought to be the class that it became. None where a
        step refuses all images.
        """
        texts = [canonical_json(policy) for policy in setting.policies]
        features: list[np.ndarray] = []
        labels: list[int] = []
        sources: list[int] = []
        failures: list[str] = []
        for number, source in enumerate(self.sources):
            if source.label not in setting.classes:
                continue
            made = self._of(source, texts[policy_of(setting, source)])
            final = self.maker.recipes.final_label(source.label, made.operations)
            if made.features is None:
                failures.append(str(made.failure))
            elif final in self._number:  # else nothing can be told of that class
                features.append(made.features)
                labels.append(self._number[final])
                sources.append(number)
        if failures:
            _say_failures(setting, failures, len(failures) + len(features))
        if failures and not features:
            return None
        stacked = np.stack(features) if features else self.originals[:0]
        projected = projection.apply(stacked)
        return Images(projected, np.array(labels, np.int64), np.array(sources, np.int64))


def make_sample(
    rows: pd.DataFrame, classes: list[str], settings: list[Setting], recipes: Recipes
) -> Sample:
    """Choose from the training images in these rows, of two classes or more; make their variants.

    `classes`: of which images are looked at, sorted.
    """
    rows = rows[rows["label"].isin(classes)]
    sizes = policy_input_sizes(rows, recipes.general.preprocessing)
    form = choose_form(sizes["width"].to_numpy(), sizes["height"].to_numpy())
    chosen = chosen_rows(rows, MOST_OF_CLASS[form.kind])
    sources = list(to_sources(chosen, pd.Series(1, chosen.index)))
    return Sample(sources, classes, Maker(recipes, form)).with_variants(settings)


def _policies_for(source: Source, settings: list[Setting]) -> list[str]:
    """The policies that make a variant of a source, and the one that leaves it as it is."""
    own = [each for each in settings if source.label in each.classes]
    policies = [canonical_json(each.policies[policy_of(each, source)]) for each in own]
    return list(dict.fromkeys([UNTOUCHED, *policies]))


def _say_failures(setting: Setting, failures: list[str], images: int) -> None:
    """One line about images that a setting cannot make variants of."""
    magnitude = "" if setting.low is None else f" {setting.low:g} to {setting.high:g}"
    what = f"{setting.step} {setting.argument or ''}".rstrip() + magnitude
    count = f"failed on {len(failures):,} of {images:,} images"
    left_out = "; left out" if len(failures) == images else ""
    events.say(f"{what}: {count}{left_out}: {failures[0]}")
