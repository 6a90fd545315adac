"""Prefect's pull step of deployments for several hosts: enter this host's clone of the project."""

import os
from pathlib import Path


def enter(variable: str) -> dict[str, str]:
    """Change into this host's clone.

    Prefect's own step `set_working_directory` would take the variable from the host that deploys.

    Args:
        variable: the variable of the worker's environment that says where the clone is.

    Returns:
        `directory`: the clone, for Prefect.

    Raises:
        ValueError: where the variable names no clone.
    """
    name = os.environ.get(variable, "")
    if not Path(name, "dvc.yaml").is_file() or not name:
        need = "needs the folder of this host's clone, in the worker's environment"
        raise ValueError(f"{variable}: {need}; found {name!r}")
    os.chdir(name)
    return {"directory": name}
