"""The words in folder and file names that mean a split: train, valid, t10k, ..."""

import re
from functools import lru_cache

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "trainval": "train",  # what is trained on where test alone is held out
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "t10k": "test",  # MNIST's name of it
}
# Words that say nothing of a class beside a split's: train_images, Test-Data, val2017, seg_train.
FILLERS = (
    *("data", "dataset", "set", "sets", "split", "splits", "folder", "subset", "seg"),
    *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pics"),
)
# Folders of images that nobody has labelled, beside split folders.
UNLABELLED = ("pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled")

_FILLERS, _SPLITS = "|".join(FILLERS), "|".join(SPLIT_WORDS)
_SPLIT_WORD = re.compile(rf"(?:{_FILLERS})?({_SPLITS})(?:{_FILLERS})*\d*")
_FILLER_WORD = re.compile(rf"(?:{_FILLERS})*\d*")


def split_named(name: str) -> str | None:
    """The split that a word in a file's name means, without its folders; None where there is none.

    Examples: `train-000.tar` means train, `t10k-images-idx3-ubyte` and `testset.csv` test.
    """
    words = re.split(r"[^a-z0-9]+", name.rpartition("/")[2].lower())
    return next(filter(None, map(_split_of_word, words)), None)


@lru_cache(4096)
def split_of_folder(name: str) -> str | None:
    """The split that a folder certainly is: its name says a split and nothing else.

    Examples: `Test-Data`, `testset` and `seg_test` are test. `test_tube` may be a class, and
    `train_val` says two splits: None.
    """
    words = _words(name)
    found = {_split_of_word(word) for word in words if not _FILLER_WORD.fullmatch(word)}
    return found.pop() if len(found) == 1 else None


@lru_cache(4096)
def says_nothing(name: str) -> bool:
    """Whether a folder's name is that of no class: `images`, `data`, `train_set`."""
    is_filler = all(_FILLER_WORD.fullmatch(word) for word in _words(name) if not word.isdigit())
    return split_of_folder(name) is not None or (is_filler and not name.isdigit())


def is_unlabelled(name: str) -> bool:
    """Whether a folder's name says that its images have no labels: `seg_pred`, `unlabeled`."""
    return any(word in UNLABELLED for word in _words(name))


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", name.lower()) if word]


def _split_of_word(word: str) -> str | None:
    match = _SPLIT_WORD.fullmatch(word)
    return SPLIT_WORDS[match[1]] if match else None
