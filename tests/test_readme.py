"""What the README says is so."""

import re
import subprocess

import pytest

from tasks.common.params import STAGES
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PARAMETERS = (ROOT / "docs/parameters.md").read_text()


def test_its_files_and_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target


@pytest.mark.starts
def test_its_commands_exist() -> None:
    for command in sorted(set(re.findall(r"^variegate (\w+)", README, re.MULTILINE))):
        assert (
            subprocess.run(
                ["variegate", command, "--help"], cwd=ROOT, capture_output=True
            ).returncode
            == 0
        ), command
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_is_documented(stage: str) -> None:
    from tasks.evaluate.params import EvaluateParams
    from tasks.ingest.params import IngestParams
    from tasks.train.params import TrainParams
    from tasks.validate.params import ValidateParams
    from tasks.variants.params import AugmentParams

    model = dict(
        zip(
            STAGES,
            (IngestParams, ValidateParams, AugmentParams, TrainParams, EvaluateParams),
            strict=True,
        )
    )
    section = PARAMETERS.split(f"\n## {stage}\n")[1].split("\n## ")[0]
    for name in model[stage].model_fields:
        assert f"`{name}" in section, name


def test_every_transform_is_documented() -> None:
    from tasks.variants.policy import COMPOSITES, TRANSFORMS

    words = set(re.findall(r"\w+", (ROOT / "docs/policies.md").read_text()))
    assert set(TRANSFORMS + COMPOSITES) <= words


def test_every_setting_of_the_machine_is_documented() -> None:
    named = set()
    for path in (ROOT / "tasks").rglob("*.py"):
        named |= set(re.findall(r"\"(VARIEGATE_\w+)\"", path.read_text()))
    assert {name for name in named if name not in PARAMETERS} <= {"VARIEGATE_EVENTS"}
