"""Preconditions of a run: files that a person or a full disk has damaged are named."""

from pathlib import Path

import pytest

from flows.preconditions import require_raw, require_stage
from tasks.common.errors import UserError


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "outs: []", "outs:\n- raw\n", "<<<<<<< HEAD\nouts:\n- md5: a.dir\n=======\n", "\0"]
)
def test_images_without_a_sound_record_are_no_beginning_of_a_run(text: str) -> None:
    Path("data/raw/cat").mkdir(parents=True)
    Path("data/raw/cat/1.png").write_text("x")
    require_raw()  # not recorded yet: the run does that
    Path("data/raw.dvc").write_text(text)
    with pytest.raises(UserError) as caught:
        require_raw()
    assert str(caught.value) == (
        "data/raw.dvc: needs to be a file of DVC's, found none: "
        "take it from git, or remove it and run `dvc add data/raw`"
    )
    Path("data/raw.dvc").write_text("outs:\n- path: raw\n")  # of a remote with versions
    require_raw()


@pytest.mark.parametrize("text", ["", "stages:", "stages: [", "a: 1", "\0"])
def test_a_pipeline_that_cannot_be_read_is_named(text: str) -> None:
    Path("dvc.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        require_stage("ingest")
    assert str(caught.value) == (
        "dvc.yaml: needs the stages of the pipeline, found none: "
        "`git diff dvc.yaml` shows what was changed"
    )
    Path("dvc.yaml").write_text("stages: {ingest: {cmd: x}}")
    require_stage("ingest")
    with pytest.raises(UserError, match=r"^--until train: needs a stage of dvc\.yaml: ingest$"):
        require_stage("train")
