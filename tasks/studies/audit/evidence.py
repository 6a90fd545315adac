"""Evidence that variants of a class became another: where they lie, and what tells them apart.

Both pieces rest on one rule: an image belongs to the class whose third-nearest image is nearer.
Among two classes that is the vote of the five nearest neighbours (E. Fix, J. L. Hodges,
"Discriminatory Analysis", 1951), and the distance itself says whether an image lies in the class at
all: one odd original, or two, make no neighbourhood.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from tasks.evaluate.intervals import wilson

NEAREST = 3  # which nearest image of a class says how far the class is
QUANTILE = 0.95  # of a class's own distances: beyond, an image is not inside it
SIGNIFICANCE = 0.05  # of the test whether classes become harder to tell apart
# Which nearest image of a side decides there: a smoother border than above, because confusion is
# told by errors, and a border that follows each image makes too few.
VOTE = 7
# Each half of the sources is judged by the other. With more folds, fewer errors are left to count:
# of 250 digits, a 6 upside down and a 9 were then told apart but for two.
FOLDS = 2
# Ways to part the sources, of which most decide whether an image is told right. By one alone, the
# probability of a confusion is a matter of luck: another one makes it a hundred times smaller.
HALVINGS = 5
ROWS_AT_ONCE = 1024  # of a matrix of distances, so that it stays small


class Images(NamedTuple):
    """Features of images, with what is known of each; at most one variant of a source.

    Attributes:
        features: float32 (images, dimensions).
        labels: the class each ought to be, as a number, int64 (images,): of a variant what
            `relabel` makes of it, else that of its source.
        sources: the number of each one's source, int64 (images,): an original is its own.
    """

    features: np.ndarray
    labels: np.ndarray
    sources: np.ndarray

    def take(self, rows: np.ndarray) -> "Images":
        """Some of them: by a mask or by positions."""
        return Images(self.features[rows], self.labels[rows], self.sources[rows])


class Share(NamedTuple):
    """A share of images: how many of how many, and the 95% interval of Wilson."""

    found: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself, 0 to 1."""
        return self.found / self.of


def share_of(found: np.ndarray) -> Share:
    """The share of images that have something.

    `found`: bool (images,), of one image at least.
    """
    count, of = int(found.sum()), len(found)
    low, high = wilson(count / of, of)
    return Share(count, of, float(low), float(high))


class Reference:
    """Originals, and what is needed of them to judge variants; computed once.

    Their order makes no difference.

    Attributes:
        originals: sorted by class and source.
        distances: of each to the third-nearest original of each class, itself left out; float32
            (originals, classes), infinite where the class has fewer.
        limits: of each class, the 95% quantile of its own originals' distances; 0 where it has too
            few to have any.
        known: of each class, how many of its originals are nearer to it than to others, 0 to 1.
        inside_untouched: of originals of a class (row), how many lie inside another (column).
        outside_untouched: of originals of a class, how many lie outside all classes.
    """

    def __init__(self, originals: Images) -> None:
        self.originals = originals.take(np.lexsort((originals.sources, originals.labels)))
        labels = self.originals.labels
        self.classes = int(labels.max()) + 1
        self._starts = np.searchsorted(labels, np.arange(self.classes + 1))
        self._by_source = np.argsort(self.originals.sources)
        self._squares = (self.originals.features**2).sum(axis=1)
        self.distances = self.distances_of(self.originals)
        own = self.distances[np.arange(len(labels)), labels]
        self.limits = np.array([_quantile(own[part]) for part in self._parts])

    @cached_property
    def known(self) -> np.ndarray:
        others, rows = self.distances.copy(), np.arange(len(self.distances))
        others[rows, self.originals.labels] = np.inf
        # Nearer than any other, not as near: images that are all equal are none of them told.
        return self._means(self.distances[rows, self.originals.labels] < others.min(axis=1))

    @cached_property
    def inside_untouched(self) -> np.ndarray:
        return self._means(self.inside(self.distances, self.originals.labels))

    @cached_property
    def outside_untouched(self) -> np.ndarray:
        return self._means(self.outside(self.distances))

    @property
    def _parts(self) -> list[slice]:
        """Where the originals of each class stand."""
        bounds = zip(self._starts[:-1], self._starts[1:], strict=True)
        return [slice(int(start), int(end)) for start, end in bounds]

    def _means(self, found: np.ndarray) -> np.ndarray:
        """The mean of each class's rows; 0 for a class without originals."""
        return np.array(
            [found[part].sum(axis=0) / max(len(found[part]), 1) for part in self._parts]
        )

    def positions_of(self, images: Images) -> np.ndarray:
        """Where the sources of images stand among `originals`.

        Raises:
            ValueError: for a source that is not among them.
        """
        sources = self.originals.sources
        places = np.searchsorted(sources, images.sources, sorter=self._by_source)
        positions = self._by_source[np.minimum(places, len(sources) - 1)]
        if not np.array_equal(sources[positions], images.sources):
            raise ValueError("images of sources that are not among the originals")
        return positions

    def distances_of(self, images: Images) -> np.ndarray:
        """The distance of each image to the third-nearest original of each class.

        The image's own source is left out.

        Returns:
            float32 (images, classes), infinite for a class of too few.
        """
        found = np.full((len(images.labels), self.classes), np.inf, np.float32)
        positions = self.positions_of(images)
        for start in range(0, len(found), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            squares = _squared(images.features[rows], self.originals.features, self._squares)
            squares[np.arange(len(squares)), positions[rows]] = np.inf
            for number, part in enumerate(self._parts):
                if part.stop - part.start >= NEAREST:
                    found[rows, number] = _nth(squares[:, part], NEAREST)
        return np.sqrt(found)

    def inside(self, distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether images lie inside a class that is not theirs: bool (images, classes).

        They do where they are no farther from it than most of its own originals are, and nearer
        than to their own class.

        Args:
            distances: what distances_of() found.
            labels: the class each image ought to be.
        """
        own = distances[np.arange(len(labels)), labels]
        return (distances < self.limits) & (distances < own[:, None])

    def outside(self, distances: np.ndarray) -> np.ndarray:
        """Whether images are farther from every class than most of its originals: bool (images,).

        Args:
            distances: what distances_of() found.
        """
        return np.all(distances > self.limits, axis=1)

    def chance_of_confusion(self, variants: Images, other: int) -> float:
        """Whether variants are harder to tell from another class than originals are.

        A classifier is trained to tell the variants from originals of the class, and one to tell
        the originals that they stand for. Each judges the half of the sources that it was not
        trained on, for several ways to part them, and most of these count. An image of either side
        that only the first gets wrong speaks for confusion, one that only the second gets wrong
        against it.

        Args:
            variants: those of one class, sorted by source.
            other: the class.

        Returns:
            The probability that so many would speak for it by chance: the exact one-sided test of
            Q. McNemar, "Note on the Sampling Error of the Difference Between Correlated
            Proportions", 1947.
        """
        against = np.arange(self._starts[other], self._starts[other + 1])
        sources, untouched = self.positions_of(variants), self._stand_ins(variants)
        count = min(len(against), len(sources))  # as many of one as of the other
        against, sources, untouched = against[:count], sources[:count], untouched[:count]
        features, folds = self.originals.features, self._folds
        compared = features[against], folds[:, against]
        before = _errors((features[untouched], folds[:, untouched]), compared)
        after = _errors((variants.features[:count], folds[:, sources]), compared)
        worse, better = int((after & ~before).sum()), int((before & ~after).sum())
        if worse + better == 0:
            return 1.0
        return float(binomtest(worse, worse + better, alternative="greater").pvalue)

    @cached_property
    def _folds(self) -> np.ndarray:
        """The half of its class that each original belongs to, (HALVINGS, originals).

        Random, but the same for as many images.
        """
        rng = np.random.default_rng(0)
        sizes = np.diff(self._starts).tolist()
        halves = [rng.permuted(np.tile(np.arange(n) % FOLDS, (HALVINGS, 1)), axis=1) for n in sizes]
        return np.concatenate(halves, axis=1)

    def _stand_ins(self, variants: Images) -> np.ndarray:
        """Of each variant, where an original of the class it ought to be stands.

        That is its source, but where `relabel` makes another class of it: then it is one of that
        class, by turns.
        """
        positions = self.positions_of(variants)
        starts, ends = self._starts[variants.labels], self._starts[variants.labels + 1]
        others = starts + np.arange(len(positions)) % (ends - starts)
        kept = self.originals.labels[positions] == variants.labels
        return np.where(kept, positions, others)


def _quantile(distances: np.ndarray) -> float:
    """The 95% quantile of a class's distances; 0 where it has too few images to have any."""
    finite = len(distances) > 0 and np.isfinite(distances).all()
    return float(np.quantile(distances, QUANTILE)) if finite else 0.0


def _squared(rows: np.ndarray, columns: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """The squared distances between two sets of images, float32 (rows, columns).

    `squares`: the squared length of each of `columns`.
    """
    products = rows @ columns.T
    return np.maximum((rows**2).sum(axis=1)[:, None] + squares - 2 * products, 0)


def _nth(values: np.ndarray, n: int) -> np.ndarray:
    """The n-th smallest of each row."""
    return np.partition(values, n - 1, axis=1)[:, n - 1]


def _errors(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Which images of two sides are taken for the other side, by most halvings.

    Args:
        one, other: the features of a side, and the fold of each image by each halving.

    Returns:
        bool (images of both,).
    """
    features = np.concatenate([one[0], other[0]])
    first = np.arange(len(features)) < len(one[0])
    squares = _squared(features, features, (features**2).sum(axis=1))
    halvings = np.concatenate([one[1], other[1]], axis=1)
    wrong = [_errors_of_halving(squares, first, folds) for folds in halvings]
    return np.mean(wrong, axis=0) > 1 / 2


def _errors_of_halving(squares: np.ndarray, first: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Which images are taken for the other side by those of the other fold.

    An image is taken for the side whose n-th nearest image is nearer.

    Args:
        squares: the squared distances between all images.
        first: which images are of the first side.
        folds: of each image.
    """
    wrong = np.zeros(len(folds), bool)
    for fold in range(FOLDS):
        judged = np.flatnonzero(folds == fold)
        sides = [np.flatnonzero((folds != fold) & side) for side in (first, ~first)]
        nth = min(VOTE, *map(len, sides))
        if nth == 0:
            continue  # nothing to learn from: no error is counted
        nearest = [_nth(squares[np.ix_(judged, side)], nth) for side in sides]
        wrong[judged] = (nearest[0] < nearest[1]) != first[judged]
    return wrong
