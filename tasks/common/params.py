"""Read and validate params.yaml, which has one block for each stage."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from ruamel.yaml import YAMLError

from tasks.common import yaml_names
from tasks.common.errors import UserError

PARAMS_FILE = Path("params.yaml")
STAGES = ("ingest", "validate", "augment", "train", "evaluate")


class Block(BaseModel):
    """A stage's block: exact types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# Of a field that may be None: people write `none`, which YAML reads as a text.
NONE_AS_WORD = BeforeValidator(lambda value: None if value == "none" else value)

B = TypeVar("B", bound=Block)


def read_params(stage: str, model: type[B], path: Path = PARAMS_FILE) -> B:
    """Read the block named `stage` as a `model`.

    Raises:
        UserError: one line with the key, as in `params.yaml augment.seed: input should be a valid
            integer, found 'x'`.
    """
    blocks = read_blocks(path)
    for name in blocks:
        if name not in STAGES:
            raise UserError(f"{path} {name}: unknown block; known: {', '.join(STAGES)}")
    block = blocks.get(stage)
    if block is None:
        block = {}
    if not isinstance(block, dict):
        raise UserError(f"{path} {stage}: needs keys and values, found {block!r}")
    try:
        return model.model_validate(block)
    except ValidationError as error:
        need = _text_in_quotes(error, stage, path) or key_and_problem(error, stage, model)
        raise UserError(f"{path} {need}") from None


def _text_in_quotes(error: ValidationError, stage: str, path: Path) -> str | None:
    """What to write where a text is needed, and YAML took what is written for something else."""
    first = error.errors()[0]
    keys = (stage, *first["loc"])
    written = yaml_names.text_at(path.read_text(encoding="utf-8"), keys)
    if first["type"] != "string_type" or written is None:
        return None
    return f"{yaml_names.place_of(keys)}: needs a text: write '{written}', in quotes"


def key_and_problem(error: ValidationError, block: str, model: type[BaseModel]) -> str:
    """The first problem of `error` as `block.key[2].other: what is needed, what was found`."""
    first = error.errors()[0]
    # pydantic adds the types of a union that it tried, as in `list[int]`: they are no keys
    keys = [part for part in first["loc"] if "[" not in str(part)]
    path = yaml_names.place_of([block, *keys])
    if first["type"] == "extra_forbidden":
        known = f"; known: {', '.join(model.model_fields)}" if len(first["loc"]) == 1 else ""
        return f"{path}: unknown key{known}"
    if first["type"] == "missing":
        return f"{path}: is missing"
    if first["type"] == "value_error":
        return f"{path}: {first['ctx']['error']}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{path}: {message}, found {first['input']!r}"


def read_blocks(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """All blocks of params.yaml, by stage; keys are texts, as they are written there.

    Raises:
        UserError: where there is no such file, it does not hold blocks, or a name needs quotes.
    """
    if not path.is_file():
        raise UserError(f"{path}: not found in {Path.cwd()}; run this from the project's root")
    try:
        blocks = yaml_names.load(path.read_text(encoding="utf-8"))
    except UserError as error:
        raise UserError(f"{path} {error}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{path}{line}: not valid YAML: {problem}") from None
    if not isinstance(blocks, dict):
        raise UserError(f"{path}: needs a block for each stage, found {type(blocks).__name__}")
    return blocks
