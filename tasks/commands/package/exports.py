"""The trained model in formats that other programs run: ONNX, and torch's exported program."""

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.common.errors import UserError

INPUT = "images"
OUTPUTS = ["logits", "probabilities"]


class Classifier(nn.Module):
    """What is exported: from uint8 images (batch, 3, size, size) to logits and probabilities.

    Both are float32 (batch, classes). Logits are those of the network divided by the temperature
    of the card, so that probabilities, their softmax, are as likely to be right as they say.
    """

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(images) / self.temperature
        return logits, torch.softmax(logits, dim=1)


def write_program(classifier: Classifier, card: dict[str, Any], path: Path) -> None:
    """Write model.pt2: a graph of torch's own operations, for batches of any size.

    Raises:
        UserError: where torch cannot express the model so.
    """
    shapes = {INPUT: {0: torch.export.Dim("batch")}}
    with _quiet(), _one_line(path.name, card):
        program = torch.export.export(classifier, (_example(card),), dynamic_shapes=shapes)
        for module in program.graph_module.modules():
            for node in getattr(getattr(module, "graph", None), "nodes", ()):
                node.meta.pop("stack_trace", None)  # paths of this machine
        torch.export.save(program, path)


def open_program(path: Path) -> nn.Module:
    """The model of model.pt2."""
    with _quiet():
        return torch.export.load(path).module()


def write_onnx(classifier: Classifier, card: dict[str, Any], path: Path) -> None:
    """Write model.onnx; its metadata name the classes and say what the images have to be.

    Raises:
        UserError: where torch cannot express the model in ONNX.
    """
    import onnx

    shapes = {INPUT: {0: torch.export.Dim("batch")}}
    with _quiet(), _one_line(path.name, card):
        program = torch.onnx.export(
            classifier,
            (_example(card),),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=[INPUT],
            output_names=OUTPUTS,
            verbose=False,
        )
        model = program.model_proto  # type: ignore[union-attr]
        _forget_sources(model)
        texts = {name: json.dumps(value, ensure_ascii=False) for name, value in card.items()}
        onnx.helper.set_model_props(model, texts)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))


def _forget_sources(model: Any) -> None:
    """Remove what the exporter notes of each node: paths and lines of the code on this machine."""
    graph = model.graph
    for part in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for item in part:
            item.ClearField("metadata_props")
            item.ClearField("doc_string")
    graph.ClearField("metadata_props")


def _example(card: dict[str, Any]) -> Tensor:
    """Images for the exporters to trace with: two, as a graph traced with one may be for one."""
    return torch.zeros(2, 3, card["image_size"], card["image_size"], dtype=torch.uint8)


@contextmanager
def _one_line(file: str, card: dict[str, Any]) -> Iterator[None]:
    """Raises a UserError in place of what an exporter raises: as many kinds as there are."""
    try:
        yield
    except (MemoryError, OSError):
        raise
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        reason = f"{type(error).__name__}: {first}"
        raise UserError(f"{file}: torch cannot export {card['model']}: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters print and log, line after line, of their own work."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with Path(os.devnull).open("w") as nothing, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with redirect_stdout(nothing), redirect_stderr(nothing):
                yield
    finally:
        logging.disable(disabled)


def open_onnx(path: Path, threads: int) -> Any:
    """A session of onnxruntime on the CPU, which calls nobody."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_onnx(session: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and probabilities of a batch."""
    logits, probabilities = session.run(OUTPUTS, {INPUT: images})
    return logits, probabilities


@torch.inference_mode()
def run_torch(module: nn.Module, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and probabilities of a batch; of the classifier or of a program's module."""
    logits, probabilities = module(torch.from_numpy(images))
    return logits.numpy(), probabilities.numpy()
