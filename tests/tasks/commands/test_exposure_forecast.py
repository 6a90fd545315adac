"""The forecast of exposure against the training loop: its batches, and variants drawn for it."""

import numpy as np
import pandas as pd
import pytest

from tasks.capacity.count import capacities_by_source
from tasks.commands.exposure_forecast import forecast_exposure
from tasks.train.balance import balanced_presentations
from tasks.train.order import batches_of_epoch
from tasks.variants.policy import Policy


def expected(
    policy: list, planned: list[int], epochs: int, batch_size: int, distinct: bool = True
) -> dict:
    rows = pd.DataFrame({"height": 4, "width": 4, "grey": 0}, index=range(len(planned)))
    found = capacities_by_source(rows, policy)
    return forecast_exposure(pd.Series(planned), *found, epochs, batch_size, distinct)


@pytest.mark.parametrize("batch_size", [2, 3, 4, 7, 100])
@pytest.mark.parametrize("planned", [[1, 0, 3], [2, 2], [0]])
def test_presentations_are_those_of_the_training_loop(planned: list[int], batch_size: int) -> None:
    table = expected(["GaussNoise"], planned, 3, batch_size)
    sources, variants = len(planned), sum(planned)
    for mode, samples in (
        ("offline", sources + variants),
        ("online", sources),
        ("both", 2 * sources + variants),
    ):
        shown = [
            sum(map(len, batches_of_epoch(samples, batch_size, 0, epoch))) for epoch in (1, 2, 3)
        ]
        row = table[mode]
        assert row["samples_per_epoch"] == samples
        assert samples - row["dropped_per_epoch"] == shown[0] and row["presentations"] == sum(shown)
    assert [table[mode]["stored_images"] for mode in table] == [
        sources + variants,
        sources,
        sources + variants,
    ]


def test_continuous_policies_show_an_image_more_in_each_epoch() -> None:
    table = expected([{"GaussNoise": {"p": 1.0}}], [2, 2, 0], 10, 128)
    assert {mode: row["expected_distinct_seen"] for mode, row in table.items()} == {
        "offline": 3 + 4,
        "online": 3 * 10,
        "both": 3 + 4 + 3 * 10,
    }


def test_on_the_device_an_epoch_shows_each_source_once() -> None:
    rows = pd.DataFrame({"height": 4, "width": 4, "grey": 0}, index=range(5))
    found = capacities_by_source(rows, [{"Affine": {"rotate": [-9, 9], "p": 1.0}}])
    table = forecast_exposure(pd.Series([3] * 5), *found, 10, 4, on_device=True)
    assert table["device"] == {
        "stored_images": 5,
        "samples_per_epoch": 5,
        "dropped_per_epoch": 1,
        "presentations": 40,
        "expected_distinct_seen": 40.0,
    }
    assert "device" not in expected(["GaussNoise"], [1], 2, 4)


def test_stored_variants_that_cannot_differ_show_nothing_more() -> None:
    # one new image of each source: stored without copies, or once in two draws
    assert expected(["HorizontalFlip"], [1, 1], 9, 128)["offline"]["expected_distinct_seen"] == 4
    assert (
        expected(["HorizontalFlip"], [1, 1], 9, 128, distinct=False)["offline"][
            "expected_distinct_seen"
        ]
        == 3
    )
    assert expected(["HorizontalFlip"], [1, 1], 9, 128)["both"]["expected_distinct_seen"] == 4


def test_different_images_seen_online_are_the_mean_of_simulations() -> None:
    """5 sources in batches of 2: one sample, another each time, is left out of each of 4 epochs."""
    policy = [{"D4": {"p": 0.8}}]
    built = Policy(policy)
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    drawn = [built.apply(image, seed)[0].tobytes() for seed in range(500)]
    random, trials = np.random.default_rng(0), []
    for trial in range(400):
        shown = []
        for epoch in range(1, 5):
            shown += np.concatenate(batches_of_epoch(5, 2, trial, epoch)).tolist()
        trials.append(len({(place, drawn[random.integers(500)]) for place in shown}))
    error = np.std(trials) / np.sqrt(len(trials))
    assert (
        abs(expected(policy, [0] * 5, 4, 2)["online"]["expected_distinct_seen"] - np.mean(trials))
        < 4 * error + 0.05
    )


@pytest.mark.parametrize("mode", ["offline", "online", "both"])
def test_a_balanced_order_is_forecast_as_it_is_shown(mode: str) -> None:
    labels, planned = pd.Series(["a", "a", "a", "a", "b"]), [2, 2, 2, 2, 0]
    rows = pd.DataFrame({"height": 4, "width": 4, "grey": 0}, index=range(5))
    found = capacities_by_source(rows, [{"GaussNoise": {"p": 1.0}}])
    row = forecast_exposure(pd.Series(planned), *found, 3, 100, True, labels)[mode]
    samples = {"offline": [12, 1], "online": [4, 1], "both": [16, 2]}[mode]
    numbers = np.repeat([0, 1], samples)
    shown = np.bincount(numbers, balanced_presentations(numbers, 0, 3)).astype(int)
    assert row["presentations_of_a_class"] == {"a": shown[0], "b": shown[1]}
    assert row["presentations"] == 3 * sum(samples) == shown.sum()
    # both: stored ones of a 12, and 27 / 16 made of each of 4; of b one stored and one an epoch
    expected = {"offline": 13, "online": 8 + 3, "both": 12 + 6.75 + 1 + 3}[mode]
    assert row["expected_distinct_seen"] == pytest.approx(expected, abs=0.06)
