"""Containers of images, made for tests."""

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np

from tasks.pixels.encode import encode


def png(number: int, side: int = 9) -> bytes:
    """A PNG image that no other number gives."""
    return encode(
        np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8), "png"
    )


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_idx(path: Path, values: np.ndarray) -> None:
    """As MNIST: uint8, gzipped where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = (
        bytes([0, 0, 8, values.ndim])
        + struct.pack(f">{values.ndim}I", *values.shape)
        + values.tobytes()
    )
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
