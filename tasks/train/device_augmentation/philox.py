"""Philox4x32-10: random numbers that are a function of a key and a counter (Salmon et al., 2011).

No state: the numbers of an image need those of no other. In int64 operations, which are exact, so
that every device and every batch gives the same bits.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # is added to the key after each round
ROUNDS = 10
LOW = 0xFFFFFFFF


class Words(NamedTuple):
    """Four words of 32 bits, each int64 of one shape: a counter, or what is drawn from it."""

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor


def philox4x32(counter: Words, key: tuple[Tensor, Tensor]) -> Words:
    """128 random bits for each counter and key; words of 32 bits, broadcast to one shape."""
    a, b, c, d = counter
    first, second = key
    for _ in range(ROUNDS):
        # of a product of 64 bits, int64 keeps the bits, whatever sign it gives them
        high_a, low_a = _halves(a * MULTIPLIERS[0])
        high_c, low_c = _halves(c * MULTIPLIERS[1])
        a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
        first, second = (first + WEYL[0]) & LOW, (second + WEYL[1]) & LOW
    return Words(a, b, c, d)


def _halves(product: Tensor) -> tuple[Tensor, Tensor]:
    return (product >> 32) & LOW, product & LOW


def source_keys(seed: int, sha256: Iterable[str]) -> Tensor:
    """The key of each source by the base seed and its bytes' hash: int64 (sources, 2)."""
    digests = (hashlib.sha256(f"device {seed} {each}".encode()).digest() for each in sha256)
    keys = [(int.from_bytes(one[:4], "big"), int.from_bytes(one[4:8], "big")) for one in digests]
    return torch.tensor(keys, dtype=torch.int64).reshape(-1, 2)


def uniforms(keys: Tensor, epoch: int, stream: int, count: int) -> Tensor:
    """`count` numbers in [0, 1) for each key: float64 (keys, count), multiples of 2**-32.

    Args:
        keys: see source_keys().
        epoch: from 1.
        stream: numbers of one stream do not depend on how many another one draws.
        count: of the numbers.
    """
    blocks = torch.arange(-(-count // 4), device=keys.device)[None]
    rest = torch.zeros_like(blocks)
    counter = Words(blocks, rest + epoch, rest + stream, rest)
    words = philox4x32(counter, (keys[:, :1], keys[:, 1:]))
    drawn = torch.stack(words, dim=2).reshape(len(keys), blocks.numel() * 4)
    return drawn[:, :count].to(torch.float64) * 2.0**-32
