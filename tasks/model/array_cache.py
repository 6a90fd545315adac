"""Array cache: decoded images and features kept in the private cache, for later runs.

`arrays/` holds each array under a name that says what decided it, with a checksum of its file, and
the keys of its items. All of it is disposable: without it everything is computed anew, with equal
numbers.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xxhash

from tasks.common import machine
from tasks.common.cache_bound import trim_cache
from tasks.common.temporary import atomic_write, locked_beside, remove_abandoned


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
            array = np.load(_keep(temporary, wanted), mmap_mode="r")  # its name is the kept file's
        yield array


def start_of_items(path: Path) -> int:
    """At which byte the items of a .npy file begin."""
    return int(np.load(path, mmap_mode="r").offset)


def write_items(path: Path, start: int, places: np.ndarray, items: Iterable[np.ndarray]) -> None:
    """Write the items of some places into a .npy file that others write into at the same time.

    Of hosts that share a file system, two that wrote into one page of a mapped file would spoil
    each other's bytes; and NFS writes whole pages of a file that is not locked.

    Args:
        path: of the file, whose space is allocated.
        start: see start_of_items(), which is not for those that write: it caches a page.
        places: of the items, in their order.
        items: all of one size, and of the file's type.
    """
    with path.open("r+b", buffering=0) as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_SH)
        for place, item in zip(places.tolist(), items, strict=True):
            file.seek(start + place * item.nbytes)
            left = np.ascontiguousarray(item).data.cast("B")
            while left:  # one call writes 2 GiB at most, and less on a signal
                left = left[file.write(left) :]


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

    Without the space, a full disk would be found when most of the work is done; and whoever writes
    into a mapped file would be ended by a signal.

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
    start = start_of_items(path)
    missing = np.arange(len(wanted.keys))
    for keys_file in sorted(_folder().glob(f"{wanted.form_name}_*.keys")):
        if not len(missing):
            break
        places = _places_in(keys_file, wanted.keys[missing])
        if (places < 0).all():
            continue
        for kept_file in keys_file.parent.glob(f"{keys_file.stem}-*.npy"):
            kept = _read(kept_file, wanted)
            if kept is not None:
                items = (kept[place] for place in places[places >= 0])
                write_items(path, start, missing[places >= 0], items)
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


def _keep(temporary: Path, wanted: Wanted) -> Path:
    """Keep a finished array, where the cache has room for it; what is longest unused goes.

    Returns:
        The file that it lies in now.
    """
    limit_bytes = machine.cache_limit_bytes()
    if temporary.stat().st_size > limit_bytes:
        return temporary
    folder = temporary.parent
    with atomic_write(folder / f"{wanted.name}.keys") as keys_file, keys_file.open("wb") as file:
        np.save(file, wanted.keys)
    kept = temporary.rename(folder / f"{wanted.name}-{_checksum(temporary)}.npy")
    trim_cache(limit_bytes)
    return kept
