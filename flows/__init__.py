"""Orchestration: the only code that imports prefect or dvc.

cli          the `variegate` command          graph      the pipeline as DVC sees it: order, and what is clean
pipeline     the Prefect flow                 stage      a stage of it, watched; child: its process, run through DVC
artifacts    what Prefect shows of a stage    project    data/raw, parameters, the state of a checkout
schedule     the flow on a schedule           runs       what the Prefect server knows of runs
server       the Prefect server, the report   processes  that end with what started them
doctor       what is installed, what is wrong locks      waiting for other DVC commands
versions     the dataset at a revision        compare    what changed between two of them
merge        finishing a merge of git         listings   the files of data/raw, merged three ways
behind       a data/raw that git left behind  git        what git knows
publish      commit and push after a run
"""

import logging
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

# Of DVC: advice on `git add` after each stage, and that the lock of a killed run was removed.
logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)
logging.getLogger("dvc.rwlock").setLevel(logging.ERROR)

# dvc.yaml says `python`: it has to be this environment's, activated or not.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
