"""Array cache: decoded images and features kept in the private cache, for later runs.

`arrays/` holds each array under a name that says what decided it, with a checksum of its file, and
the keys of its items. All of it is disposable: without it everything is computed anew, with equal
numbers.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xxhash

from tasks.common import machine
from tasks.common.cache_bound import trim_cache
from tasks.common.temporary import atomic_write, locked_beside, remove_abandoned

COPIED_AT_ONCE = 1024  # items


class Wanted(NamedTuple):
    """An array: an item for each key.

    Attributes:
        form: what decides an item beside its key; JSON.
        keys: bytes, of one length: of equal form and key, items are equal.
        shape: of an item.
        dtype: of its numbers.
    """

    form: dict[str, Any]
    keys: np.ndarray
    shape: tuple[int, ...]
    dtype: type[np.generic]

    @property
    def form_name(self) -> str:
        """Of all arrays of this form."""
        content = [self.form, self.shape, np.dtype(self.dtype).str]
        return _name(json.dumps(content, sort_keys=True).encode())

    @property
    def name(self) -> str:
        """Of this array; equal names are equal arrays."""
        return f"{self.form_name}_{_name(self.keys.tobytes())}"


@contextmanager
def kept_array(wanted: Wanted, compute: Callable[[Path, np.ndarray], None]) -> Iterator[np.ndarray]:
    """An array that is kept for later runs; where it is kept already, nothing is computed.

    Items that another array of the same form has are copied. An array that does not fit into the
    cache is removed when the block ends.

    Args:
        wanted: which array.
        compute: writes the items at some places, int64, into a .npy file.

    Yields:
        The array, read from disk as needed.

    Raises:
        OSError: where the disk has no room for it.
    """
    folder = _folder()
    for path in folder.glob(f"{wanted.name}-*.npy"):
        array = _read(path, wanted)
        if array is not None:
            yield array
            return
    remove_abandoned(folder)
    with locked_beside(folder / wanted.name) as temporary:
        _allocate(temporary, wanted)
        missing = _copy_known(temporary, wanted)
        if len(missing):
            compute(temporary, missing)
        array = np.load(temporary, mmap_mode="r")
        with suppress(OSError):  # it is there, if not for later runs
            _keep(temporary, wanted)
        yield array


def _folder() -> Path:
    folder = machine.cache_folder() / "arrays"
    folder.mkdir(exist_ok=True)
    return folder


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_64).hexdigest()


def _read(path: Path, wanted: Wanted) -> np.ndarray | None:
    """A kept array; None where it is damaged, and then removed, or another process removed it."""
    with suppress(OSError, ValueError, EOFError):
        if _checksum(path) == path.stem.rpartition("-")[2]:
            os.utime(path)  # it was used
            array = np.load(path, mmap_mode="r")
            if array.shape[1:] == wanted.shape and array.dtype == wanted.dtype:
                return array
    with suppress(OSError):
        path.unlink(missing_ok=True)
    return None


def _allocate(path: Path, wanted: Wanted) -> None:
    """Make an array on disk and reserve its space; where that lacks, kept arrays make room.

    Without the space, writing to the mapped file of a full disk would end the process by a signal.

    Raises:
        OSError: where the disk has no room for it.
    """
    try:
        _reserve(path, wanted)
    except OSError:
        for kept in _folder().glob("[!.]*"):
            with suppress(OSError):
                kept.unlink()
        try:
            _reserve(path, wanted)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(machine.cache_folder())) from None


def _reserve(path: Path, wanted: Wanted) -> None:
    shape = (len(wanted.keys), *wanted.shape)
    np.lib.format.open_memmap(path, mode="w+", dtype=wanted.dtype, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _copy_known(path: Path, wanted: Wanted) -> np.ndarray:
    """Copy the items that kept arrays of this form have; the places of those that none has."""
    array = np.load(path, mmap_mode="r+")
    missing = np.arange(len(array))
    for keys_file in sorted(_folder().glob(f"{wanted.form_name}_*.keys")):
        if not len(missing):
            break
        places = _places_in(keys_file, wanted.keys[missing])
        if (places < 0).all():
            continue
        for kept_file in keys_file.parent.glob(f"{keys_file.stem}-*.npy"):
            kept = _read(kept_file, wanted)
            if kept is not None:
                _copy(kept, places[places >= 0], array, missing[places >= 0])
                missing = missing[places < 0]
                break
    return missing


def _places_in(keys_file: Path, keys: np.ndarray) -> np.ndarray:
    """At which places of a kept array these keys are; -1 for those that it lacks."""
    with suppress(OSError, ValueError, EOFError):
        with keys_file.open("rb") as file:
            known = np.load(file)
        if keys_file.stem.endswith(_name(known.tobytes())):
            places = pd.Series(np.arange(len(known)), index=known)
            places = places[~places.index.duplicated()]
            return places.reindex(keys, fill_value=-1).to_numpy()
    return np.full(len(keys), -1)


def _copy(source: np.ndarray, places: np.ndarray, target: np.ndarray, to: np.ndarray) -> None:
    """`target[to] = source[places]`, in parts that fit into memory."""
    for start in range(0, len(places), COPIED_AT_ONCE):
        part = slice(start, start + COPIED_AT_ONCE)
        target[to[part]] = source[places[part]]


def _keep(temporary: Path, wanted: Wanted) -> None:
    """Keep a finished array, where the cache has room for it; what is longest unused goes."""
    limit_bytes = machine.cache_limit_bytes()
    if temporary.stat().st_size > limit_bytes:
        return
    folder = temporary.parent
    with atomic_write(folder / f"{wanted.name}.keys") as keys_file, keys_file.open("wb") as file:
        np.save(file, wanted.keys)
    temporary.rename(folder / f"{wanted.name}-{_checksum(temporary)}.npy")
    trim_cache(limit_bytes)
