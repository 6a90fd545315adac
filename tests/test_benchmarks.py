"""The benchmarks in small: what they call is still there, and what they compare is comparable."""

import importlib
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from flows.explorer.queries.query import Query
from tasks.dataset import image_bytes
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.pixels.decode import decode
from tests.imports import ROOT


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A benchmark as a module; it imports others that lie beside it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module(name)


# --- gpu ------------------------------------------------------------------------------------------


def test_its_loops_run_on_the_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = load("gpu", monkeypatch)
    monkeypatch.setattr(gpu, "THREADS", 1)
    bench = gpu.Bench(torch.device("cpu"), True, tmp_path)
    case = gpu.Case("small_cnn", 8, 4, 16)
    assert set(gpu.loop(bench, case)["all"]) == {"real", "from_host", "constant"}
    assert gpu.judging(bench, case)["images_a_second"] > 0
    augmented = gpu.augmented(bench, case)
    assert augmented["equal_bits"] and augmented["equal_labels"]
    assert augmented["largest_difference_in_levels"] == 0
    assert gpu.out_of_memory(bench, "resnet18") == {"skipped": "needs CUDA"}
    monkeypatch.setattr(gpu, "STEPS", {"as the project": gpu.Step()})
    assert gpu.steps(bench, case)["as the project"] > 0
    assert set(gpu.feeding(bench, case)) > {"constant", "on the device, gathered there"}
    assert gpu.models(bench) == {"small_cnn": "ok", "squeezenet1_0": "ok"}
    assert gpu.waits(bench, case) == {"skipped": "needs CUDA"}
    assert gpu.fashion(bench)["skipped"].startswith("needs --fashion DIR")


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = load("gpu", monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    gpu.main()
    assert capsys.readouterr().out == "skipped: torch finds no GPU here\n"


def test_an_error_is_recorded_and_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = load("gpu", monkeypatch)
    failing = gpu.Measurement("failing", lambda: 1 / 0, 60)
    result = gpu.measured(failing, slow=False)
    assert result["error"] == "ZeroDivisionError: division by zero"
    assert gpu.as_line("failing", result).endswith(
        "\n    error ZeroDivisionError: division by zero"
    )


# --- load -----------------------------------------------------------------------------------------


def test_each_loader_gives_every_image_with_its_label(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench = load("load", monkeypatch)
    monkeypatch.setattr(bench, "WORKERS", 0)
    values = {"a": 40, "b": 200}
    names = [tmp_path / "photos" / label / f"{number}.png" for label in values for number in (0, 1)]
    for path in names:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((28, 28, 3), values[path.parent.name], np.uint8))
    stored = bench.Stored(list(map(str, names)), 28, tmp_path)
    for name in ("feed", "feed on disk", "ImageFolder", "WebDataset"):
        for images, labels in bench.LOADERS[name](stored)(1):
            expected = torch.tensor([40, 200], dtype=torch.uint8)[labels]
            assert torch.equal(images.flatten(1), expected[:, None].expand(4, 28 * 28 * 3)), name


# --- quality --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Soft noise with structure at several scales, uint8 (120, 160, 3)."""
    rng = np.random.default_rng(0)
    layers = [rng.integers(0, 256, (side * 3, side * 4, 3)) for side in (4, 10, 40)]
    enlarged = [cv2.resize(layer.astype(np.float32), (160, 120)) for layer in layers]
    return np.mean(enlarged, axis=0).astype(np.uint8)


def test_the_reference_of_an_untouched_photo_is_the_photo(
    monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    quality = load("quality", monkeypatch)
    assert quality.psnr(quality.reference(photo, np.eye(3), (120, 160)), photo) > 30
    shifted = quality.reference(photo, np.array([[1, 0, 5], [0, 1, 0], [0, 0, 1.0]]), (120, 160))
    assert quality.psnr(shifted[:, 5:], photo[:, :-5]) > 30
    assert quality.psnr(shifted[:, 6:], photo[:, :-6]) < 25


@pytest.mark.parametrize("name", ["affines", "mixed"])
def test_one_interpolation_is_nearer_to_the_reference_and_sharper(
    name: str, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    quality = load("quality", monkeypatch)
    if name == "mixed":
        photo = cv2.resize(photo, (480, 360), interpolation=cv2.INTER_CUBIC)
    found = quality.Pair(getattr(quality, name)).compare(photo, seed=1)
    assert found.fused.psnr > found.stepwise.psnr + 1
    if name == "affines":
        assert found.fused.sharpness > 1.5 * found.stepwise.sharpness
        assert 0.8 < found.scale < 1.25


def test_figures_of_known_images(monkeypatch: pytest.MonkeyPatch) -> None:
    quality = load("quality", monkeypatch)
    black = np.zeros((4, 4, 3), np.uint8)
    assert quality.psnr(black + 255, black) == pytest.approx(0)
    assert quality.psnr(black + 1, black) == pytest.approx(48.13, abs=0.01)
    double = np.diag([2.0, 2.0, 1.0])
    assert quality.scale_of(double, (10, 10)) == pytest.approx(2)
    assert quality.scale_of(np.diag([2.0, 0.5, 1.0]), (10, 10)) == pytest.approx(1)
    assert quality.evenly_spaced(list("abcdef"), 3) == ["a", "c", "e"]
    assert quality.evenly_spaced(["a"], 3) == ["a"]


# --- degradation ----------------------------------------------------------------------------------


def test_the_pictures_of_the_page_are_those_that_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    degradation = load("degradation", monkeypatch)
    page = (ROOT / "docs/degradation.md").read_text(encoding="utf-8")
    chart = degradation.draw_chart()
    for picture in degradation.PICTURES:
        path = f"pictures/{picture.__name__}.webp"
        assert f"]({path})" in page
        committed = cv2.imread(str(ROOT / "docs" / path))
        drawn = degradation.draw(list(picture(chart)))
        assert committed.shape == drawn.shape
        assert degradation.psnr(committed, drawn[:, :, ::-1]) > 30, path


# --- label_audit ----------------------------------------------------------------------------------


def test_a_mirrored_arrow_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    label_audit = load("label_audit", monkeypatch)
    label_audit.draw(label_audit.arrows, tmp_path)
    steps = {**label_audit.HORIZONTAL, "brightness": [label_audit.brightness(0.1, 0.2)]}
    told, flip, tone, time = label_audit.audit(tmp_path, steps)
    assert told.startswith("400 images as pixels of 20; told: down 0.9")
    assert "left to right" in flip and "right to left" in flip and "down" not in flip
    assert tone.split() == ["brightness", "-"]
    assert time.startswith("2 settings: ")


# --- ablation -------------------------------------------------------------------------------------


def test_policies_are_held_against_none_and_none_against_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ablation = load("ablation", monkeypatch)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setattr(ablation, "SPLITS", {"train": 24, "validation": 16, "test": 4})
    monkeypatch.setattr(ablation, "POOL", 4)
    monkeypatch.setattr(ablation, "RESAMPLINGS", 3)
    monkeypatch.setattr(ablation, "COST", {"mirrored": ablation.COST["mild"]})
    arrows = ablation.Project(
        "arrows", 8, 1, 8, lambda _: load("label_audit", monkeypatch).arrows()
    )
    with arrows.opened(tmp_path, tmp_path) as data:
        assert (len(data.training), len(data.validation)) == (24, 16)
        ablation.cost(data, 2)
        ablation.aa(data, 2)
    said = capsys.readouterr().out
    assert "mirrored" in said and "4 trainings on originals: accuracy " in said
    assert "3 times 2 of them against 2 others" in said


# --- cluster --------------------------------------------------------------------------------------


def test_a_written_manifest_tells_where_its_images_lie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster = load("cluster", monkeypatch)
    cluster.write_small_images(tmp_path, 30)
    monkeypatch.chdir(tmp_path)
    rows = image_bytes.locate_images(read_validated())
    assert rows["source_id"].is_unique and len(rows) == 30
    for row in rows.itertuples():
        data = image_bytes.read_checked(row, "is another")  # by its SHA-256
        assert decode(data).pixels.shape[:2] == (row.height, row.width)


# --- explorer -------------------------------------------------------------------------------------


def test_the_pages_find_what_the_written_manifests_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    explorer = load("explorer", monkeypatch)
    monkeypatch.setattr(explorer, "PICTURED", 10)
    monkeypatch.chdir(tmp_path)
    explorer.write_project(40)
    images = image_bytes.locate_images(read_validated())
    pictured = images[images["split"] == "train"].head(10)
    ledger = read_ledger()
    variants = image_bytes.locate_variants(ledger[ledger["variant_index"] > 0].head(40))
    for row in (*pictured.itertuples(), *variants.itertuples()):
        assert decode(image_bytes.read_checked(row, "is another")).pixels.shape == (28, 28, 3)
    asker = explorer.Asker(explorer.rows_by_class(tmp_path))
    assert asker.rows["original"] == len(images)
    assert asker.rows["variant"] == 40 * 4
    for make in (asker.filtered, asker.sorted, asker.filtered_and_sorted, asker.operation_sorted):
        for _ in range(30):
            Query.model_validate(make())
