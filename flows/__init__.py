"""Orchestration: the only code that imports prefect or dvc.

cli             the `variegate` command, and no logic
console         text and tables for a terminal
pipeline        the Prefect flow: one task for each stage of dvc.yaml
preconditions   checks before a run: parameters, images in data/raw
refresh         bring stages up to date without Prefect, for commands that need the present images
doctor          what is installed, what is wrong and how to mend it
run/            one stage in a child process, its events and its artifacts
versions/       revisions of the dataset in git and DVC: graph, diff, merge, commit and push
service/        the Prefect server, the report server, the schedule, process groups
"""

import logging
import os
import sys
from pathlib import Path

# Telemetry off, before anything imports prefect or dvc; what the user has set stays.
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
}
os.environ.update({**TELEMETRY_OFF, **os.environ})

# On a busy machine the 20 seconds that Prefect gives its temporary server are too few.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")

# Of DVC: advice on `git add` after each stage, and that the lock of a killed run was removed.
logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)
logging.getLogger("dvc.rwlock").setLevel(logging.ERROR)

# dvc.yaml says `python`: it has to be this environment's, activated or not.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
