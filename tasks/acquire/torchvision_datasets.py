"""Datasets of torchvision, downloaded and read by its own code, written as image files in split and class folders."""

import inspect
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.common import events
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_folder

Splits = dict[
    str, dict[str, Any]
]  # our split: how torchvision is asked for it; "" where a dataset is not split

BY_FLAG: Splits = {"train": {"train": True}, "test": {"train": False}}
TWO: Splits = {"train": {"split": "train"}, "test": {"split": "test"}}
THREE: Splits = {
    "train": {"split": "train"},
    "validation": {"split": "val"},
    "test": {"split": "test"},
}
UNSPLIT: Splits = {"": {}}
SETS: dict[str, Splits] = {
    "Caltech101": UNSPLIT,
    "Caltech256": UNSPLIT,
    "CIFAR10": BY_FLAG,
    "CIFAR100": BY_FLAG,
    "Country211": {**THREE, "validation": {"split": "valid"}},
    "DTD": THREE,
    "EMNIST": {split: {"split": "balanced", **asked} for split, asked in BY_FLAG.items()},
    "EuroSAT": UNSPLIT,
    "FashionMNIST": BY_FLAG,
    "FGVCAircraft": THREE,
    "Flowers102": THREE,
    "Food101": TWO,
    "GTSRB": TWO,
    "Imagenette": {"train": {"split": "train"}, "validation": {"split": "val"}},
    "KMNIST": BY_FLAG,
    "MNIST": BY_FLAG,
    "OxfordIIITPet": {"train": {"split": "trainval"}, "test": {"split": "test"}},
    "QMNIST": BY_FLAG,
    "RenderedSST2": THREE,
    "SEMEION": UNSPLIT,
    "StanfordCars": TWO,  # no longer to be downloaded; read where somebody has it
    "STL10": TWO,
    "SUN397": UNSPLIT,
    "SVHN": TWO,
    "USPS": BY_FLAG,
}
UNSAFE = r'[\x00-\x1f\x7f/\\:*?"<>|]'  # in names of folders, on one system or another


def known_name(name: str) -> str:
    """torchvision's own spelling of a dataset's name.

    Raises:
        UserError: for a name that is not known.
    """
    spelled = {known.lower(): known for known in SETS}.get(name.lower())
    if spelled is None:
        raise UserError(f"torchvision:{name}: not known; known: {', '.join(SETS)}")
    return spelled


def write_dataset(name: str, folder: Path, root: Path) -> int:
    """Write a dataset to `folder`/<split>/<class>/<number>.<ext>, everything or nothing; returns how many images.

    Files of the dataset are copied as they are; images that it keeps in arrays become PNG files.

    Args:
        name: as in SETS, in small or capital letters.
        folder: has to hold no files.
        root: where torchvision keeps what it downloads. What is there is not downloaded again.

    Raises:
        UserError: for an unknown name, where `folder` holds files, or where torchvision cannot get the dataset.
    """
    name = known_name(name)
    count = 0
    with atomic_folder(folder, "an import") as beside:
        for split, asked in SETS[name].items():
            data = _load(name, asked, root)
            names = class_names(data)
            items = events.track(_items(data), len(data), f"{name} {split}".strip(), "image")
            for number, (image, target) in enumerate(items):
                label = names[target] if target < len(names) else str(target)
                _write(image, beside / split / label / f"{number:06d}")
            count += len(data)
    return count


def class_names(data: Any) -> list[str]:
    """A folder's name for each class of a dataset, in their order; none where it does not name them.

    Of names that differ in nothing but small and capital letters, which not every disk tells apart, the later ones get
    the class's number.
    """
    names: list[str] = []
    taken: set[str] = set()
    for number, given in enumerate(getattr(data, "classes", getattr(data, "categories", ()))):
        text = given if isinstance(given, str) else given[0]  # Imagenette has synonyms
        name = re.sub(UNSAFE, "_", unicodedata.normalize("NFC", text)).strip(". ") or str(number)
        while name.casefold() in taken:
            name = f"{name}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _load(name: str, asked: dict[str, Any], root: Path) -> Any:
    """torchvision's dataset; downloaded where it is not below `root`.

    Raises:
        UserError: where torchvision fails, in its words, or a killed import left half of it.
    """
    from torchvision import datasets  # takes seconds

    kind = getattr(datasets, name)
    if "loader" in inspect.signature(kind).parameters:
        asked = {**asked, "loader": Path}  # the file, not its pixels
    mark = root / f".{name}.unfinished"
    if mark.exists():
        raise UserError(
            f"{root}: an import of {name} was killed there; delete what it unpacked, and {mark.name}"
        )
    try:
        with suppress(RuntimeError, FileNotFoundError):  # not there
            return kind(root, download=False, **asked)
        with _whole(root, mark):
            return kind(root, download=True, **asked)
    except Exception as error:  # of the network, of archives, of formats: whatever it stands on
        words = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"torchvision:{name}: cannot be had: {words}") from error


@contextmanager
def _whole(root: Path, mark: Path) -> Iterator[None]:
    """Leave no half unpacked dataset in `root`: torchvision would take it for a whole one. `mark` tells of a kill."""
    root.mkdir(parents=True, exist_ok=True)
    before = _folders(root)
    mark.touch()
    try:
        yield
    except BaseException:
        for folder in _folders(root) - before:
            shutil.rmtree(folder)
        mark.unlink()
        raise
    mark.unlink()


def _folders(root: Path) -> set[Path]:
    return {path for path in root.iterdir() if path.is_dir()}


def _items(data: Any) -> Iterator[tuple[Any, int]]:
    """Each image, or the file that holds it, and its class. Files come sorted: some datasets list them as disks do."""
    found: Iterator[tuple[Any, Any]] = (data[number] for number in range(len(data)))
    if hasattr(data, "loader"):
        found = iter(sorted(found))
    return ((image, int(target)) for image, target in found)


def _write(image: Any, path: Path) -> None:
    """Write one image to `path` and a suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    original = image if isinstance(image, Path) else Path(getattr(image, "filename", ""))
    if original.name:  # Pillow opens a file without decoding it
        shutil.copyfile(original, path.with_suffix(original.suffix.lower()))
    else:
        image.save(path.with_suffix(".png"), compress_level=1)
