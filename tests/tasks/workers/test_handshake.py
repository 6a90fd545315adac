"""What client and worker compare, in one process."""

import os
import re
from pathlib import Path

import pytest

from tasks.common import machine
from tasks.common.errors import UserError
from tasks.dataset.split_names import split_of_folder
from tasks.workers import handshake, project_folder
from tasks.workers.handshake import CODE, LIBRARIES, Agreement, agreement, require
from tests.conftest import ROOT

WORKER = "tcp://10.0.0.2:34567"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VARIEGATE_CACHE", "")
    monkeypatch.setenv("VARIEGATE_SOURCES", "")
    monkeypatch.setattr(project_folder, "STARTED_IN", tmp_path)
    (tmp_path / "project/data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def needed(wanted: Agreement) -> str:
    """The line that a worker answers, without what all lines begin with."""
    with pytest.raises(UserError) as caught:
        require(wanted, WORKER)
    prefix, _, rest = str(caught.value).partition(f" {WORKER} needs ")
    assert prefix == "VARIEGATE_CLUSTER: worker"
    return rest


def changed(name: str, value: str) -> Agreement:
    """What a client has that differs from this process in one thing."""
    found = agreement(None)
    return found._replace(software=tuple({**dict(found.software), name: value}.items()))


def test_the_libraries_compared_are_those_that_touch_pixels() -> None:
    lines = (ROOT / "requirements/pixels.txt").read_text().splitlines()
    named = {line.partition("==")[0] for line in lines if not line.startswith("#")}
    assert set(LIBRARIES) - named == {"pandas", "dask", "distributed"} and named <= set(LIBRARIES)


def test_each_difference_is_one_line_with_both_values() -> None:
    require(agreement(None), WORKER)
    own = handshake.software()
    assert needed(changed("numpy", "1.0")) == f"numpy 1.0, found {own['numpy']}"
    assert needed(changed("Python", "3.99")) == f"Python 3.99, found {own['Python']}"
    kind = own["a processor of the kind"]
    line = needed(changed("a processor of the kind", "vax"))
    assert line == f"a processor of the kind vax, found {kind}"
    assert needed(changed(CODE, "00000000")) == f"the code in tasks/ 00000000, found {own[CODE]}"
    assert needed(changed("a new one", "1.0")) == "a new one 1.0, found none"
    require(agreement(None), WORKER)


def test_the_data_has_to_be_the_same(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_folder, "STARTED_IN", project)
    client = agreement(None)
    (project / "data/raw.dvc").write_text("outs:\n")
    with_data = agreement(None)
    assert re.fullmatch("[0-9a-f]{8}", with_data.data)
    assert needed(client) == f"data/raw.dvc none, found {with_data.data}"
    require(with_data, WORKER)


def test_a_folder_is_found_at_the_clients_path_or_where_the_worker_was_started(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project_folder.marked() as folder:
        os.chdir(tmp_path)
        require(agreement(folder), WORKER)
        assert Path.cwd() == project
        project.rename(tmp_path / "mounted")
        monkeypatch.setattr(project_folder, "STARTED_IN", tmp_path / "mounted")
        os.chdir(tmp_path)
        require(agreement(folder)._replace(data="none"), WORKER)
        (tmp_path / "mounted").rename(project)
        require(agreement(folder._replace(cache="")), WORKER)
        assert Path.cwd() == project and os.environ["VARIEGATE_CACHE"] == ""
    assert list((project / ".variegate").iterdir()) == []
    seen = f"found it neither there nor in {tmp_path}/mounted"
    assert needed(agreement(folder)) == (
        f"the client's folder {project}, {seen}: share it, and start the worker in it"
    )


def test_without_a_folder_in_common_a_worker_stays_in_its_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_folder, "STARTED_WITH", "scratch")
    with project_folder.marked() as folder:
        for found, place, cache, remote in (
            (folder, project, "", False),
            (None, tmp_path, "scratch", True),
            (folder, project, "", False),
        ):
            require(agreement(found)._replace(data="none"), WORKER)
            assert (Path.cwd(), os.environ["VARIEGATE_CACHE"]) == (place, cache)
            assert machine.sources_are_remote() == remote
            os.chdir(project)


def test_the_private_cache_has_to_be_shared_too(project: Path, tmp_path: Path) -> None:
    os.environ["VARIEGATE_CACHE"] = str(tmp_path / "scratch")
    with project_folder.marked() as folder:
        require(agreement(folder), WORKER)
        found = "found another folder or none there"
        other = folder._replace(cache=str(tmp_path / "other"))
        assert needed(agreement(other)) == (
            f"the client's VARIEGATE_CACHE {tmp_path}/other, {found}"
        )


def test_another_client_makes_a_worker_forget_what_it_knows_of_files() -> None:
    first, second = agreement(None), agreement(None)
    require(first, WORKER)
    split_of_folder("test")
    require(first, WORKER)
    assert split_of_folder.cache_info().currsize > 0
    require(second, WORKER)
    assert split_of_folder.cache_info().currsize == 0
