"""dvc.yaml names the files that each stage runs: DVC does not follow imports."""

import ast
import hashlib

import pytest
from ruamel.yaml import YAML

from tasks.params import STAGES
from tests.imports import ROOT, closure, imported_modules

PIPELINE = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
NO_CODE = ("data/", "models", "plots/", "requirements/", "reports")


def test_the_stages_are_the_params_blocks_in_order() -> None:
    assert tuple(PIPELINE) == STAGES
    assert tuple(YAML(typ="safe").load(ROOT / "params.yaml")) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_it_runs_and_no_other(stage: str) -> None:
    code = {dep for dep in PIPELINE[stage]["deps"] if not dep.startswith(NO_CODE) and not dep.endswith(".j2")}
    assert code == closure(f"tasks.{stage}")
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "tasks" / stage).glob("*.j2")}
    assert templates == {dep for dep in PIPELINE[stage]["deps"] if dep.endswith(".j2")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_by_its_name(stage: str) -> None:
    assert PIPELINE[stage]["cmd"] == f"python -m tasks.{stage}"
    assert PIPELINE[stage]["params"][0] == stage


def test_what_touches_pixels_depends_on_the_libraries_versions() -> None:
    for stage in ("ingest", "validate", "augment"):
        assert "requirements/pixels.txt" in PIPELINE[stage]["deps"]


def test_imports_point_one_way() -> None:
    """tasks never import flows, prefect or dvc; a stage never imports a later one."""
    for path in (ROOT / "tasks").rglob("*.py"):
        relative = path.relative_to(ROOT / "tasks")
        own = relative.parts[0].removesuffix(".py")
        for module in imported_modules(path):
            top = module.split(".")[1] if "." in module else ""
            assert module.split(".")[0] == "tasks", f"{relative} imports {module}"
            if own in STAGES and top in STAGES:
                assert STAGES.index(top) <= STAGES.index(own), f"{relative} imports {module}"
            if own not in STAGES and own != "__init__":
                assert top not in STAGES or own in ("sample", "bring"), f"{relative} imports {module}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & {"prefect", "dvc"}, relative


@pytest.mark.parametrize("stage", STAGES)
def test_the_committed_lock_is_what_this_code_made(stage: str) -> None:
    locked = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"][stage]
    for dep in locked["deps"]:
        path = ROOT / dep["path"]
        if not dep["path"].startswith(("data/", "models", "plots/")):
            assert hashlib.md5(path.read_bytes()).hexdigest() == dep["md5"], f"{path.name} changed: run `dvc repro`"
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    assert locked["params"]["params.yaml"][stage] == params[stage]
