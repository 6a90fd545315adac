"""Architecture: imports point one way, folders are small, modules say what they are."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.imports import MODULES, ROOT, SYNTAX, imported_modules

# From the lowest up: a module imports from its own folder and from those before it. A stage's list
# of steps, `__main__`, also imports from the folders within its own.
LAYERS = (
    "tasks/common",
    "tasks/workers",
    "tasks/pixels",
    "tasks/dataset",
    "tasks/reports",
    "tasks/acquire",
    "tasks/ingest/tables",
    "tasks/ingest",
    "tasks/validate",
    "tasks/validate/related",
    "tasks/variants/fused",
    "tasks/variants/quality",
    "tasks/variants",
    "tasks/capacity",
    "tasks/lint",
    "tasks/augment",
    "tasks/model",
    "tasks/train/device_augmentation",
    "tasks/train/distributed",
    "tasks/train",
    "tasks/train/loop",
    "tasks/evaluate",
    "tasks/studies",
    "tasks/studies/trainings",
    "tasks/studies/audit",
    "tasks/studies/ablate",
    "tasks/studies/tune",
    "tasks/commands",
    "tasks/commands/package",
    "tasks/commands/predict",
    "flows/service",
    "flows/versions",
    "flows/explorer/queries",
    "flows/explorer",
    "flows/run",
    "flows/console",
    "flows",
)
MOST_FILES = 14  # of code in a folder
CODE = [path for path in MODULES if path != ROOT / "tasks/__init__.py"]


def folder_of(path: Path) -> str:
    return str(path.parent.relative_to(ROOT))


def file_of(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_lies_in_a_known_folder() -> None:
    assert {folder_of(path) for path in CODE} == set(LAYERS)


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    for module in imported_modules(path):
        folder = folder_of(file_of(module))
        if file_of(module).name == "__init__.py" and Path(folder_of(path)).is_relative_to(folder):
            continue  # a package that the module lies in
        if path.name == "__main__.py" and Path(folder).is_relative_to(folder_of(path)):
            continue
        assert LAYERS.index(folder) <= LAYERS.index(folder_of(path)), f"imports {module}"


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_stages_know_neither_prefect_nor_dvc(path: Path) -> None:
    if path.is_relative_to(ROOT / "flows"):
        return
    for node in ast.walk(SYNTAX[path]):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not {name.split(".")[0] for name in names} & {"prefect", "dvc", "flows"}


def test_no_two_modules_import_each_other_by_any_way() -> None:
    waiting = {name_of(path): imports_of(path) for path in CODE}
    while ready := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in ready:
            del waiting[name]
    assert not waiting, "in a circle, or above one"


def imports_of(path: Path) -> set[str]:
    """The files that a module imports, but for the packages that it lies in."""
    files = {file_of(module) for module in imported_modules(path)}
    return {name_of(file) for file in files if file.name != "__init__.py"} - {name_of(path)}


def test_folders_are_small_enough_to_look_through() -> None:
    files = defaultdict(list)
    for path in CODE:
        files[path.parent].append(path)
    assert {
        name_of(folder): len(own) for folder, own in files.items() if len(own) > MOST_FILES
    } == {}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_first_lines_say_what_a_module_is(path: Path) -> None:
    docstring = ast.get_docstring(SYNTAX[path])
    assert docstring, "needs a docstring"
    first = docstring.splitlines()[0]
    assert re.search(r"[.:?]$", first), f"the first line needs to be a sentence: {first!r}"


COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_comprehensions_are_flat(path: Path) -> None:
    """One loop, and none within it."""
    for node in ast.walk(SYNTAX[path]):
        if isinstance(node, COMPREHENSIONS):
            inner = [each for each in ast.walk(node) if isinstance(each, COMPREHENSIONS)]
            assert len(inner) == 1, f"line {node.lineno}: a comprehension in a comprehension"
            assert len(node.generators) == 1, f"line {node.lineno}: two loops in one comprehension"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_is_more_than_three_values_has_a_type_with_a_name(path: Path) -> None:
    for node in ast.walk(SYNTAX[path]):
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "tuple":
            size = len(node.slice.elts) if isinstance(node.slice, ast.Tuple) else 1
            assert size <= 3, f"line {node.lineno}: a tuple of {size}"
