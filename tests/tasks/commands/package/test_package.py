"""A package of a trained model, used where there is no Variegate."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tasks.commands.package import exports
from tasks.commands.package.package import Images, Model, package, write_package
from tasks.commands.predict.files import Found
from tasks.commands.predict.predict import predictions
from tasks.common.errors import CheckFailedError, UserError
from tasks.dataset.paths import PREDICTIONS, WEIGHTS
from tasks.pixels.hashing import sha256
from tests.conftest import ROOT, Project

WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['tasks', 'flows', 'cv2', 'pi_heif']))"
BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/using-the-model.md").read_text(encoding="utf-8"), re.S
)


@pytest.fixture
def inside(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(finished.root)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    return finished


def run_elsewhere(code: str, folder: Path) -> str:
    """What a program prints that has onnxruntime, torch, Pillow and NumPy, and nothing of ours."""
    done = subprocess.run(
        [sys.executable, "-c", f"{WITHOUT}\n{code}"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_predict_says_of_test_images_what_evaluate_said(inside: Project) -> None:
    rows = pd.read_csv(PREDICTIONS, dtype={"predicted": str})
    found = list(predictions(Found([Path("data/raw") / name for name in rows["file_name"]], 0)))
    assert [each.label for each in found] == rows["predicted"].tolist()
    probabilities = [each.probability for each in found]
    assert probabilities == pytest.approx(rows["probability"].tolist(), abs=2e-6)


@pytest.mark.slow
def test_a_package_is_used_as_the_docs_say_where_there_is_no_project(
    inside: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("elsewhere") / "model"
    checked = package(folder)
    assert checked.split == "test" and max(checked.worst.values()) <= 1e-4
    assert checked.preprocessed == {"compared": checked.images, "refused": 0}
    files = {path.name for path in folder.iterdir()}
    assert files == {
        "README.md", "check.py", "golden.npz", "model.json", "model.onnx", "model.pt2",
        "model.safetensors", "preprocess.py",
    }  # fmt: skip
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS.read_bytes()
    for path in folder.iterdir():  # no path of this machine
        assert str(ROOT).encode() not in path.read_bytes(), path.name
        assert b"site-packages" not in path.read_bytes(), path.name

    predicted = pd.read_csv(PREDICTIONS, dtype={"predicted": str}).iloc[0]
    (folder / "photo.jpg").write_bytes(inside.path(f"data/raw/{predicted.file_name}").read_bytes())
    card = (folder / "README.md").read_text(encoding="utf-8")
    for block in BLOCKS:
        assert block in card
        label, probability = run_elsewhere(block, folder).split()
        assert label == predicted.predicted
        assert float(probability) == pytest.approx(predicted.probability, abs=2e-6)
    done = subprocess.run([sys.executable, folder / "check.py"], capture_output=True, text=True)
    same = f"{checked.images} of {checked.images} images get their class"
    assert (done.returncode, done.stdout.partition(";")[0]) == (0, same)

    again = package(folder.with_name("again"))
    assert again == checked
    for name in files:  # the same model, the same bytes
        assert (folder / name).read_bytes() == (folder.with_name("again") / name).read_bytes(), name

    broken = folder.with_name("broken")
    of_torch = exports.write_program

    def write_other_weights(
        classifier: exports.Classifier, card: dict[str, object], path: Path
    ) -> None:
        with torch.no_grad():
            classifier.network[1].head.bias[0] += 0.01  # type: ignore[index,union-attr]
        of_torch(classifier, card, path)

    monkeypatch.setattr(exports, "write_program", write_other_weights)
    with pytest.raises(CheckFailedError) as caught:
        package(broken)
    assert re.fullmatch(
        r"model\.pt2: gives other results than the weights for 3 of 3 images, data/raw/\S+ for one "
        r"\(logits differ by up to 0\.01, 0\.0001 is allowed; \d get another class\); "
        r"nothing is written",
        str(caught.value),
    )
    assert {path.name for path in broken.parent.iterdir()} == {"model", "again"}


def test_a_folder_of_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        package(Path("models/package"))
    assert str(caught.value) == (
        "models/package: needs a folder outside models, which the pipeline owns"
    )
    Path("params.yaml").write_text("train: {}\n")
    with pytest.raises(UserError) as caught:
        package(Path("package"))
    assert str(caught.value) == (
        "models/model.safetensors: not found; the train stage makes it: "
        "run `variegate run --until train`"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"params.yaml"}


FAMILIES = {
    "small_cnn": 64, "efficientnet_lite0": 96, "resnet18": 64, "mobilenet_v3_small": 64,
    "efficientnet_b0": 64, "convnext_tiny": 64,
    "vit_b_16": 64, "swin_t": 64, "swin_v2_t": 64, "densenet121": 64, "googlenet": 64,
    "shufflenet_v2_x0_5": 64, "alexnet": 100, "vgg11": 90, "squeezenet1_0": 64, "mnasnet0_5": 64,
    "regnet_x_400mf": 64, "maxvit_t": 224, "inception_v3": 100, "resnext50_32x4d": 64,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_networks_can_be_exported(name: str, tmp_path: Path) -> None:
    from torch import nn

    from tasks.commands.package.agreement import outputs_of, require_agreement
    from tasks.model.inference import Normalise
    from tasks.model.networks import build_model

    torch.manual_seed(0)
    size = FAMILIES[name]
    network = build_model(name, 5, size)
    head = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    nn.init.normal_(head.weight, std=0.05)  # some begin with zeros
    classifier = exports.Classifier(nn.Sequential(Normalise([0.5] * 3, [0.25] * 3), network), 1.5)
    classifier.eval()
    images = np.random.default_rng(0).integers(0, 256, (12, 3, size, size), dtype=np.uint8)
    scale = float(np.abs(exports.run_torch(classifier, images)[0]).max()) / 10
    classifier.temperature *= scale  # untrained ones give anything up to 1e9
    expected = outputs_of(lambda batch: exports.run_torch(classifier, batch), images, "x")
    card = {"model": name, "image_size": size, "classes": list("abcde")}
    names = [str(number) for number in range(len(images))]
    exports.write_onnx(classifier, card, tmp_path / "model.onnx")
    session = exports.open_onnx(tmp_path / "model.onnx", threads=1)
    found = outputs_of(lambda batch: exports.run_onnx(session, batch), images, "x")
    require_agreement("model.onnx", found, expected, names)
    exports.write_program(classifier, card, tmp_path / "model.pt2")
    module = exports.open_program(tmp_path / "model.pt2")
    found = outputs_of(lambda batch: exports.run_torch(module, batch), images, "x")
    require_agreement("model.pt2", found, expected, names)


class Sums(torch.nn.Module):
    """Three classes: how red, green and blue an image is."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean(dim=(2, 3))


CARD = {
    "model": "sums", "image_size": 4, "classes": ["é", "b", "c"], "temperature": 2.0,
    "fit": "squeeze", "preprocessing": {"range": "depth", "preprocess": []},
}  # fmt: skip


def test_the_graph_carries_the_temperature_and_the_card(tmp_path: Path) -> None:
    import onnx

    classifier = exports.Classifier(Sums(), temperature=2.0).eval()
    exports.write_onnx(classifier, CARD, tmp_path / "model.onnx")
    images = np.arange(2 * 3 * 16, dtype=np.uint8).reshape(2, 3, 4, 4)
    session = exports.open_onnx(tmp_path / "model.onnx", threads=1)
    logits, probabilities = exports.run_onnx(session, images)
    assert logits == pytest.approx(images.mean(axis=(2, 3)) / 2)
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    metadata = onnx.load(tmp_path / "model.onnx").metadata_props
    assert {each.key: json.loads(each.value) for each in metadata} == CARD


def test_an_export_that_differs_is_refused_with_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    WEIGHTS.parent.mkdir()
    WEIGHTS.write_bytes(b"weights")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(f"{number}.png")
    paths = [Path(f"{number}.png") for number in range(12)]
    data = [path.read_bytes() for path in paths]
    files = pd.DataFrame(
        {
            "source_id": [path.stem for path in paths],
            "label": ["é", "b", "c"] * 4,
            "path": list(map(str, paths)),
            "offset": None,
            "length": list(map(len, data)),
            "sha256": [sha256(each) for each in data],
        }
    )
    images = Images(files, pixels.transpose(0, 3, 1, 2))
    model = Model(exports.Classifier(Sums(), 2.0).eval(), CARD, threads=1)
    (tmp_path / "good").mkdir()
    checked = write_package(tmp_path / "good", model, images, "test")
    assert (checked.images, checked.preprocessed) == (12, {"compared": 12, "refused": 0})
    golden = np.load("good/golden.npz")
    assert sorted(map(bytes, golden["images"])) == sorted(map(bytes, images.array))
    assert golden["logits"] == pytest.approx(golden["images"].mean(axis=(2, 3)) / 2)

    of_torch = exports.write_onnx

    def for_another_temperature(
        classifier: exports.Classifier, card: dict[str, object], path: Path
    ) -> None:
        of_torch(exports.Classifier(classifier.network, 2.001).eval(), card, path)

    monkeypatch.setattr(exports, "write_onnx", for_another_temperature)
    (tmp_path / "bad").mkdir()
    with pytest.raises(CheckFailedError) as caught:
        write_package(tmp_path / "bad", model, images, "test")
    assert re.fullmatch(
        r"model\.onnx: gives other results than the weights for 12 of 12 images, 0\.png for one "
        r"\(logits differ by up to 0\.0\d+, 0\.0001 is allowed; 0 get another class\); "
        r"nothing is written",
        str(caught.value),
    )
