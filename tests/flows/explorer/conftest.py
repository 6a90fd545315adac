"""Datasets for the pages: a small one with images of every kind, and random tables."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.flows.explorer import dataset
from tests.flows.explorer.random_tables import Tables, write_tables


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


@pytest.fixture(scope="session")
def random_dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables]:
    """The folder and the rows of random tables; not to be changed."""
    folder = tmp_path_factory.mktemp("random")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        return folder, write_tables()
