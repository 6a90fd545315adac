"""Sequences: images whose names count and whose neighbours look alike, as frames of a film do.

Frames of one film may differ too much to be near-duplicates and still tell a model what is in the
test split. Names alone prove nothing, for most photos are numbered; so neighbours are compared with
other images of their class.
"""

import re
from itertools import chain, pairwise, takewhile

import numpy as np
import pandas as pd

from tasks.common import fact_cache
from tasks.common.texts import counted
from tasks.dataset.columns import SPLITS
from tasks.dataset.selections import usable
from tasks.validate import measure
from tasks.validate.params import ValidateParams
from tasks.validate.related.near_duplicates import read_thumbnails, standardise

# folders, what stands before the last number of a file's name, and that number
NUMBERED = r"^(?P<folder>.*(?:/|::))?(?P<head>[^/]*?)(?P<number>\d+)[^\d/]*?(?:\.\w+)?$"
LEAST_PAIRS = 8  # neighbours by which a kind of names is judged
MOST_PAIRS = 64
MOST_DISTANCE = 0.5  # of neighbours, as a part of that of others
LEAST_CLOSER = 0.9  # of neighbours are so close
MOST_NAMES = 12  # kinds of names that a pattern lists


def describe_sequences(rows: pd.DataFrame, params: ValidateParams) -> list[str]:
    """A line with the pattern that groups sequences; none where there are none, or groups already.

    Args:
        rows: the table with `group_id`, before images are quarantined as leaks.
        params: of the stage; `near_duplicates: off` compares nothing.
    """
    images = usable(rows)
    if params.near_duplicates == "off" or rows["group_id"].notna().any():
        return []
    frames = find_frames(images)
    frames = frames[frames["shape"].isin(alike_shapes(images, frames))]
    pattern = find_pattern(images["file_name"], frames)
    if pattern is None:
        return []
    if frames.groupby("label")["sequence"].nunique().max() < 2:
        return []  # a class would lie in one split
    is_given = images.loc[frames.index, "given_split"].notna().any()
    if is_given and pattern.startswith("^("):
        return []  # it would tell a film's frames in one split's folder from those in another's
    example = images.loc[frames.index[0], "file_name"]
    count = frames["sequence"].nunique()
    if count + len(images) - len(frames) < len(SPLITS):
        return []  # too few parts to split
    sequences = counted(count, "sequence")
    effect = "leaks between given splits show" if is_given else "no split parts a sequence"
    effect += " with"
    quoted = pattern.replace("'", "''")
    return [
        f"{len(frames):,} images are numbered as frames of {sequences}, and neighbours look alike, "
        f"{example} for one: {effect} ingest.group_pattern: '{quoted}'"
    ]


def find_frames(images: pd.DataFrame) -> pd.DataFrame:
    """The images whose names count, in the order of their sequences.

    Returns:
        By the index of `images`: `label`, `sequence`, `number`, and `shape`: the kind of name, a
        regular expression in which every number is as good as another.
    """
    names = images["file_name"].str.extract(NUMBERED).astype(object)
    names = names[names["number"].notna()]
    folder, head = names["folder"].fillna(""), names["head"]
    parts = folder.str.extract(r"^(.*(?:/|::))?([^/]+/)$").fillna("").astype(object)
    nameless = head == ""  # seq1/0001.png: the folder names the sequence
    head = head.where(~nameless, parts[1])
    folder = folder.where(~nameless, parts[0])
    # the frames of film03 may lie in several folders; where numbers come twice, or nothing numbers
    # the films (IMG_0012), each folder has its own
    places = pd.DataFrame({"head": head, "number": names["number"], "folder": folder})
    folders = places.drop_duplicates().groupby(["head", "number"])["folder"].transform("size")
    several = head.isin(head[folders.index[folders > 1]]) | ~head.str.contains(r"\d")
    shapes = {text: re.sub(r"\d+", r"\\d+", re.escape(text)) for text in head.unique()}
    frames = pd.DataFrame(
        {
            "label": images.loc[names.index, "label"],
            "sequence": head.where(~several, folder + head),
            "number": names["number"].astype(float),
            "shape": head.map(shapes),
        }
    )
    frames = frames[frames["shape"] != ""]
    return frames.sort_values(["label", "shape", "sequence", "number"], kind="stable")


def alike_shapes(images: pd.DataFrame, frames: pd.DataFrame) -> list[str]:
    """The shapes of names whose neighbours are clearly closer than other images of their class.

    An image is compared with the next of its sequence, and with one that is far in its class.
    """
    sequence = frames["sequence"].to_numpy()
    here = np.flatnonzero(sequence[:-1] == sequence[1:])
    shape = frames["shape"].to_numpy()[here]
    kind = _kinds(pd.Series(shape)).to_numpy()
    order = np.argsort(kind, kind="stable")
    chosen = order[_spread(kind[order])]
    here, shape, kind = here[chosen], shape[chosen], kind[chosen]
    count = frames.groupby("label")["number"].transform("size").to_numpy()[here]
    place = frames.groupby("label").cumcount().to_numpy()[here]
    far = here - place + (place + count // 2) % count
    in_order = images.loc[frames.index]
    with fact_cache.FactCache("thumbnails", measure.VERSION) as thumbnails:
        near_by = distances(in_order, here, here + 1, thumbnails)
        far_off = distances(in_order, here, far, thumbnails)
    pairs = pd.DataFrame({"shape": shape, "kind": kind, "near": near_by, "far": far_off})
    limit = MOST_DISTANCE * pairs.groupby("kind")["far"].transform("median")
    closer = (pairs["near"] < limit).groupby(pairs["kind"])
    alike = (closer.transform("mean") >= LEAST_CLOSER) & (closer.transform("size") >= LEAST_PAIRS)
    return pairs.loc[alike, "shape"].unique().tolist()


def _kinds(shapes: pd.Series) -> pd.Series:
    """Which shapes are judged together: each by itself, but those of few images if alike.

    `clip_a-` and `clip_b-` are, as words are in the same places.
    """
    alike = {shape: re.sub(r"[^\W\d_]+", "w", shape) for shape in shapes.unique()}
    few = shapes.groupby(shapes).transform("size") < LEAST_PAIRS
    return shapes.where(~few, shapes.map(alike))


def _spread(kinds: np.ndarray) -> np.ndarray:
    """Positions of at most MOST_PAIRS of each kind, evenly spread; equal ones lie together."""
    parts = [np.empty(0, np.int64)]
    edges = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
    for start, end in pairwise([0, *edges.tolist(), len(kinds)]):
        count = min(end - start, MOST_PAIRS)
        parts.append(start + (np.arange(count) * (end - start)) // count)
    return np.concatenate(parts)


def distances(
    images: pd.DataFrame, first: np.ndarray, second: np.ndarray, thumbnails: fact_cache.FactCache
) -> np.ndarray:
    """One less the correlation of the thumbnails of positions in `images`, float32 (pairs,)."""
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(first), MOST_PAIRS):
        sides = [side[start : start + MOST_PAIRS] for side in (first, second)]
        left, right = [standardise(read_thumbnails(images.iloc[s], thumbnails)) for s in sides]
        parts.append(1 - np.einsum("ij,ij->i", left, right) / left.shape[1])
    return np.concatenate(parts)


def find_pattern(names: pd.Series, frames: pd.DataFrame) -> str | None:
    """The shortest pattern whose first group is the sequence of all frames, and of no other name.

    Args:
        names: of all usable images.
        frames: see find_frames().
    """
    wanted = frames["sequence"].reindex(names.index)
    shapes = sorted(frames["shape"].unique())
    if not shapes:
        return None
    end = "/" if all(shape.endswith("/") for shape in shapes) else ""
    words = [shape.removesuffix(end) for shape in shapes]
    texts = ["|".join(words)] if len(words) <= MOST_NAMES else []
    candidates = [
        (
            rf"({text}){end}\d+",
            rf"(?:^|/|::)({text}){end}\d+",
            rf"^(.*{enclose(text)}){end}\d+",
            rf"^((?:.*(?:/|::))?{enclose(text)}){end}\d+",
        )
        for text in [*texts, summarise(words)]
    ]
    return next((found for found in chain(*candidates) if _groups_as(found, names, wanted)), None)


def _groups_as(pattern: str, names: pd.Series, wanted: pd.Series) -> bool:
    """Whether the pattern's first group parts the names as wanted; null: does not match them."""
    found = names.str.extract(f"(?:{pattern})")[0]
    if not found.notna().equals(wanted.notna()):
        return False
    pairs = pd.DataFrame({"found": found, "wanted": wanted}).dropna().drop_duplicates()
    return len(pairs) == pairs["found"].nunique() == pairs["wanted"].nunique()


def enclose(text: str) -> str:
    """The pattern, so that it can stand beside others."""
    return f"(?:{text})" if "|" in text else text


def summarise(shapes: list[str]) -> str:
    """A pattern of what shapes begin and end with, and anything but a / between."""
    words = [re.findall(r"\\d\+|\\.|.", shape) for shape in shapes]
    begin = _common(words)
    end = _common([word[len(begin) :][::-1] for word in words])[::-1]
    return "".join([*begin, "[^/]*", *end])


def _common(words: list[list[str]]) -> list[str]:
    """What all begin with."""
    columns = zip(*words, strict=False)
    return [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
