"""An image of device augmentation is the same in every batch, order, thread count and resume."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.pixels.preprocess import AS_DECODED
from tasks.train.device_augmentation import batches
from tasks.train.device_augmentation.batches import DeviceAugmentation, device_id
from tasks.train.device_augmentation.mixing import Mixing, mix, soft_labels
from tasks.train.feed import Feed
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes

SIZE, COUNT = 11, 30
CLASSES = ["bag", "left", "right"]
POLICY = [
    "HorizontalFlip",
    {"Affine": {"scale": [0.8, 1.2], "rotate": [-30, 30], "p": 0.8}},
    {"RandomBrightnessContrast": {"brightness_by_max": False}},
    {"ColorJitter": {"hue": 0, "p": 0.7}},
    "CoarseDropout",
    "D4",
]
# of the class `right` another program, so that batches are made of two
RULES = [{"classes": ["right"], "forbid": ["CoarseDropout"]}]
NONE, BOTH = Mixing(None, None), Mixing(0.4, 1.0)


def augmentation(
    mixing: Mixing = NONE, rules: list[Any] = RULES, policy: list[Any] = POLICY, count: int = COUNT
) -> DeviceAugmentation:
    params = AugmentParams(variants_per_image=1, policy=policy, labels=rules)
    recipes = Recipes.from_params(params, AS_DECODED, CLASSES)
    hashes = [f"{number * 7 % count:064d}" for number in range(count)]
    return DeviceAugmentation(hashes, torch.arange(count) % 3, CLASSES, recipes, SIZE, mixing)


IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 3, SIZE, SIZE), dtype=np.uint8)
LABELS = torch.arange(COUNT) % 3


def shown(
    made_by: DeviceAugmentation, sources: list[int], epoch: int, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    planned = made_by.plan(np.array(sources), epoch)
    images = torch.from_numpy(IMAGES[planned.sources]).to(device)
    return made_by.show(planned, images)


@given(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=9), st.integers(1, 5))
@settings(max_examples=12, deadline=None)
def test_an_image_is_the_same_alone_and_in_any_batch_and_order(
    sources: list[int], epoch: int
) -> None:
    for mixing in (NONE, BOTH):
        made_by = augmentation(mixing)
        images, labels = shown(made_by, sources, epoch)
        for place, source in enumerate(sources):
            alone, label = shown(made_by, [source], epoch)
            assert torch.equal(images[place], alone[0]) and torch.equal(labels[place], label[0])


def test_neither_threads_nor_how_many_are_planned_at_once_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_by = augmentation(BOTH)
    numbers = list(range(COUNT))
    expected = shown(made_by, numbers, 2)
    threads = torch.get_num_threads()
    for number in (1, 3):
        torch.set_num_threads(number)
        assert all(map(torch.equal, shown(made_by, numbers, 2), expected))
    torch.set_num_threads(threads)
    parts = [np.arange(0, 7), np.arange(7, 9), np.arange(9, COUNT)]
    for at_once in (1, 8, 4096):
        monkeypatch.setattr(batches, "PLANNED_AT_ONCE", at_once)
        planned = list(made_by.plan_batches(parts, 2))
        assert [each.own.sources.tolist() for each in planned] == [part.tolist() for part in parts]
        made = [made_by.show(each, torch.from_numpy(IMAGES[each.sources])) for each in planned]
        for found, whole in zip(zip(*made, strict=True), expected, strict=True):
            assert torch.equal(torch.cat(list(found)), whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_images_of_the_cpu_within_one_level() -> None:
    made_by = augmentation(BOTH)
    expected, labels = shown(made_by, list(range(COUNT)), 3)
    found, own = shown(made_by, list(range(COUNT)), 3, "cuda")
    assert (found.cpu().int() - expected.int()).abs().max() <= 1
    assert torch.equal(own.cpu(), labels)


def test_sources_epochs_and_seeds_give_other_images() -> None:
    made_by = augmentation()
    made = {shown(made_by, [3], epoch)[0].numpy().tobytes() for epoch in range(1, 9)}
    assert len(made) == 8
    assert not torch.equal(made_by.keys[0], made_by.keys[1])
    assert device_id("ab", 7) == "ab-d007" and device_id("ab", 1234) == "ab-d1234"


def test_a_rule_forbids_bounds_and_relabels_by_class() -> None:
    policy = ["HorizontalFlip", {"Affine": {"translate_px": {"x": [3, 3], "y": [0, 0]}, "p": 1}}]
    rules = [
        {
            "classes": ["left", "right"],
            "relabel": {"HorizontalFlip": {"left": "right", "right": "left"}},
        },
        {"classes": ["bag"], "forbid": ["HorizontalFlip", "Affine"]},
    ]
    made_by = augmentation(rules=rules, policy=policy)
    numbers = np.arange(COUNT)
    planned = made_by.plan(numbers, 1)
    images, labels = shown(made_by, numbers.tolist(), 1)
    assert np.array_equal(images[::3].numpy(), IMAGES[::3])
    mirrored = torch.from_numpy(IMAGES[:, :, :, ::-1].copy())
    turned = (images[:, :, :, 3:] == mirrored[:, :, :, :-3]).flatten(1).all(1)
    is_bag = LABELS == 0
    assert turned[~is_bag].unique().tolist() == [False, True] and not turned[is_bag].any()
    expected = torch.where(turned, 3 - LABELS, LABELS)
    assert labels.tolist() == expected.tolist() == planned.own.classes.tolist()


def test_turns_relabel_as_often_as_the_image_was_turned() -> None:
    turn = {"RandomRotate90": {"bag": "left", "left": "right", "right": "bag"}}
    rules = [{"classes": CLASSES, "relabel": turn}]
    for policy in (["RandomRotate90"], [{"D4": {"elements": ["e", "r90", "r180", "r270"]}}]):
        made_by = augmentation(rules=rules, policy=policy)
        images, labels = shown(made_by, list(range(COUNT)), 1)
        turns = (labels - LABELS) % 3
        for image, source, count in zip(images, torch.from_numpy(IMAGES), turns, strict=True):
            same = [
                number for number in range(4) if torch.equal(image, source.rot90(number, (1, 2)))
            ]
            assert [number % 3 for number in same] == [int(count)]


def test_mixed_images_and_labels_by_hand() -> None:
    images, partners = torch.full((2, 3, 4, 4), 100.0), torch.full((2, 3, 4, 4), 20.0)
    values = torch.tensor([[0.75, 0, 0, 0, 0], [0.5, 2, 0, 4, 4]])
    mixed = mix(images, partners, values)
    assert (mixed[0] == 80).all()
    assert mixed[1, 0].tolist() == [[100, 100, 20, 20]] * 4
    labels = soft_labels(torch.tensor([0, 2]), torch.tensor([2, 2]), values[:, 0], 3)
    assert labels.tolist() == [[0.75, 0, 0.25], [0, 0, 1]]


def test_an_image_is_mixed_with_the_partners_own_image_of_that_epoch() -> None:
    for mixing in (Mixing(0.4, None), Mixing(None, 1.0)):
        made_by, plain = augmentation(mixing), augmentation()
        planned = made_by.plan(np.arange(COUNT), 2)
        assert planned.mixed is not None
        own = shown(plain, list(range(COUNT)), 2)[0].float()
        theirs = shown(plain, planned.partners.tolist(), 2)[0].float()
        expected = mix(own, theirs, planned.mixed.values)
        images, labels = shown(made_by, list(range(COUNT)), 2)
        assert (images - expected).abs().max() <= 1
        shares = planned.mixed.values[:, 0]
        assert labels.shape == (COUNT, 3) and labels.sum(dim=1).allclose(torch.ones(1))
        assert (labels[range(COUNT), LABELS] >= shares).all() and shares.min() >= 0.5


def test_shares_and_partners_are_distributed_as_they_are_meant_to_be() -> None:
    made_by = augmentation(BOTH, count=3000)
    partners, shares, boxes = BOTH.draw(made_by.keys, 1, 40, made_by.order)
    cut = boxes[:, 2] > boxes[:, 0]
    assert abs(float(cut.float().mean()) - 0.5) < 0.05
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert torch.equal(shares[cut], 1 - area[cut] / 1600)
    # the larger of two shares of Beta(0.4, 0.4) is 0.85 in the mean
    larger = np.random.default_rng(0).beta(0.4, 0.4, 100_000)
    assert abs(float(shares[~cut].mean()) - np.maximum(larger, 1 - larger).mean()) < 0.02
    assert len(set(partners.tolist())) > 0.58 * 3000  # 1 - 1/e of them, once or more


def feed(mixing: Mixing) -> Feed:
    return Feed(IMAGES, LABELS, augmentation=augmentation(mixing))


@pytest.mark.parametrize("mixing", [NONE, BOTH], ids=["plain", "mixed"])
def test_a_feed_that_goes_on_shows_and_counts_what_it_would_have(mixing: Mixing) -> None:
    whole, first, second = feed(mixing), feed(mixing), feed(mixing)
    expected = [batch for epoch in (1, 2) for batch in whole.epoch(epoch, 7, seed=1)]
    assert [len(images) for images, _ in expected] == [7, 7, 7, 7, 2] * 2
    found = list(first.epoch(1, 7, seed=1))
    interrupted = first.epoch(2, 7, seed=1)
    found += [next(interrupted), next(interrupted)]
    second.load_state_dict(first.state_dict())
    found += list(second.epoch(2, 7, seed=1, first_batch=2))
    for one, other in zip(found, expected, strict=True):
        assert all(map(torch.equal, one, other))
    assert whole.shown.tolist() == second.shown.tolist() == [2] * COUNT
    assert whole.mixed_in.tolist() == second.mixed_in.tolist()
    assert whole.mixed_in.sum() == (0 if mixing is NONE else 2 * COUNT)
    assert whole.online_classes == second.online_classes == {0: 20, 1: 20, 2: 20}
