"""The commands that ask a question of the dataset, beside the pipeline: audit, ablate, tune.

Imports are inside the functions, as in cli.py.
"""

import contextlib
import json
import sys

import typer

from flows.inputs import read_inputs
from flows.options import AsJson

studies = typer.Typer()


@studies.command()
def audit(as_json: AsJson = False) -> None:
    """Say which steps of the policy break labels, and what to write into augment.labels.

    Each step is tried alone, at each magnitude, on training images: no run is needed. Writes
    reports/audit.html.

    Example: variegate audit
    """
    from flows.console import tables
    from flows.console.audit import audit_tables
    from flows.refresh import refresh_stages
    from tasks.dataset.paths import AUDIT_REPORT
    from tasks.studies.audit.audit import audit as audit_policy
    from tasks.studies.audit.page import write_page

    refresh_stages("validate")
    inputs = read_inputs()
    with contextlib.redirect_stdout(sys.stderr):  # progress: standard output is for the result
        found = audit_policy(inputs.validated, inputs.params, inputs.recipes)
    write_page(found, inputs.recipes, inputs.params)
    if as_json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        tables.show(audit_tables(found, len(inputs.params.labels)))
        print(f"report     {AUDIT_REPORT.resolve()}")
