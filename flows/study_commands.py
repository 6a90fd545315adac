"""The commands that ask a question of the dataset, beside the pipeline: audit, ablate, tune.

Imports are inside the functions, as in cli.py.
"""

import contextlib
import json
import sys
from typing import Annotated

import typer

from flows.inputs import read_inputs
from flows.options import AsJson, Budget, check_budget
from tasks.common.errors import UserError

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


@studies.command()
def ablate(
    seeds: Annotated[
        int | None,
        typer.Option(
            min=2, help="How often each arm is trained, with seeds from train.seed.  [default: 5]"
        ),
    ] = None,
    budget: Budget = None,
    as_json: AsJson = False,
) -> None:
    """Say whether augmentation pays, which group of steps does, and which classes lose by it.

    Trains on originals alone, on each group of steps alone, on all but each group, on all, and on
    TrivialAugment, equally long, and judges by the validation images. The test images are not
    looked at. Writes reports/ablate.html. A study that was interrupted goes on where it was.

    Example: variegate ablate --seeds 5
    """
    check_budget(budget, "--seeds", seeds)
    from flows.console import tables
    from flows.console.ablate import ablation_tables
    from flows.refresh import refresh_stages
    from tasks.common.params import read_params
    from tasks.dataset.paths import ABLATION_REPORT
    from tasks.studies.ablate.ablate import ablate as ablate_policy
    from tasks.studies.ablate.arms import arms_of
    from tasks.studies.ablate.page import write_page
    from tasks.studies.ablate.seeds import SEEDS, seeds_within
    from tasks.studies.trainings.data import study_data
    from tasks.studies.trainings.presentations import presentations
    from tasks.train.params import TrainParams
    from tasks.variants.sources import policy_input_sizes

    refresh_stages("validate")
    inputs = read_inputs()
    with contextlib.redirect_stdout(sys.stderr):  # progress: standard output is for the result
        params = read_params("train", TrainParams)
        data = study_data(inputs.validated, params, inputs.params.labels)
        shown = presentations(data, inputs.params)
        sizes = policy_input_sizes(data.training, data.form.preprocessing)
        arms = arms_of(inputs.params, shown.variants, sizes)
        if budget:
            seeds = seeds_within(budget, arms, data, shown.epochs)
        found = ablate_policy(arms, data, seeds or SEEDS, shown.epochs)
    write_page(found)
    if as_json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        tables.show(ablation_tables(found))
        print(f"report     {ABLATION_REPORT.resolve()}")


@studies.command()
def tune(
    budget: Budget = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the answer into params.yaml.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which policy, at which strength, pays best; the answer may be none.

    Tries the present policy weaker, TrivialAugment and RandAugment, with few variants or many, and
    trains the best again on seeds that it was not chosen by. Judged by the validation images: the
    test images are not looked at. Writes reports/tune.html. A study that was interrupted goes on
    where it was.

    Example: variegate tune --budget 30m
    """
    check_budget(budget)
    from flows.console import tables
    from flows.console.tune import tuning_tables
    from flows.refresh import refresh_stages
    from tasks.common.params import read_params
    from tasks.dataset.paths import TUNING_REPORT
    from tasks.studies.trainings.data import study_data
    from tasks.studies.trainings.presentations import presentations
    from tasks.studies.tune import tune as tuning
    from tasks.studies.tune.apply import apply_changes, require_same
    from tasks.studies.tune.how_many import TRIALS, trials_within
    from tasks.studies.tune.page import write_page
    from tasks.studies.tune.space import Space
    from tasks.train.params import TrainParams

    refresh_stages("validate")
    inputs = read_inputs()
    with contextlib.redirect_stdout(sys.stderr):  # progress: standard output is for the result
        params = read_params("train", TrainParams)
        data = study_data(inputs.validated, params, inputs.params.labels)
        space = Space(inputs.params, data.params, presentations(data, inputs.params))
        trials = trials_within(budget, space, data) if budget else TRIALS
        store = tuning.store_of(space, data, trials)
        with tuning.bench_of(data, space, trials) as bench:
            found = tuning.tune(space, data, trials, store, bench)
    write_page(found)
    written, refused = None, None
    if apply:
        try:
            require_same(space.augment, space.train)
            written = apply_changes(found.block)
        except UserError as error:  # what was found is told all the same
            refused = error
    if as_json:
        in_json = found.to_json() | ({"written": written} if apply else {})
        print(json.dumps(in_json, indent=2, ensure_ascii=False))
    else:
        tables.show(tuning_tables(found, written))
        print(f"report     {TUNING_REPORT.resolve()}")
    if refused:
        raise refused
