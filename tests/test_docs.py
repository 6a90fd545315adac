"""What the pages name is there: pages, links, headings, files, commands, options, parameters."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel
from ruamel.yaml import YAML

from flows.cli import app
from tasks.common.params import STAGES
from tasks.evaluate.params import EvaluateParams
from tasks.ingest.params import IngestParams
from tasks.train.params import TrainParams
from tasks.validate.params import ValidateParams
from tasks.variants.params import AugmentParams
from tasks.variants.policy import Policy
from tests.conftest import ROOT

DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
FOLDERS = r"tasks|flows|tests|docs|requirements|benchmarks"
CODE_PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w\.(?:py|j2|md|txt|sh)\b")
COMMAND = re.compile(r"(?:^|[ /(])variegate ([a-z]+)([^\n#|]*)", re.MULTILINE)
OPTION = re.compile(r"(?<!\S)--?[a-z][a-z-]*")
TARGET = re.compile(r"(?:^|&& )make ([a-z][a-z0-9-]*)", re.MULTILINE)
MODELS: dict[str, type[BaseModel]] = {
    "ingest": IngestParams,
    "validate": ValidateParams,
    "augment": AugmentParams,
    "train": TrainParams,
    "evaluate": EvaluateParams,
}
PARAMETER = re.compile(rf"(?<![\w/.-])({'|'.join(STAGES)})\.([a-z_]+)")
ENDINGS = {"csv", "json", "html", "py", "zip", "parquet", "txt"}  # `train.csv` is no parameter

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code_of(page: Path) -> Iterator[str]:
    """The page's blocks of code, then what stands in backticks within its sentences."""
    text = page.read_text(encoding="utf-8")
    for _, block in FENCED.findall(text):
        yield block
    yield from INLINE.findall(FENCED.sub("", text))


def anchors_of(page: Path) -> set[str]:
    """The names by which GitHub links to the page's headings."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_links_every_page() -> None:
    linked = set(LINK.findall((ROOT / "docs/index.md").read_text(encoding="utf-8")))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in DOCS}
    assert pages - {"index.md"} <= linked


@each_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), f"{link}: no such heading"


@each_page
def test_every_file_of_code_that_is_named_exists(page: Path) -> None:
    for path in CODE_PATH.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).is_file(), path


def test_the_names_of_code_in_contributing_exist() -> None:
    files = [path for top in ("tasks", "flows", "tests") for path in (ROOT / top).rglob("*.py")]
    words = set(re.findall(r"\w+", "\n".join(path.read_text("utf-8") for path in files)))
    for code in code_of(ROOT / "CONTRIBUTING.md"):
        if re.fullmatch(r"[A-Z][A-Z_0-9]+|[A-Z][a-z]+[A-Z]\w+|\w+\(\)", code):
            assert code.removesuffix("()") in words, code


@each_page
def test_every_command_and_option_exists(page: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for code in code_of(page):
        for name, arguments in COMMAND.findall(code):
            assert name in commands, f"variegate {name}"
            known = {option for parameter in commands[name].params for option in parameter.opts}
            for option in OPTION.findall(arguments):
                assert option in known | {"--help", "-h"}, f"variegate {name} {option}"


@each_page
def test_every_make_target_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for code in code_of(page):
        for target in TARGET.findall(code):
            assert f"\n{target}:" in makefile, f"make {target}"


@each_page
def test_every_parameter_that_is_named_exists(page: Path) -> None:
    for code in code_of(page):
        right = re.sub(r"^error:.*$", "", code, flags=re.MULTILINE)  # shows a mistake on purpose
        for stage, key in PARAMETER.findall(right):
            assert key in {*MODELS[stage].model_fields, *ENDINGS}, f"{stage}.{key}"


@each_page
def test_every_example_of_params_yaml_is_valid(page: Path) -> None:
    for language, block in FENCED.findall(page.read_text(encoding="utf-8")):
        blocks = YAML(typ="safe").load(block) if language == "yaml" else {}
        for stage in MODELS.keys() & blocks.keys():
            params = MODELS[stage].model_validate(blocks[stage])
            if isinstance(params, AugmentParams):
                Policy(params.policy)
