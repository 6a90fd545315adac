"""The `variegate` command: one function for each subcommand, and the entry point.

Imports are inside the functions: `variegate --help` would take seconds with pandas, Prefect or DVC,
and most commands need only some of them.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.inputs import Inputs, read_inputs
from flows.options import AsJson
from flows.study_commands import studies
from tasks.common.errors import CheckFailedError, UserError, exit_code, one_line, with_prefix
from tasks.common.texts import counted

INTERRUPTED = "interrupted; what was finished is kept, and the next run goes on from there"

app = typer.Typer(
    help="Image augmentation as an accountable pipeline: "
    "every variant planned, counted, reproducible.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


app.add_typer(studies)


# --- options that several commands have -------------------------------------------------------

Until = Annotated[
    str | None,
    typer.Option(help="The last stage to run: ingest, validate, augment, train or evaluate."),
]
BringFrom = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="First copy the new images of this folder into data/raw."),
]
Mirror = Annotated[
    bool,
    typer.Option(
        "--mirror", help="Replace and remove as well: data/raw becomes what that folder is."
    ),
]
Commit = Annotated[
    bool, typer.Option("--commit", help="Commit what the run made, saying what changed in images.")
]
Push = Annotated[
    bool,
    typer.Option("--push", help="Then dvc push, and git push where the branch has an upstream."),
]

Pull = Annotated[bool, typer.Option("--pull", help="First git pull --ff-only, and dvc pull.")]


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    if debug:
        os.environ["VARIEGATE_DEBUG"] = "1"
    if not {"-h", "--help"} & set(sys.argv) and not Path("dvc.yaml").is_file():
        raise UserError(f"dvc.yaml: not found in {Path.cwd()}; run this from the project's root")


# --- images into data/raw ---------------------------------------------------------------------


@app.command()
def sample(
    name: Annotated[
        str, typer.Argument(help="`digits`: 1,797 handwritten digits, 8 x 8 pixels.")
    ] = "digits",
    if_empty: Annotated[bool, typer.Option(help="Do nothing where data/raw holds files.")] = False,
) -> None:
    """Write a bundled real dataset into data/raw.

    Example: variegate sample digits
    """
    from flows.preconditions import write_sample_if_empty
    from tasks.acquire.sample import write_sample
    from tasks.dataset.paths import RAW
    from tasks.dataset.raw_files import require_own_folder

    require_own_folder()
    count = write_sample_if_empty(name) if if_empty else write_sample(name, RAW)
    if count:
        print(f"wrote {counted(count, 'image')} to {RAW}")


@app.command("import")
def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Zip and tar archives, or Parquet files with images, here or at https:// and "
            "s3:// addresses; or one s3://BUCKET/PREFIX/, or one torchvision:NAME.",
        ),
    ],
    max_gb: Annotated[
        float, typer.Option(help="The most that archives and downloads may hold.")
    ] = 50,
    image_column: Annotated[
        str | None, typer.Option(help="Of Parquet files: the column of images, where several are.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Of Parquet files: the column of labels, where several are.")
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Where torchvision keeps its downloads; default: .variegate/torchvision."
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="How archives encode names that are not UTF-8: cp932, gbk, ..."),
    ] = None,
) -> None:
    """Fill the empty data/raw: unpack archives, all together, or download a torchvision dataset.

    Parquet files, such as those of Hugging Face's datasets, become split and class folders.

    Example: variegate import train.zip test.zip

    Example: variegate import data/train-00000-of-00001.parquet

    Example: variegate import photos.zip --encoding cp932

    Example: variegate import https://example.org/photos.zip

    Example: variegate import s3://images/photos/

    Example: variegate import torchvision:FashionMNIST
    """
    from flows.preconditions import require_pulled

    require_pulled()
    names = [source.partition(":")[2] for source in sources if source.startswith("torchvision:")]
    if names and len(sources) > 1:
        raise UserError(
            f"torchvision:{names[0]}: needs to be the only source, found {len(sources)}"
        )
    if names and encoding is not None:
        raise UserError(f"--encoding: is for archives, found torchvision:{names[0]}")
    if names:
        _import_torchvision(names[0], root)
        return
    from tasks.acquire.parquet_images import find_parquet
    from tasks.acquire.remote_sources import local_copies
    from tasks.dataset.paths import RAW

    with local_copies(sources, RAW, max_gb) as local:
        if parquet := find_parquet(local.files):
            _import_parquet(parquet, max_gb, image_column, label_column)
        elif local.tree:
            _import_tree(local.tree, local.clutter)
        else:
            _import_archives(local.files, max_gb, encoding)


def _import_torchvision(name: str, root: Path | None) -> None:
    from tasks.acquire.torchvision_datasets import write_dataset
    from tasks.common import machine
    from tasks.dataset.paths import RAW

    files = write_dataset(name, RAW, root or machine.cache_folder() / "torchvision")
    print(f"wrote {counted(files, 'file')} to {RAW}")


def _import_parquet(
    paths: list[Path], max_gb: float, image_column: str | None, label_column: str | None
) -> None:
    from tasks.acquire.parquet_images import write_images
    from tasks.dataset.paths import RAW

    written = write_images(paths, RAW, max_gb, image_column, label_column)
    print(f"wrote {counted(written.files, 'image')} to {RAW}")
    for note in written.notes:
        print(f"note: {note}")


def _import_tree(tree: Path, left_out: Sequence[str]) -> None:
    from tasks.acquire.remote_sources import move_tree
    from tasks.dataset import clutter
    from tasks.dataset.paths import RAW

    files = move_tree(tree, RAW)
    more = f"; {clutter.words(clutter.count(left_out))}" if left_out else ""
    print(f"wrote {counted(files, 'file')} to {RAW}{more}")


def _import_archives(paths: list[Path], max_gb: float, encoding: str | None) -> None:
    from tasks.acquire.archives import unpack
    from tasks.dataset import clutter
    from tasks.dataset.paths import RAW

    found = unpack(paths, RAW, max_gb, encoding)
    left_out = f"; {clutter.words(found.clutter)}" if found.clutter["files"] else ""
    print(f"wrote {counted(found.files, 'file')} to {RAW}{left_out}")
    if found.guessed:
        print(found.guessed)


# --- runs of the flow -------------------------------------------------------------------------


@app.command()
def run(
    until: Until = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run stages that have not changed as well.")
    ] = False,
    bring_from: BringFrom = None,
    mirror: Mirror = False,
    commit: Commit = False,
    push: Push = False,
    pull: Pull = False,
    prefer: Annotated[
        str | None,
        typer.Option(
            help="In a merge, whose file to take where both sides changed it: ours or theirs."
        ),
    ] = None,
) -> None:
    """Run the whole flow: what has changed is made anew, all else is cached.

    A merge of git is finished first.

    Example: variegate run --until augment
    """
    from flows import preconditions
    from flows.console import tables
    from flows.versions import merge

    started = time.monotonic()
    merge.require_side(prefer)
    parameters = _flow_parameters(until, bring_from, mirror, commit, push, pull)
    unfinished = merge.find_merge()
    for line in merge.finish_merge(unfinished, prefer) if unfinished else ():
        print(f"merged           {line}", flush=True)
    if bring_from is None and not pull:
        preconditions.require_raw()
    preconditions.check_params()
    outcomes, printed = _run_flow({**parameters, "force": force})
    print()
    tables.show(tables.run_summary(outcomes, printed))
    stages = {address.removesuffix(".dvc"): outcome for address, outcome in outcomes.items()}
    print(f"stages           {', '.join(map(' '.join, stages.items()))}")
    print(f"time             {time.monotonic() - started:.1f} s")
    if unfinished:
        print(f"merge            `{unfinished.concluded_by}` concludes it")


def _run_flow(parameters: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """What became of each stage, and the warnings that were printed meanwhile.

    With no server up, a run that has nothing to do starts none.
    """
    from flows.service.lookup import no_server

    url = ""
    if not no_server():
        from flows.service.server import find_server

        url = find_server()
    others = {name: value for name, value in parameters.items() if name != "until"}
    if not url and not any(others.values()):
        from flows import gate
        from flows.nothing_to_do import find_all_cached

        if cached := find_all_cached(parameters["until"]):
            if gate.is_set(cached):
                print(f"gate: {gate.judge()}")
            return cached, []
    from flows.service.server import report_to

    report_to(url)
    from flows.pipeline import bring_up_to_date  # reads the settings that report_to() changes
    from flows.run.stage import printed_warnings

    return bring_up_to_date(**parameters), printed_warnings


@app.command()
def schedule(
    cron: Annotated[
        str | None, typer.Option(help="When: minute, hour, day, month, weekday, in local time.")
    ] = None,
    every: Annotated[
        str | None, typer.Option(help="How often, as 30m, 6h or 1d; the first run comes at once.")
    ] = None,
    overlap: Annotated[
        str,
        typer.Option(help="What a run does while another goes on: skip (it is left out) or wait."),
    ] = "skip",
    until: Until = None,
    bring_from: BringFrom = None,
    mirror: Mirror = False,
    commit: Commit = False,
    push: Push = False,
    pull: Pull = False,
) -> None:
    """Run the flow on a schedule, one run at a time, until Ctrl-C or SIGTERM.

    Starts a server where none is up.

    Example: variegate schedule --cron "0 3 * * *" --bring-from /mnt/uploads --commit --push
    """
    from flows.service import server
    from flows.service.processes import ended_by_signals

    if (cron is None) == (every is None):
        raise UserError('needs one of --cron and --every, as --cron "0 3 * * *" or --every 6h')
    if overlap not in ("skip", "wait"):
        raise UserError(f"--overlap: needs skip or wait, found {overlap!r}")
    parameters = _flow_parameters(until, bring_from, mirror, commit, push, pull)
    from flows.versions.dvc_graph import require_repository

    require_repository()  # each run needs it, and none may be watched
    from flows.pipeline import pipeline
    from flows.service.schedule import cron_schedule, interval_schedule, serve

    when = cron_schedule(cron) if cron is not None else interval_schedule(str(every))
    with ended_by_signals(), server.server_ensured() as url:
        server.report_to(url)
        server.exit_when_silent(url)
        print(f"dashboard        {server.dashboard_page(url)}")
        shown = cron or f"every {every}"
        print(f"schedule         {shown}; Ctrl-C or SIGTERM ends it", flush=True)
        if bring_from is not None and not bring_from.expanduser().is_dir():
            problem = "no such folder now; runs fail until there is one"
            print(f"warning: --bring-from {bring_from}: {problem}", flush=True)
        serve(pipeline, when, overlap, {**parameters, "overlap": overlap})


@app.command()
def ui() -> None:
    """Serve pages of all images, the report, and Prefect's dashboard, until Ctrl-C or SIGTERM.

    On 127.0.0.1. PREFECT_SERVER_API_PORT is the dashboard's port, 4200 by default; that of pages
    and report is the next one.

    Example: variegate ui
    """
    from flows.explorer.rendering import link_to_dashboard
    from flows.explorer.server import pages_served
    from flows.service import server
    from flows.service.processes import ended_by_signals
    from tasks.dataset.paths import STUDY_REPORTS

    with ended_by_signals(), pages_served() as pages:
        print(f"images           {pages}/images", flush=True)
        with server.server_ensured() as url:
            link_to_dashboard(server.dashboard_page(url))
            print(f"dashboard        {server.dashboard_page(url)}")
            print(f"report           {pages}")
            for study, page in STUDY_REPORTS.items():
                if page.is_file():
                    print(f"{study:<16} {pages}/{page.name}")
            print("`variegate run` reports there; Ctrl-C ends it", flush=True)
            server.wait_until_silent(url)
            raise UserError(f"{server.dashboard_page(url)}: the server ended")


def _flow_parameters(
    until: str | None,
    bring_from: Path | None,
    mirror: bool,
    commit: bool,
    push: bool,
    pull: bool,
) -> dict[str, Any]:
    """The flow's parameters of these options."""
    from flows.preconditions import require_stage

    if until is not None:
        require_stage(until)
    if mirror and bring_from is None:
        raise UserError("--mirror: needs --bring-from, the folder that data/raw is to become")
    folder = None if bring_from is None else str(bring_from.expanduser().resolve())
    return {
        "until": until,
        "bring_from": folder,
        "mirror": mirror,
        "commit": commit,
        "push": push,
        "pull": pull,
    }


# --- what is there, what will be --------------------------------------------------------------


@app.command()
def validate(as_json: AsJson = False) -> None:
    """Say what is in data/raw: what can be used, what is set aside and why, copies, leaks, splits.

    Exit code 1 where a check fails that is asked to.

    Example: variegate validate --json
    """
    from flows.console import tables
    from flows.refresh import refresh_stages
    from tasks.commands.moved_images import moved_between, splits_of_images
    from tasks.dataset.manifests import read_validated
    from tasks.validate.split import class_counts

    before = splits_of_images()
    printed: list[str] = []
    failed: CheckFailedError | None = None
    try:
        refresh_stages("validate", printed)
    except CheckFailedError as error:
        failed = error
    metrics = tables.read_metrics("validate")
    moved = moved_between(before, splits_of_images())
    if as_json:
        print(json.dumps({**metrics, "moved": moved}, indent=2, ensure_ascii=False))
    else:
        classes = class_counts(read_validated(["label", "split", "status"])).to_dict("index")
        tables.show(tables.validation(metrics, classes, moved, printed))
    if failed:
        raise failed


@app.command()
def plan(
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Say what training sees in so many epochs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say exactly how many images will result, per class, before a pixel is touched.

    Warns of what may surprise.

    Example: variegate plan --epochs 16
    """
    from flows.console import tables
    from flows.refresh import refresh_stages
    from tasks.commands.forecast import forecast

    refresh_stages("validate")
    inputs = read_inputs()
    training = None if epochs is None else _training(epochs)
    found = forecast(inputs.validated, inputs.params, inputs.recipes, training)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        tables.show(tables.plan_forecast(found))


def _training(epochs: int) -> dict[str, Any]:
    """How training would use the variants, in so many epochs."""
    from tasks.common.params import read_params
    from tasks.train.params import TrainParams

    params = read_params("train", TrainParams)
    names = ("batch_size", "augmentation", "balance")
    return {"epochs": epochs, **{name: getattr(params, name) for name in names}}


@app.command()
def preview(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the picture goes.")] = Path(
        "preview.png"
    ),
    sources: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many sources: to show, 8 or with --operation 5; with --worst to try, 100.",
        ),
    ] = None,
    variants: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many of each; default: as planned, and 8 columns with --operation."
        ),
    ] = None,
    worst: Annotated[
        str | None,
        typer.Option(
            metavar="MEASURE",
            help="Make many variants and show the worst, each beside its source, by border, kept, "
            "clipped_low, clipped_high, sharpness, contrast or similarity.",
        ),
    ] = None,
    operation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Show one transform across its range: it is drawn 64 times for each source, and "
            "the draws are shown in the order of what its first argument draws; where that has no "
            "number of its own, of the number, or else of the measure, that varies most. One that "
            "is not in the policy has its default arguments.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Only images of this class.")
    ] = None,
) -> None:
    """Draw sources and their variants, by the present policy, into one picture.

    Below each variant stand its measures and what was done to it.

    Example: variegate preview --sources 12 -o sheet.png

    Example: variegate preview --worst sharpness

    Example: variegate preview --operation Affine --class shoes
    """
    from flows.refresh import refresh_stages
    from tasks.commands.preview import Asked, draw_preview, require_measure
    from tasks.pixels.encode import encode

    _require_image_path(output, ("png",))
    require_measure(worst)
    refresh_stages("validate")
    inputs = read_inputs()
    asked = Asked(sources, variants, worst, operation, label)
    sheet, shown = draw_preview(inputs.validated, inputs.params, inputs.recipes, asked)
    output.write_bytes(encode(sheet, "png"))
    print(f"wrote {output}: {shown}")


# --- variants ---------------------------------------------------------------------------------


@app.command()
def verify(
    remake: Annotated[
        int, typer.Option(min=0, help="Make this many variants again and compare their bytes.")
    ] = 0,
    repair: Annotated[
        bool, typer.Option("--repair", help="Delete every damaged copy and make it again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Reconcile the ledger with the segments; exit 1 on any difference.

    Example: variegate verify --remake 100
    """
    from tasks.commands.verify import verify as reconcile

    inputs = read_inputs()
    if repair:
        _repair(inputs)
    found = reconcile(inputs.validated, inputs.recipes, remake)
    differences = found["differences"]
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        counts = {name: value for name, value in found.items() if isinstance(value, int)}
        print(", ".join(f"{name} {value:,}" for name, value in counts.items()))
        for line in differences:
            print(line)
        print("differences found" if differences else "every variant is what the ledger says")
    sys.exit(1 if differences else 0)


def _repair(inputs: Inputs) -> None:
    """Delete every copy of damaged segments, and make them again."""
    from tasks.augment.committed_segments import forget_everywhere
    from tasks.commands.verify import verify as reconcile
    from tasks.dataset.paths import LEDGER

    try:
        damaged = reconcile(inputs.validated, inputs.recipes)["damaged"]
    except UserError:  # the ledger cannot be read
        damaged = [LEDGER.name]
    for name in damaged:
        forget_everywhere(name)
    if damaged:
        from flows.pipeline import bring_up_to_date

        bring_up_to_date(until="augment")


@app.command()
def replay(
    variant_id: Annotated[
        str, typer.Argument(help="As in the ledger: <source_id>-v<index>; or <source_id>-d<epoch>.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the image goes.")],
) -> None:
    """Make one variant of the ledger again, from its source and its recipe.

    Or what training showed of a source in an epoch with train.augmentation: device.

    Example: variegate replay 8f152facd8e09408-v002 -o variant.png

    Example: variegate replay 8f152facd8e09408-d007 -o seventh-epoch.png
    """
    if "-d" in variant_id:
        _replay_of_device(variant_id, output)
        return
    from tasks.commands.verify import replay as make_again

    inputs = read_inputs()
    variant = make_again(variant_id, inputs.validated, inputs.recipes)
    row = variant.row
    if variant.data is None:
        raise UserError(
            f"variant {variant_id!r}: was rejected ({row['reason']}); there is no image"
        )
    ending = variant.extension
    _write_image(output, variant.data, ("jpg", "jpeg") if ending == "jpg" else (ending,))
    print(f"wrote {output}: {row['width']} x {row['height']}, sha256 {row['sha256']}")


def _replay_of_device(variant_id: str, output: Path) -> None:
    """Write what training showed of a source in an epoch, and say what it is."""
    from tasks.common.params import read_params
    from tasks.dataset.manifests import read_validated
    from tasks.dataset.selections import class_names
    from tasks.pixels.hashing import sha256
    from tasks.train.device_augmentation.replay import replay as make_again
    from tasks.train.params import TrainParams
    from tasks.train.samples import device_recipe, input_form

    validated, params = read_validated(), read_params("train", TrainParams)
    recipe = device_recipe(params, input_form(validated, params), class_names(validated))
    if recipe is None:
        raise UserError(
            f"variant {variant_id!r}: needs train.augmentation: device in params.yaml, "
            f"found {params.augmentation}"
        )
    made = make_again(variant_id, validated, recipe, params.epochs)
    _write_image(output, made.data, ("png",))
    mixed = f", {1 - made.share:.0%} of it {made.partner}" if made.partner else ""
    print(
        f"wrote {output}: {made.size} x {made.size}, class {made.label}{mixed}, "
        f"sha256 {sha256(made.data)}"
    )


# --- the model ---------------------------------------------------------------------------------


@app.command()
def predict(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="Image files, and folders of them at any depth."),
    ],
    as_json: AsJson = False,
) -> None:
    """Say which class the trained model sees in image files, and how sure it is.

    Files are read and preprocessed as those of data/raw. One that cannot be read has its reason,
    and the others go on; the exit code is 1 then.

    Example: variegate predict photo.jpg ~/photos --json
    """
    from flows.console.predictions import print_json, print_table
    from tasks.commands.predict.files import find_files
    from tasks.commands.predict.predict import predictions

    found = find_files(files)
    if found.left_out:
        left_out = counted(
            found.left_out, "file in folders is no image", "files in folders are no images"
        )
        print(f"note: {left_out}", file=sys.stderr)
    results = predictions(found)
    unread = print_json(results) if as_json else print_table(results, found.files)
    if unread:
        raise CheckFailedError(f"{unread:,} of {len(found.files):,} files could not be read")


@app.command()
def package(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or an empty folder.")],
) -> None:
    """Write the trained model for programs without Variegate: ONNX, torch.export, safetensors.

    Each is compared with the weights on test images before DIR is put in place. DIR/README.md is
    the model card, and says how to use it.

    Example: variegate package ../classifier
    """
    from tasks.commands.package.package import package as write

    with contextlib.redirect_stdout(sys.stderr):  # progress: standard output is for the result
        checked = write(folder)
    worst = max(checked.worst.values())
    compared = counted(checked.images, f"{checked.split} image")
    print(f"wrote {folder}: the exports give {compared} the classes that the weights give them")
    print(f"worst difference of a logit {worst:.1e}; {folder / 'README.md'} says how to use it")


# --- versions, exports, the installation ------------------------------------------------------


@app.command()
def diff(
    before: Annotated[
        str, typer.Argument(metavar="[REV]", help="A commit, branch or tag.")
    ] = "HEAD",
    after: Annotated[
        str, typer.Argument(metavar="[REV]", help="Another; default: the workspace.")
    ] = "workspace",
    as_json: AsJson = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")
    ] = False,
) -> None:
    """Say what changed between two versions of the dataset: HEAD and the workspace, or others.

    A version is what the last run left. Equal bytes are the same image.

    Example: variegate diff v1.0 HEAD

    Example: variegate diff main HEAD --markdown
    """
    if as_json and markdown:
        raise UserError("--json and --markdown: needs one of them, found both")
    from flows.console import tables
    from flows.versions.diff import as_markdown, compare
    from flows.versions.revision import WORKSPACE, changed_since_run, read_versions

    stale = changed_since_run() if WORKSPACE in (before, after) else []
    found = compare(*read_versions([before, after]))
    if stale:
        problem = "not as the workspace's last run left them; this compares that run"
        print(f"note: {', '.join(stale)}: {problem}", file=sys.stderr)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False, default=list))
    elif markdown:
        print(as_markdown(found))
    else:
        tables.show(tables.dataset_diff(found))


@app.command()
def export(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="A new folder, or an earlier export to bring up to date."
        ),
    ],
    format: Annotated[str, typer.Option("--format", help="imagefolder or webdataset.")],
    preprocessed: Annotated[
        bool,
        typer.Option(
            "--preprocessed",
            help="Originals as training sees them: see ingest.range and ingest.preprocess.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the images of every split for other tools, the variants among those of train.

    imagefolder: DIR/SPLIT/CLASS/VARIANT_ID.EXT. webdataset: DIR/SPLIT-000000.tar, ... and
    DIR/classes.json.

    Both: DIR/manifest.parquet, written last. Index 0 of a variant_id is the original.

    Example: variegate export ../clothes --format webdataset
    """
    from tasks.commands.export import export as write
    from tasks.commands.preprocessed_originals import require_same_as_in_run
    from tasks.dataset.manifests import read_ledger, read_preprocessing, read_validated
    from tasks.pixels.preprocess import AS_DECODED

    validated, ledger, made_with = read_validated(), read_ledger(), read_preprocessing()
    if preprocessed:
        require_same_as_in_run()
    preprocessing = made_with if preprocessed else None
    with contextlib.redirect_stdout(sys.stderr):  # progress: standard output is for the result
        found = write(validated, ledger, folder, format, preprocessing)
    if not preprocessed and made_with != AS_DECODED:
        note = "originals are as they are, and variants are made of preprocessed ones"
        print(f"note: {note}: --preprocessed writes both alike", file=sys.stderr)
    splits = ", ".join(f"{split} {count:,}" for split, count in found["splits"].items())
    text = f"wrote {folder}: {found['images']:,} images of {found['classes']:,} classes ({splits})"
    print(json.dumps(found, indent=2) if as_json else text)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, which device, cache links and server; what is wrong, how to mend it.

    Example: variegate doctor
    """
    from flows.console import tables
    from flows.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([finding.__dict__ for finding in findings], indent=2))
    else:
        tables.show([tables.findings_table(findings)])
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


# --- shared -----------------------------------------------------------------------------------


def _write_image(path: Path, data: bytes, endings: tuple[str, ...]) -> None:
    """Write an image file; see _require_image_path()."""
    _require_image_path(path, endings)
    path.write_bytes(data)


def _require_image_path(path: Path, endings: tuple[str, ...]) -> None:
    """Raises UserError where no image can be written.

    Args:
        path: its name has to end in one of `endings`, its folder has to exist.
        endings: what names of files of this format end in, without the dot.
    """
    if path.suffix.lower().removeprefix(".") not in endings:
        raise UserError(f"{path}: needs a name that ends in .{endings[0]}, which its bytes are")
    if not path.parent.is_dir():
        raise UserError(f"{path}: needs an existing folder, {path.parent} is none")


def main() -> None:
    """The entry point: one line and exit code 2 for an error that the user can mend."""
    try:
        app()
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        sys.exit(130)
    except SystemExit as end:
        if end.code == 130:  # of Typer, which says nothing of Ctrl-C within a command
            print(INTERRUPTED, file=sys.stderr)
        raise
    except Exception as error:
        line = one_line(error)
        if os.environ.get("VARIEGATE_DEBUG") == "1":
            raise
        if line is None:
            hint = "run with --debug before the command for the traceback"
            line = f"{type(error).__name__}: {error} ({hint})"
        print(with_prefix(error, line), file=sys.stderr)
        sys.exit(exit_code(error) if one_line(error) else 1)
