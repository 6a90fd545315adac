"""README.md of a package, the model card: use, checks, data, training, figures, limits."""

import hashlib
import io
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from ruamel.yaml import YAML, YAMLError

from tasks.commands.package.agreement import TOLERANCE, Checked, grey_levels
from tasks.common import tables
from tasks.common.params import PARAMS_FILE, read_blocks
from tasks.common.texts import code_span, table
from tasks.dataset.columns import SPLITS
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.paths import (
    AUGMENTED,
    BREAKDOWN,
    EVALUATE_METRICS,
    EXPOSURE_METRICS,
    LEDGER,
    RAW,
    TRAIN_METRICS,
    VALIDATED,
    VALIDATED_MANIFEST,
    WEIGHTS,
)
from tasks.dataset.selections import count_by_class, usable, written_variants
from tasks.pixels.hashing import file_sha256

LOCK = Path("dvc.lock")
BLOCKS = ("augment", "train")  # of params.yaml, that decide what the model is
FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
    "calibration_error": "calibration error (ECE)",
}
CLASS_FIGURES = ("precision", "recall", "f1")


def render(folder: Path, card: dict[str, Any], weights: int, checked: Checked) -> str:
    """The text of README.md.

    Args:
        folder: of the package, all else is written there.
        card: of the model.
        weights: how many it has.
        checked: what was compared.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # Markdown: names are in code spans
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["code"] = code_span
    locked = locked_training()
    return environment.get_template("model_card.md.j2").render(
        card=card,
        checked=checked,
        weights=weights,
        tolerance=TOLERANCE,
        grey_levels=grey_levels(card),
        counts=count_table(read_validated(), read_ledger()),
        versions=version_table(folder, locked),
        params=params_in_words(locked),
        from_lock=locked is not None,
        exposure=_read_if_there(EXPOSURE_METRICS, "train"),
        figures=_figures(checked),
    )


# --- data -----------------------------------------------------------------------------------------


def count_table(validated: pd.DataFrame, ledger: pd.DataFrame) -> str:
    """Images of each class in each split, and the variants that were made of training images."""
    counts = count_by_class(usable(validated), "split", list(SPLITS))
    variants = written_variants(ledger).groupby("label").size()
    counts["variants"] = variants.reindex(counts.index, fill_value=0)
    rows = [[code_span(str(label)), *_grouped(row)] for label, row in counts.iterrows()]
    rows.append(["**all**", *_grouped(counts.sum())])
    return "\n".join(table(["class", *SPLITS, "variants in train"], rows))


def _grouped(row: pd.Series) -> list[str]:
    return [f"{int(number):,}" for number in row]


def version_table(folder: Path, locked: dict[str, Any] | None) -> str:
    """What names the files of the package and the data that the model was trained on."""
    files = {name: folder / name for name in (WEIGHTS.name, "model.onnx", "model.pt2")}
    files |= {str(path): path for path in (VALIDATED_MANIFEST, LEDGER)}
    rows = [
        [code_span(name), "SHA-256", code_span(file_sha256(path))] for name, path in files.items()
    ]
    of_dvc = {dep["path"]: dep.get("md5", "") for dep in (locked or {}).get("deps", ())}
    for path in map(str, (RAW, VALIDATED, AUGMENTED)):
        if path in of_dvc:
            rows.append([code_span(path), "DVC (MD5)", code_span(of_dvc[path])])
    return "\n".join(table(["what", "named by", "value"], rows))


# --- training -------------------------------------------------------------------------------------


def locked_training() -> dict[str, Any] | None:
    """The train stage in dvc.lock; None where there is no lock, or it is of another training."""
    try:
        stage = YAML(typ="safe").load(LOCK)["stages"]["train"]
        noted = {out["path"]: out["md5"] for out in stage["outs"]}
        found = hashlib.md5(TRAIN_METRICS.read_bytes(), usedforsecurity=False).hexdigest()
        return stage if noted[str(TRAIN_METRICS)] == found else None
    except (OSError, YAMLError, KeyError, TypeError):
        return None


def params_in_words(locked: dict[str, Any] | None) -> str:
    """The blocks of params.yaml that the training ran with, as YAML."""
    blocks = locked["params"][str(PARAMS_FILE)] if locked else read_blocks()
    text = io.StringIO()
    for name in BLOCKS:
        yaml = YAML()
        # of a policy the innermost lists and maps in one line
        yaml.default_flow_style = None if name == "augment" else False
        yaml.dump({name: blocks.get(name) or {}}, text)
    return text.getvalue()


# --- figures --------------------------------------------------------------------------------------


def _figures(checked: Checked) -> str:
    """What evaluate measured, with the intervals that it gives; "" where it has not."""
    numbers = _read_if_there(EVALUATE_METRICS, "evaluate")
    if not numbers:
        return ""
    rows = [
        [title, _with_interval(numbers, name)] for name, title in FIGURES.items() if name in numbers
    ]
    lines = [f"On {numbers['images']:,} test images:", *table(["figure", "value"], rows)]
    breakdown = _read_if_there(BREAKDOWN, "evaluate").get("per_class", {})
    of_classes = [_class_row(label, found) for label, found in breakdown.items()]
    lines += table(["class", *CLASS_FIGURES, "images"], of_classes) if of_classes else []
    if checked.split == "test" and abs(numbers["accuracy"] - checked.accuracy) > 0.01:
        lines += [
            "",
            f"**The packaged model has an accuracy of {checked.accuracy:.4f} there**: these "
            "figures are of another model, or of several views of each image.",
        ]
    return "\n".join(lines)


def _class_row(label: str, found: dict[str, Any]) -> list[str]:
    shares = (_with_interval(found, name) for name in CLASS_FIGURES)
    return [code_span(label), *shares, f"{found['images']:,}"]


def _with_interval(numbers: dict[str, Any], name: str) -> str:
    """`0.9924 (0.9811 to 1.0000)`; without the interval where there is none."""
    low, high = numbers.get(f"{name}_low"), numbers.get(f"{name}_high")
    value = "-" if numbers.get(name) is None else f"{numbers[name]:.4f}"
    return value if low is None or high is None else f"{value} ({low:.4f} to {high:.4f})"


def _read_if_there(path: Path, made_by: str) -> dict[str, Any]:
    return tables.read_json(path, made_by) if path.is_file() else {}
