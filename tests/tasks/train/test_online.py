"""What a loader shows in epoch k is variant k, as the segments hold it."""

import math
import multiprocessing
import weakref
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tasks.augment.expand import expand_source
from tasks.pixels import hashing
from tasks.pixels.decode import decode
from tasks.pixels.encode import encode
from tasks.pixels.hashing import fast_pixel_hash
from tasks.train.online import OnlineBatches, OnlineVariants
from tasks.variants.gates import Gate
from tasks.variants.originals import Originals
from tasks.variants.params import Encoding
from tasks.variants.policy import canonical_json
from tasks.variants.recipe import Recipe, Recipes
from tasks.variants.sources import Source

EPOCHS = 4
PHOTO = [{"Rotate": {"limit": 20, "p": 1.0}}, {"GaussNoise": {"p": 0.5}}]
GATES = (Gate("contrast", 0.5, 0.99, "reject"), Gate("border", -math.inf, 0.1, "redraw"))
# They make four images in all: draws repeat, so that a variant depends on its siblings, and there
# is no fourth new image: variant 4 is rejected.
FLIPS = [{"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}}]


def recipe(policy: list, distinct: bool = True, gates: tuple[Gate, ...] = ()) -> Recipe:
    encoding = Encoding(format="png")
    return Recipe(42, canonical_json(policy), encoding, distinct, max_attempts=30, gates=gates)


def sources(folder: Path, planned: int, count: int = 6) -> list[Source]:
    made = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 9 + number, 3), dtype=np.uint8)
        data = encode(pixels, "png")
        path = folder / f"{number}.png"
        path.write_bytes(data)
        sha256 = hashing.sha256(data)
        made.append(
            Source(
                str(path),
                None,
                len(data),
                sha256[:16],
                sha256,
                "a",
                "PNG",
                9 + number,
                12,
                3,
                8,
                planned,
            )
        )
    return made


def stored(folder: Path, recipe: Recipe) -> list[list[np.ndarray]]:
    """The segments' pixels of each source: EPOCHS variants, the source where one was rejected."""
    found = []
    for source in sources(folder, EPOCHS):
        encoded = [data for _, data in expand_source(source, recipe)]
        found.append([decode(data or Path(source.path).read_bytes()).pixels for data in encoded])
    return found


@pytest.mark.parametrize("policy", [PHOTO, FLIPS], ids=["photo", "flips"])
@pytest.mark.parametrize("distinct", [True, False])
@pytest.mark.parametrize("gates", [(), GATES], ids=["free", "gated"])
def test_an_epoch_shows_what_the_segments_hold(
    policy: list, distinct: bool, gates: tuple[Gate, ...], tmp_path: Path
) -> None:
    made_by = recipe(policy, distinct, gates)
    expected = stored(tmp_path, made_by)
    dataset = OnlineVariants(sources(tmp_path, 0), Recipes(made_by), EPOCHS)
    for epoch in range(1, EPOCHS + 1):
        dataset.set_epoch(epoch)
        for place in reversed(range(len(dataset))):
            assert np.array_equal(dataset[place][0], expected[place][epoch - 1])
    made = [dataset[place][1] for place in range(len(dataset))]
    assert gates or made == [policy is PHOTO or not distinct] * len(dataset)


@pytest.mark.starts  # worker processes, which import torch
@pytest.mark.parametrize("workers", [0, 2])
def test_neither_workers_nor_a_resumed_epoch_nor_the_order_change_it(
    workers: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected, others = stored(tmp_path, recipe(FLIPS)), set(multiprocessing.active_children())
    for first, size in ((1, 4), (3, 6)):  # of the six: the second worker gets no batch
        dataset = OnlineVariants(sources(tmp_path, 0), Recipes(recipe(FLIPS)), EPOCHS, finish=_sum)
        loader = OnlineBatches(dataset, workers)
        for epoch in range(first, EPOCHS + 1):
            order = torch.randperm(
                len(dataset), generator=torch.Generator().manual_seed(epoch)
            ).tolist()
            batches = [batch for batch in (order[:size], order[size:]) if batch]
            shown = [sums.tolist() for sums, *_ in loader.epoch(epoch, batches)]
            assert shown == [
                [_sum(expected[place][epoch - 1]) for place in batch] for batch in batches
            ]
        ended = weakref.ref(loader.loader)
        del loader  # its workers end with it: nothing waits for the garbage collector
        assert ended() is None and set(multiprocessing.active_children()) <= others
    assert capfd.readouterr().err == ""


def test_after_stored_variants_come_those_that_would_follow_them(tmp_path: Path) -> None:
    expected = stored(tmp_path, recipe(FLIPS))
    two = sources(tmp_path, planned=2)
    dataset = OnlineVariants(two, Recipes(recipe(FLIPS)), EPOCHS)
    expanded = chain.from_iterable(expand_source(source, recipe(FLIPS)) for source in two)
    rows = [row for row, _ in expanded]
    dataset.remember(pd.DataFrame(rows))
    assert all(dataset.hashes[:, :2].flatten() != 0)
    assert [np.array_equal(dataset[place][0], expected[place][2]) for place in range(len(two))] == [
        True
    ] * len(two)


def test_where_a_variant_equals_a_held_out_image_its_source_stands_in(tmp_path: Path) -> None:
    own = recipe([{"HorizontalFlip": {"p": 0.5}}], distinct=False)
    both = sources(tmp_path, 0, count=2)
    images = [decode(Path(source.path).read_bytes()).pixels for source in both]
    flipped = fast_pixel_hash(images[0][:, ::-1])
    originals = Originals(*map(np.array, ([flipped], ["a"], [True], ["0" * 16])))
    dataset = OnlineVariants(both, Recipes(own), 8, originals=originals)
    shown = []
    for epoch in range(1, 9):
        dataset.set_epoch(epoch)
        (first, first_made, _), (_, second_made, _) = dataset[0], dataset[1]
        assert np.array_equal(first, images[0]) and second_made
        shown.append(first_made)
    assert set(shown) == {True, False}  # made: the draws that leave the image as it is


def _sum(pixels: np.ndarray) -> int:
    """A number that depends on where each pixel is."""
    return int((pixels.astype(np.int64) * (np.arange(pixels.size).reshape(pixels.shape) + 1)).sum())
