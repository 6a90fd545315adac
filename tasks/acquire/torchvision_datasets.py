"""Datasets of torchvision, written as image files in split and class folders.

They are downloaded and read by torchvision's code.
"""

import inspect
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.acquire.folder_names import FolderNames
from tasks.common import events
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_folder

# By our split ("" where there are none), the arguments that torchvision takes for it.
Splits = dict[str, dict[str, Any]]

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
    "EMNIST": {split: {"split": "balanced", **flags} for split, flags in BY_FLAG.items()},
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
    """Write a dataset to `folder`/<split>/<class>/<number>.<ext>: all of it or nothing.

    Files of the dataset are copied as they are; images that it keeps in arrays become PNG files.

    Args:
        name: as in SETS, in small or capital letters.
        folder: has to hold no files.
        root: where torchvision keeps what it downloads. What is there is not downloaded again.

    Returns:
        How many images.

    Raises:
        UserError: for an unknown name, where `folder` holds files, or where torchvision cannot get
            the dataset.
    """
    name = known_name(name)
    count = 0
    with atomic_folder(folder, "an import") as temporary:
        for split, arguments in SETS[name].items():
            data = _load(name, arguments, root)
            names = class_names(data)
            items = events.track(_items(data), len(data), f"{name} {split}".strip(), "image")
            for number, (image, target) in enumerate(items):
                label = names[target] if target < len(names) else str(target)
                _write(image, temporary / split / label / f"{number:06d}")
            count += len(data)
    return count


def class_names(data: Any) -> list[str]:
    """A folder's name for each class of a dataset, in order; empty where classes have no names."""
    names = FolderNames()
    given = getattr(data, "classes", getattr(data, "categories", ()))
    # Imagenette has synonyms
    return [names.add(name if isinstance(name, str) else name[0]) for name in given]


def _load(name: str, arguments: dict[str, Any], root: Path) -> Any:
    """torchvision's dataset; downloaded where it is not below `root`.

    Raises:
        UserError: where torchvision fails, with its message, or a killed import left half of it.
    """
    from torchvision import datasets  # takes seconds

    kind = getattr(datasets, name)
    if "loader" in inspect.signature(kind).parameters:
        arguments = {**arguments, "loader": Path}  # items are files then, not pixels
    mark = root / f".{name}.unfinished"
    if mark.exists():
        problem = f"an import of {name} was killed there"
        raise UserError(f"{root}: {problem}; delete what it unpacked, and {mark.name}")
    try:
        with suppress(RuntimeError, FileNotFoundError):  # it is not there
            return kind(root, download=False, **arguments)
        with _complete_download(root, mark):
            return kind(root, download=True, **arguments)
    except Exception as error:  # of the network, of archives, of formats
        problem = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"torchvision:{name}: cannot be had: {problem}") from error


@contextmanager
def _complete_download(root: Path, mark: Path) -> Iterator[None]:
    """Remove what the block unpacked into `root` where it fails.

    torchvision would take half a dataset for a complete one. The file `mark` is there meanwhile: it
    stays where the process is killed.
    """
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
    """Each image, or the path of its file, and the number of its class.

    Paths are sorted: some datasets list them in the order of the disk.
    """
    items: Iterator[tuple[Any, Any]] = (data[number] for number in range(len(data)))
    if hasattr(data, "loader"):
        items = iter(sorted(items))
    return ((image, int(target)) for image, target in items)


def _write(image: Any, path: Path) -> None:
    """Write one image to `path`, which gets a suffix: that of the image's own file, or .png."""
    path.parent.mkdir(parents=True, exist_ok=True)
    original = image if isinstance(image, Path) else Path(getattr(image, "filename", ""))
    if original.name:  # Pillow opens a file without decoding it
        shutil.copyfile(original, path.with_suffix(original.suffix.lower()))
    else:
        image.save(path.with_suffix(".png"), compress_level=1)
