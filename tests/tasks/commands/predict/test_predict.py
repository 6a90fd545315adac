"""Predictions of files: which files, in which order, with which reason where there is none."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from flows.console.predictions import print_json, print_table
from tasks.commands.predict import files
from tasks.commands.predict.files import Found, Task, find_files, read_batch
from tasks.commands.predict.predict import Prediction, predictions
from tasks.common.errors import UserError
from tasks.model.images import InputForm, as_input
from tasks.model.networks import build_model
from tasks.pixels.preprocess import Preprocessing
from tests.tasks.commands.predict import crashing

FORM = InputForm(8, "pad", Preprocessing())


def png(seed: int, height: int = 9, width: int = 12) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, data: bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# --- which files ----------------------------------------------------------------------------------


def test_files_come_as_named_and_folders_by_name(place: Path) -> None:
    for name in ("b.png", "in/z.png", "in/a/2.png", "in/a/1.png"):
        write(name, png(0))
    for name in ("in/.DS_Store", "in/README.txt", "in/labels.csv"):
        write(name, b"x")
    found = find_files([Path("in"), Path("b.png"), Path("nosuch.png"), Path("in/README.txt")])
    names = ["in/a/1.png", "in/a/2.png", "in/z.png", "b.png", "nosuch.png", "in/README.txt"]
    assert found == Found([Path(name) for name in names], left_out=3)


def test_a_folder_without_images_is_an_error(place: Path) -> None:
    write("in/README.txt", b"x")
    with pytest.raises(UserError) as caught:
        find_files([Path("in")])
    assert str(caught.value) == "in: needs images, found none"


# --- reading --------------------------------------------------------------------------------------


def test_what_cannot_be_read_has_its_reason_and_the_others_go_on(place: Path) -> None:
    whole = png(1)
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a.png"))
    os.mkfifo("pipe.png")
    (place / "folder").mkdir()
    Path("link.png").symlink_to("folder")
    expected = {
        write("1.png", whole): None,
        write("half.png", whole[:-300]): "corrupt: OSError: image file is truncated",
        write("empty.jpg", b""): "not_an_image: an empty file: copy or download it again",
        write("noise.png", b"\x01\x02\x03" * 99): "not_an_image: no decoder knows this format",
        write("shard.tar", shard.getvalue()): f"not_an_image: {files.TAR}",
        write("idx", bytes([0, 0, 8, 3, *bytes(12)])): f"not_an_image: {files.IDX}",
        Path("pipe.png"): "unreadable: is no regular file",
        Path("link.png"): "unreadable: is a link to a folder",
        Path("gone.png"): "unreadable: No such file or directory",
        write("2.png", png(2, 20, 5)): None,
    }
    found = read_batch(Task(list(expected), FORM))
    assert dict(zip(found.files, found.errors, strict=True)) == expected
    for image, name in zip(found.images, ("1.png", "2.png"), strict=True):
        pixels = FORM.preprocessing.read(Path(name).read_bytes())
        assert np.array_equal(image, as_input(pixels, 8, "pad"))


def test_too_large_a_file_is_not_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    path = write("1.png", png(1))
    (error,) = read_batch(Task([path], FORM)).errors
    assert error == f"too_large: {path.stat().st_size:,} bytes, over 100"


# --- predictions ----------------------------------------------------------------------------------


@pytest.fixture
def trained(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A model with a temperature and a preprocessing of its own; returns its card."""
    torch.manual_seed(0)
    core = build_model("small_cnn", 3, 8)
    Path("models").mkdir()
    save_file(core.state_dict(), "models/model.safetensors")
    preprocessing = {"range": "depth", "preprocess": [{"crop": {"width": 9, "height": 9}}]}
    card = {
        "model": "small_cnn", "classes": ["x", "y", "z"], "image_size": 8, "fit": "squeeze",
        "preprocessing": preprocessing, "mean": [0.5] * 3, "std": [0.25] * 3, "temperature": 0.01,
    }  # fmt: skip
    Path("models/model.json").write_text(json.dumps(card))
    Path("params.yaml").write_text("train: {threads: 1}\n")
    # in this process: workers take a second to start
    monkeypatch.setattr(
        "tasks.commands.predict.predict.read_files",
        lambda paths, form: (read_batch(Task(paths[i : i + 4], form)) for i in range(0, 99, 4)),
    )
    monkeypatch.setattr("tasks.workers.processes.start_early", lambda preload: None)
    monkeypatch.setenv("VARIEGATE_DEVICE", "cpu")
    return card


def test_probabilities_are_those_of_the_card_whatever_files_are_beside(trained: dict) -> None:
    paths = [write(f"{seed}.png", png(seed, 9 + seed, 12)) for seed in range(9)]
    paths.insert(5, write("broken.png", png(0)[:60]))
    found = list(predictions(Found(paths, 0)))
    assert [each.file for each in found] == [str(path) for path in paths]
    assert found[5].error is not None and found[5].probabilities is None

    core = build_model("small_cnn", 3, 8)
    from safetensors.torch import load_file

    core.load_state_dict(load_file("models/model.safetensors"))
    core.eval()
    form = InputForm.from_card(trained)
    for path, each in zip(paths, found, strict=True):
        if each.probabilities is None:
            continue
        pixels = as_input(form.preprocessing.read(path.read_bytes()), 8, "squeeze")
        images = (torch.from_numpy(pixels)[None] / 255 - 0.5) / 0.25
        with torch.inference_mode():
            expected = torch.softmax(core(images)[0] / 0.01, dim=0).tolist()
        assert list(each.probabilities.values()) == pytest.approx(expected, abs=1e-5)
        assert each.label == "xyz"[int(np.argmax(expected))]
        assert each.probability == max(each.probabilities.values())
        (alone,) = predictions(Found([path], 0))
        assert alone.label == each.label
        assert alone.probability == pytest.approx(each.probability, abs=2e-6)


def test_without_a_model_it_says_so(place: Path) -> None:
    Path("params.yaml").write_text("train: {}\n")
    with pytest.raises(UserError) as caught:
        list(predictions(Found([Path("1.png")], 0)))
    assert str(caught.value) == (
        "models/model.safetensors: not found; the train stage makes it: "
        "run `variegate run --until train`"
    )


# --- what is printed ------------------------------------------------------------------------------

READ = Prediction("a.png", "cat", 0.75, {"ant": 0.05, "bee": 0.2, "cat": 0.75}, None)
BROKEN = Prediction("broken.png", None, None, None, "corrupt: half")


def test_a_line_for_each_file(capsys: pytest.CaptureFixture[str]) -> None:
    names = [Path("a.png"), Path("broken.png")]
    assert print_table(iter([READ, BROKEN]), names) == 1
    assert capsys.readouterr().out == (
        "a.png       cat 75.0%, then bee 20.0%\nbroken.png  not read: corrupt: half\n"
    )


def test_json_is_a_list_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_json(iter([READ, BROKEN])) == 1
    nothing = {"label": None, "probability": None, "probabilities": None}
    assert json.loads(capsys.readouterr().out) == [
        {
            "file": "a.png",
            "label": "cat",
            "probability": 0.75,
            "probabilities": {"ant": 0.05, "bee": 0.2, "cat": 0.75},
            "error": None,
        },
        {"file": "broken.png", **nothing, "error": "corrupt: half"},
    ]


# --- a decoder that ends its process --------------------------------------------------------------


@pytest.mark.starts
def test_a_file_that_ends_its_decoder_does_not_end_the_command(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")  # the only worker is a process too
    monkeypatch.setattr(files, "read_batch", crashing.read_batch)
    paths = [write(name, png(i)) for i, name in enumerate(("1.png", "crash.png", "2.png"))]
    (found,) = files.read_files(paths, FORM)
    assert found.errors == [None, "corrupt: the decoder ended its process twice", None]
    assert len(found.images) == 2
