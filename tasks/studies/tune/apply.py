"""Apply an answer: write what it changes into params.yaml, and leave all else there as it is."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.common.params import PARAMS_FILE, Block, key_and_problem, read_blocks, read_params
from tasks.common.tables import write_text
from tasks.common.yaml_edits import changed
from tasks.common.yaml_names import in_one_line
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import check_policies

Changes = dict[str, dict[str, Any]]  # by block and key; None for a key to remove
MODELS: dict[str, type[Block]] = {"augment": AugmentParams, "train": TrainParams}


def require_same(augment: AugmentParams, train: TrainParams, path: Path = PARAMS_FILE) -> None:
    """Raises UserError where params.yaml asks for something else than what was tuned."""
    now = read_params("augment", AugmentParams, path), read_params("train", TrainParams, path)
    if now != (augment, train):
        raise UserError(
            f"{path}: augment or train has changed while the tuning ran, so the answer is to what "
            "it was; nothing was written: run variegate tune again"
        )


def apply_changes(changes: Changes, path: Path = PARAMS_FILE) -> list[str]:
    """Write changes into params.yaml; gives a line for each key, with what was there.

    Raises:
        UserError: where the blocks would not be valid any more, or cannot be edited. Then nothing
            is written.
    """
    before = read_blocks(path)
    after = dict(before)
    for block, its in changes.items():
        after[block] = _with(before.get(block) or {}, its)
        _check(block, after[block], path)
    told = list(_differences(before, after, path))
    if told:
        _write(path.resolve(), _edited(path, after))
    return told


def _write(path: Path, text: str) -> None:
    """Write a file whose rights stay as they are."""
    mode = path.stat().st_mode
    if not mode & stat.S_IWUSR:
        raise UserError(f"{path}: needs to be writable, found it read-only; nothing was written")
    write_text(path, text)
    path.chmod(mode)


def _with(block: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A block with these keys set; without those whose value is None."""
    return {key: value for key, value in {**block, **changes}.items() if value is not None}


def _check(name: str, block: dict[str, Any], path: Path) -> None:
    try:
        params = MODELS[name].model_validate(block)
    except ValidationError as error:
        need = key_and_problem(error, name, MODELS[name])
        raise UserError(f"{path} with the answer: {need}; nothing was written") from None
    if isinstance(params, AugmentParams):
        check_policies(params)


def _differences(before: dict[str, Any], after: dict[str, Any], path: Path) -> Iterator[str]:
    for block, its in after.items():
        was = before.get(block) or {}
        for key in (*its, *(key for key in was if key not in its)):
            if was.get(key) != its.get(key):
                old, new = _in_words(was, key), _in_words(its, key)
                yield f"{path} {block}.{key}: {new}, was {old}"


def _in_words(block: dict[str, Any], key: str) -> str:
    return in_one_line(block[key]) if key in block else "not there"


def _edited(path: Path, content: dict[str, Any]) -> str:
    """The text of a file with another content, its ends of lines kept."""
    text = path.read_bytes().decode("utf-8")
    ends = "\r\n" if "\r\n" in text else "\n"
    try:
        return changed(text.replace("\r\n", "\n"), content).replace("\n", ends)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
