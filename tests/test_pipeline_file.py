"""dvc.yaml names the folders of code that each stage runs: DVC does not follow imports."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tasks.common.params import STAGES
from tasks.dataset.paths import BREAKDOWN, DATA_REPORT, PREDICTIONS, REPORT, STUDY_REPORTS
from tests.imports import ROOT, closure
from tests.test_reproducible import dvc_hash

PIPELINE = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
LEAST_SHARE_RUN = 0.5  # of the modules of a folder that a stage names


def code_of(stage: str) -> list[str]:
    return [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("tasks")]


def test_the_stages_are_the_params_blocks_in_order() -> None:
    assert tuple(PIPELINE) == STAGES
    assert tuple(YAML(typ="safe").load(ROOT / "params.yaml")) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_that_a_stage_runs_lies_in_what_it_depends_on(stage: str) -> None:
    named = [Path(dep) for dep in code_of(stage)]
    for file in closure(f"tasks.{stage}"):
        assert any(Path(file).is_relative_to(dep) for dep in named), f"{stage} lacks {file}"


@pytest.mark.parametrize("stage", STAGES)
def test_no_folder_is_named_for_little(stage: str) -> None:
    """An edit re-runs the stages that it concerns: a folder is mostly code that the stage runs."""
    run = closure(f"tasks.{stage}")
    for dep in code_of(stage):
        files = {str(path.relative_to(ROOT)) for path in (ROOT / dep).glob("**/*.py")} or {dep}
        assert len(files & run) / len(files) >= LEAST_SHARE_RUN, f"{stage} names {dep}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_by_its_name(stage: str) -> None:
    assert PIPELINE[stage]["cmd"] == f"python -m tasks.{stage}"
    assert PIPELINE[stage]["params"][0] == stage


def test_the_page_of_a_study_is_no_output_of_a_stage() -> None:
    """DVC removes outputs before it runs a stage, and takes each file in a folder for one."""
    in_reports = [*map(str, (REPORT, DATA_REPORT, PREDICTIONS))]
    assert PIPELINE["evaluate"]["outs"] == [*in_reports, {str(BREAKDOWN): {"cache": False}}]
    for stage in PIPELINE.values():
        outs = [out if isinstance(out, str) else next(iter(out)) for out in stage["outs"]]
        for page in STUDY_REPORTS.values():
            assert not any(page.is_relative_to(out) for out in outs)


def test_what_touches_pixels_depends_on_the_libraries_versions() -> None:
    for stage in ("ingest", "validate", "augment"):
        assert "requirements/pixels.txt" in PIPELINE[stage]["deps"]


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("stage", STAGES)
def test_the_committed_lock_is_what_this_code_made(stage: str) -> None:
    locked = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"][stage]
    assert {dep["path"] for dep in locked["deps"]} == set(PIPELINE[stage]["deps"])
    for dep in locked["deps"]:
        path = ROOT / dep["path"]
        if not dep["path"].startswith(("data/", "models", "plots/")):
            found = md5_of(path) if path.is_file() else dvc_hash(path, ".py", ".j2")
            assert found == dep["md5"], f"{dep['path']} changed: run `dvc repro`"
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    assert locked["params"]["params.yaml"][stage] == params[stage]


def listed_by_dvc(folder: Path) -> set[str]:
    """The files that DVC would version below `folder`, which holds a copy of .dvcignore."""
    code = (
        "import json, os; from dvc.repo import Repo; repo = Repo(os.getcwd(), uninitialized=True); "
        "walk = repo.dvcignore.walk(repo.fs, repo.root_dir); "
        "print(json.dumps([repo.fs.relpath(repo.fs.join(at, file), repo.root_dir) "
        "for at, _, files in walk for file in files]))"
    )
    done = subprocess.run(["python", "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_below_tasks_dvc_sees_code_and_templates_alone(tmp_path: Path) -> None:
    (tmp_path / ".dvcignore").write_text((ROOT / ".dvcignore").read_text())
    seen = {
        "tasks/__init__.py",
        "tasks/train/loop/fit.py",
        "tasks/validate/report.html.j2",
        "data/raw/tasks/train/notes.txt",
        "data/raw/cat/1.jpg.swp",
        "data/raw/__pycache__/x.pyc",
    }
    hidden = {"tasks/train/.fit.py.swp", "tasks/train/__pycache__/fit.pyc", "tasks/notes.txt"}
    for name in seen | hidden:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert listed_by_dvc(tmp_path) - {".dvcignore"} == seen
