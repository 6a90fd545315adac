"""Philox4x32-10 gives Random123's numbers, in every shape and on every device."""

import hashlib

import pytest
import torch

from tasks.train.device_augmentation.philox import Words, philox4x32, source_keys, uniforms

# Counter, key and result: the three lines `philox4x32 10` of tests/kat_vectors in Random123 1.14
# (D. E. Shaw Research), zeros, ones, and the digits of pi.
KNOWN = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text: str, device: str = "cpu") -> list[torch.Tensor]:
    return [torch.tensor(int(word, 16), device=device) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_it_gives_the_known_answers(counter: str, key: str, expected: str) -> None:
    first, second = words(key)
    drawn = philox4x32(Words(*words(counter)), (first, second))
    assert [f"{int(word):08x}" for word in drawn] == expected.split()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_bits() -> None:
    keys = source_keys(1, map(str, range(1000)))
    assert torch.equal(uniforms(keys.cuda(), 7, 1, 41).cpu(), uniforms(keys, 7, 1, 41))


def test_numbers_are_those_of_the_counters_by_hand() -> None:
    keys = source_keys(42, ["ab", "cd"])
    digest = hashlib.sha256(b"device 42 cd").hexdigest()
    assert [f"{int(word):08x}" for word in keys[1]] == [digest[:8], digest[8:16]]
    drawn = uniforms(keys, epoch=3, stream=1, count=6)
    assert drawn.shape == (2, 6) and drawn.dtype == torch.float64
    block = [torch.tensor(word) for word in (1, 3, 1, 0)]  # of the fifth number on
    expected = philox4x32(Words(*block), (keys[1, 0], keys[1, 1]))
    assert drawn[1, 4:].tolist() == [int(word) / 2**32 for word in expected[:2]]
    assert torch.equal(uniforms(keys[1:], 3, 1, 2)[0], drawn[1, :2])


def test_numbers_of_keys_epochs_and_streams_differ_and_are_uniform() -> None:
    keys = source_keys(0, map(str, range(500)))
    drawn = torch.stack([uniforms(keys, e, s, 16) for e in (1, 2) for s in (0, 1)])
    assert drawn.unique().numel() > 0.9999 * drawn.numel()
    assert abs(float(drawn.mean()) - 0.5) < 0.01 and drawn.min() >= 0 and drawn.max() < 1
    assert float(torch.corrcoef(drawn.reshape(4, -1)).fill_diagonal_(0).abs().max()) < 0.05
