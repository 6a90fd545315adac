"""The GPU benchmark, in small and on the CPU: what it calls is still there."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.imports import ROOT


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu", ROOT / "benchmarks/gpu.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.THREADS = 1
    return module


def test_its_loops_run_on_the_cpu(gpu: ModuleType, tmp_path: Path) -> None:
    bench = gpu.Bench(torch.device("cpu"), True, tmp_path)
    case = gpu.Case("small_cnn", 8, 4, 16)
    assert set(gpu.loop(bench, case)["all"]) == {"real", "from_host", "constant"}
    assert gpu.judging(bench, case)["images_a_second"] > 0


def test_an_error_is_recorded_and_does_not_end_it(gpu: ModuleType) -> None:
    failing = gpu.Measurement("failing", lambda: 1 / 0, 60)
    result = gpu.measured(failing, slow=False)
    assert result["error"] == "ZeroDivisionError: division by zero"
    assert gpu.as_line("failing", result).endswith(
        "\n    error ZeroDivisionError: division by zero"
    )
