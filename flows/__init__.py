"""Orchestration: the only code that imports prefect or dvc.

cli             the `variegate` command, and no logic
console         text and tables for a terminal
pipeline        the Prefect flow: one task for each stage of dvc.yaml
preconditions   checks before a run: parameters, images in data/raw
refresh         bring stages up to date without Prefect, for commands that need the present images
stage_options   what a stage's `meta:` in dvc.yaml says of its Prefect task
nothing_to_do   a run that finds all stages up to date, without Prefect
doctor          what is installed, what is wrong and how to mend it
run/            one stage in a child process, its events and its artifacts
versions/       revisions of the dataset in git and DVC: graph, diff, merge, commit and push
service/        the environment of every process, the servers, the schedule, process groups
"""

import logging

from flows.service.environment import prepare

prepare()

# Of DVC: advice on `git add` after each stage, and that the lock of a killed run was removed.
logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)
logging.getLogger("dvc.rwlock").setLevel(logging.ERROR)
