"""torchvision's own code on small roots made for it; nothing is downloaded."""

import hashlib
import inspect
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from tasks.acquire.torchvision_datasets import SETS, class_names, known_name, write_dataset
from tasks.common.errors import UserError

RANDOM = np.random.default_rng(5)
ROOT = Path("root")
RAW = Path("data/raw")


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy"):  # where nobody listens: no test reaches out
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def grey(count: int, side: int = 28) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, side, side), dtype=np.uint8)


def colour(count: int, side: int = 32) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


def write_mnist(name: str, prefixes: tuple[str, str] = ("train", "t10k")) -> dict[str, np.ndarray]:
    """A root of MNIST's kind: classes 0, 3 and 9 in turn."""
    images = {"train": grey(6), "test": grey(3)}
    for prefix, pixels in zip(prefixes, images.values(), strict=True):
        labels = np.array([0, 3, 9] * 2, np.uint8)[: len(pixels)]
        write_idx(ROOT / name / "raw" / f"{prefix}-images-idx3-ubyte", pixels)
        write_idx(ROOT / name / "raw" / f"{prefix}-labels-idx1-ubyte", labels)
    return images


def write_picture(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colour(1, 20)[0]).save(path)
    return path.read_bytes()


def files() -> dict[str, bytes]:
    return {
        str(path.relative_to(RAW)): path.read_bytes()
        for path in sorted(RAW.rglob("*"))
        if path.is_file()
    }


def below(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


# --- which datasets -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_torchvision_takes_what_the_table_asks(name: str) -> None:
    """On an empty root it says that nothing is there, not that it knows no such split."""
    kind = getattr(datasets, name)
    assert "download" in inspect.signature(kind).parameters or issubclass(kind, datasets.MNIST)
    for split, asked in SETS[name].items():
        assert split in ("train", "validation", "test", "")
        with pytest.raises((RuntimeError, FileNotFoundError)):
            kind(ROOT, download=False, **asked)


def test_names_are_known_in_small_and_capital_letters() -> None:
    assert known_name("fashionmnist") == known_name("FASHIONMNIST") == "FashionMNIST"
    with pytest.raises(UserError) as error:
        write_dataset("ImageNet", RAW, ROOT)
    assert str(error.value) == f"torchvision:ImageNet: not known; known: {', '.join(SETS)}"
    assert not Path("data").exists()


# --- what is written ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_arrays_become_png_files_with_the_same_pixels(name: str) -> None:
    images = write_mnist(name)
    assert write_dataset(name.upper(), RAW, ROOT) == 9
    classes = {
        "MNIST": ("0 - zero", "3 - three", "9 - nine"),
        "FashionMNIST": ("T-shirt_top", "Dress", "Ankle boot"),
        "KMNIST": ("o", "tsu", "wo"),
    }[name]
    expected = [
        f"{split}/{classes[n % 3]}/{n:06d}.png"
        for split in images
        for n in range(len(images[split]))
    ]
    assert sorted(files()) == sorted(expected)
    for place in expected:
        split, _, file = place.split("/")
        with Image.open(RAW / place) as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), images[split][int(file[:6])])


def test_names_that_differ_in_capital_letters_alone_get_numbers() -> None:
    for prefix in ("emnist-balanced-train", "emnist-balanced-test"):
        write_idx(ROOT / f"EMNIST/raw/{prefix}-images-idx3-ubyte", grey(3))
        write_idx(ROOT / f"EMNIST/raw/{prefix}-labels-idx1-ubyte", np.array([10, 36, 0], np.uint8))
    assert write_dataset("EMNIST", RAW, ROOT) == 6
    assert below("data/raw/train") == below("data/raw/test") == {"A", "a_36", "0"}


def test_cifar10(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    pixels = colour(6)

    def batch(name: str, content: object) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    flat = pixels.transpose(0, 3, 1, 2).reshape(6, -1)
    train = [batch("data_batch_1", {"data": flat[:2], "labels": [0, 1]})]
    train += [batch("data_batch_2", {"data": flat[2:4], "labels": [1, 0]})]
    test = [batch("test_batch", {"data": flat[4:], "labels": [0, 1]})]
    name, md5 = batch("batches.meta", {"label_names": ["airplane", "automobile"]})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", train)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", test)
    monkeypatch.setattr(
        datasets.CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5}
    )
    assert write_dataset("cifar10", RAW, ROOT) == 6
    places = [
        "train/airplane/000000.png",
        "train/automobile/000001.png",
        "train/automobile/000002.png",
    ]
    places += [
        "train/airplane/000003.png",
        "test/airplane/000000.png",
        "test/automobile/000001.png",
    ]
    assert sorted(files()) == sorted(places)
    for place, expected in zip(places, pixels, strict=True):
        with Image.open(RAW / place) as image:
            assert np.array_equal(np.asarray(image), expected)


def test_classes_without_names_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    ROOT.mkdir()
    pixels, listed = colour(4), {}
    for split in ("train", "test"):
        savemat(
            ROOT / f"{split}.mat",
            {"X": pixels.transpose(1, 2, 3, 0), "y": np.array([[10], [1], [2], [10]])},
        )
        listed[split] = [
            "",
            f"{split}.mat",
            hashlib.md5((ROOT / f"{split}.mat").read_bytes()).hexdigest(),
        ]
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)
    assert write_dataset("SVHN", RAW, ROOT) == 8
    places = ["0/000000.png", "1/000001.png", "2/000002.png", "0/000003.png"]
    assert set(files()) == {f"{split}/{place}" for split in listed for place in places}
    with Image.open(RAW / "test/2/000002.png") as image:
        assert np.array_equal(np.asarray(image), pixels[2])


def test_original_files_are_copied_as_they_are() -> None:
    originals = {}
    for split in ("train", "val", "test"):
        places = [f"banded/{split}_1.jpg", f"dotted/{split}_1.jpg", f"dotted/{split}_2.jpg"]
        originals[split] = [write_picture(ROOT / "dtd/dtd/images" / place) for place in places]
        labels = ROOT / f"dtd/dtd/labels/{split}1.txt"
        labels.parent.mkdir(exist_ok=True)
        labels.write_text("\n".join(places) + "\n")
    assert write_dataset("dtd", RAW, ROOT) == 9
    places = ["banded/000000.jpg", "dotted/000001.jpg", "dotted/000002.jpg"]
    for split, ours in (("train", "train"), ("val", "validation"), ("test", "test")):
        assert [files()[f"{ours}/{place}"] for place in places] == originals[split]
    assert len(files()) == 9 and not os.access(RAW / "test/dotted/000002.jpg", os.X_OK)


def test_datasets_without_splits_have_no_split_folders() -> None:
    original = write_picture(ROOT / "eurosat/2750/Forest/Forest_1.jpg")
    write_picture(ROOT / "eurosat/2750/SeaLake/SeaLake_1.jpg")
    assert write_dataset("EuroSAT", RAW, ROOT) == 2
    assert set(files()) == {"Forest/000000.jpg", "SeaLake/000001.jpg"}
    assert files()["Forest/000000.jpg"] == original


def test_caltech101_is_copied_too_and_its_background_is_no_class() -> None:
    folder = ROOT / "caltech101/101_ObjectCategories"
    originals = [
        write_picture(folder / place / "image_0001.jpg")
        for place in ("ant", "yin_yang", "BACKGROUND_Google")
    ]
    assert write_dataset("Caltech101", RAW, ROOT) == 2
    assert files() == {"ant/000000.jpg": originals[0], "yin_yang/000001.jpg": originals[1]}


def test_of_synonyms_the_first_is_the_class() -> None:
    for split in ("train", "val"):
        for place in ("n01440764/1.JPEG", "n03394916/1.JPEG"):
            write_picture(ROOT / "imagenette2" / split / place)
    assert write_dataset("imagenette", RAW, ROOT) == 4
    names = {"tench/000000.jpeg", "French horn/000001.jpeg"}
    assert set(files()) == {
        f"{split}/{name}" for split in ("train", "validation") for name in names
    }


def test_files_are_numbered_by_name_not_as_the_disk_lists_them() -> None:
    (ROOT / "SUN397").mkdir(parents=True)
    (ROOT / "SUN397/ClassName.txt").write_text("/a/abbey\n/a/apse/indoor\n")
    originals = {}
    for place in ("abbey/sun_b", "apse/indoor/sun_c", "abbey/sun_a", "apse/indoor/sun_a"):
        originals[place] = write_picture(ROOT / f"SUN397/a/{place}.jpg")
    assert write_dataset("SUN397", RAW, ROOT) == 4
    assert files() == {
        "abbey/000000.jpg": originals["abbey/sun_a"],
        "abbey/000001.jpg": originals["abbey/sun_b"],
        "apse_indoor/000002.jpg": originals["apse/indoor/sun_a"],
        "apse_indoor/000003.jpg": originals["apse/indoor/sun_c"],
    }


def test_gtsrb() -> None:
    folder = ROOT / "gtsrb"
    write_picture(folder / "GTSRB/Training/00000/1.ppm")
    write_picture(folder / "GTSRB/Training/00001/1.ppm")
    write_picture(folder / "GTSRB/Final_Test/Images/00000.ppm")
    (folder / "GT-final_test.csv").write_text("Filename;ClassId\n00000.ppm;1\n")
    assert write_dataset("GTSRB", RAW, ROOT) == 3
    assert set(files()) == {"train/0/000000.png", "train/1/000001.png", "test/1/000000.png"}
    with (
        Image.open(RAW / "test/1/000000.png") as image,
        Image.open(folder / "GTSRB/Final_Test/Images/00000.ppm") as was,
    ):
        assert np.array_equal(np.asarray(image), np.asarray(was))


def test_class_names_make_folders_on_every_system() -> None:
    class Data:
        classes = (
            "a/b",
            "A_B",
            "..",
            "",
            " x. ",
            "C:\\d",
            "cafe\u0301",
            "caf\u00e9",
            "a\nb",
            ("one", "two"),
        )

    assert class_names(Data) == [
        "a_b",
        "A_B_1",
        "2",
        "3",
        "x",
        "C__d",
        "caf\u00e9",
        "caf\u00e9_7",
        "a_b_8",
        "one",
    ]
    assert class_names(object()) == []


# --- what fails -----------------------------------------------------------------------------------


def refused(name: str) -> str:
    with pytest.raises(UserError) as error:
        write_dataset(name, RAW, ROOT)
    assert not Path("data").exists() or below("data") == set()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["MNIST", "CIFAR10", "EuroSAT", "USPS"])
def test_without_a_network_it_is_one_line(name: str) -> None:
    line = refused(name)
    assert line.startswith(f"torchvision:{name}: cannot be had: ") and "Connection refused" in line
    assert below("root") == set()
    assert refused(name) == line  # and nothing stands in the way of the next


def test_what_is_no_longer_offered_says_so() -> None:
    words = "The original URL is broken so the StanfordCars dataset cannot be downloaded anymore."
    assert refused("stanfordcars") == f"torchvision:StanfordCars: cannot be had: {words}"


def test_a_damaged_dataset_is_one_line_and_stays() -> None:
    write_mnist("MNIST")
    path = ROOT / "MNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    assert refused("MNIST").startswith(
        "torchvision:MNIST: cannot be had: shape '[6, 28, 28]' is invalid"
    )
    path.write_bytes(b"")
    assert refused("MNIST").startswith("torchvision:MNIST: cannot be had: ")
    assert path.is_file()


def test_a_split_that_is_missing_leaves_nothing() -> None:
    write_picture(ROOT / "gtsrb/GTSRB/Training/00000/1.ppm")
    assert "Connection refused" in refused("GTSRB")
    assert (ROOT / "gtsrb/GTSRB/Training/00000/1.ppm").is_file()


def break_off(error: BaseException) -> Callable[..., None]:
    """What stands in for an unpacking that breaks off."""

    def unpack(url: str, download_root: str, **_: object) -> None:
        (Path(download_root) / "2750/Forest").mkdir(parents=True)
        (Path(download_root) / "2750/Forest/1.jpg").write_bytes(b"half")
        raise error

    return unpack


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_download_that_broke_off_is_not_taken_for_a_whole_one(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ROOT / "mine").mkdir(parents=True)
    monkeypatch.setattr(
        "torchvision.datasets.eurosat.download_and_extract_archive", break_off(error)
    )
    with pytest.raises((KeyboardInterrupt, UserError)):
        write_dataset("EuroSAT", RAW, ROOT)
    assert below("root") == {"mine"}


@pytest.mark.starts  # other processes
def test_a_download_that_was_killed_is_not_taken_for_a_whole_one() -> None:
    code = (
        "import os, sys; from pathlib import Path; from torchvision.datasets import eurosat\n"
        "from tasks.acquire.torchvision_datasets import write_dataset\n"
        "def unpack(*_, download_root, **__):\n"
        "    Path(download_root, '2750').mkdir(); os._exit(9)\n"
        "eurosat.download_and_extract_archive = unpack\n"
        "write_dataset('EuroSAT', Path('data/raw'), Path('root'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 9
    told = "an import of EuroSAT was killed there; delete what it unpacked, and .EuroSAT.unfinished"
    with pytest.raises(UserError) as error:
        write_dataset("EuroSAT", RAW, ROOT)
    assert str(error.value) == f"root: {told}"
    shutil.rmtree(ROOT / "eurosat")
    (ROOT / ".EuroSAT.unfinished").unlink()
    write_picture(ROOT / "eurosat/2750/Forest/1.jpg")
    assert write_dataset("EuroSAT", RAW, ROOT) == 1


def test_a_root_that_is_whole_is_only_read() -> None:
    write_mnist("MNIST")
    before = {path: path.stat().st_mtime_ns for path in ROOT.rglob("*")}
    write_dataset("MNIST", RAW, ROOT)
    assert {path: path.stat().st_mtime_ns for path in ROOT.rglob("*")} == before


def test_torch_is_imported_only_where_it_is_needed() -> None:
    code = (
        "import sys, flows.cli, tasks.acquire.archives, tasks.acquire.torchvision_datasets\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0
    )
