"""Predictions on standard output, one by one as they come: a table for people, or JSON."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

from tasks.commands.predict.predict import Prediction

WIDEST_FILE = 60  # columns; longer names push their line to the right


def print_json(predictions: Iterable[Prediction]) -> int:
    """Print a list of objects, one on each line; returns how many files could not be read."""
    unread, before = 0, "[\n"
    with _results_apart() as output:
        for prediction in predictions:
            unread += prediction.error is not None
            output.write(before + json.dumps(prediction._asdict(), ensure_ascii=False))
            before = ",\n"
        output.write("\n]\n")
    return unread


def print_table(predictions: Iterable[Prediction], files: list[Path]) -> int:
    """Print a line for each of `files`; returns how many could not be read."""
    width = min(max(len(str(file)) for file in files), WIDEST_FILE)
    unread = 0
    with _results_apart() as output:
        for prediction in predictions:
            unread += prediction.error is not None
            output.write(f"{_printable(prediction.file):<{width}}  {_in_words(prediction)}\n")
    return unread


def _in_words(prediction: Prediction) -> str:
    """`shoes 98.2%, then boots 1.1%`, or why there is nothing to say."""
    if prediction.probabilities is None:
        return f"not read: {prediction.error}"
    likeliest = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:2]
    return ", then ".join(f"{_printable(label)} {share:.1%}" for label, share in likeliest)


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)


@contextmanager
def _results_apart() -> Iterator[TextIO]:
    """Standard output for results alone; all else that is printed, such as progress, is not."""
    output = sys.stdout
    with redirect_stdout(sys.stderr):
        yield output
