"""The words in folder and file names that mean a split: train, valid, t10k, ..."""

import re

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "t10k": "test",  # MNIST's name of it
}


def split_named(name: str) -> str | None:
    """The split that a word in a file's name means, without its folders; None where there is none.

    Examples: `train-000.tar` means train, `t10k-images-idx3-ubyte` test.
    """
    words = re.split(r"[^a-z0-9]+", name.rpartition("/")[2].lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)
