"""A small dataset with images of every kind, to look at or to change."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.flows.explorer import dataset


@pytest.fixture(scope="session")
def explored_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """See dataset.py; not to be changed."""
    return dataset.make(tmp_path_factory.mktemp("explored"))


@pytest.fixture
def explored(explored_once: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Be in a copy of the dataset, to change it."""
    shutil.copytree(explored_once.root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    return Project(tmp_path)
