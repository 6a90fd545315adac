"""Orchestration: the only code that imports prefect or dvc.

cli          the `variegate` command          graph      the pipeline as DVC sees it: order, and what is clean
pipeline     the Prefect flow                 child      one stage in a process of its own, run through DVC
artifacts    what Prefect shows of a stage    project    data/raw, parameters, the state of a checkout
doctor       what is installed, what is wrong  locks     waiting for other DVC commands
versions     the dataset at a revision         compare   what changed between two of them
merge        finishing a merge of git          listings  the files of data/raw, merged three ways
git          what git knows                    behind    a data/raw that git left behind
"""

import os
import sys
from pathlib import Path

# Nothing calls home. Set before anything imports prefect or dvc; what the user has set stays.
QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)

# dvc.yaml says `python`: it has to be this environment's, activated or not.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
