import bz2
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import typer
from PIL import Image

from flows import cli
from tasks.augment.contact_sheet import CELL, GAP
from tasks.augment.counts import counts_by_class
from tests.conftest import Project, wait_until


def test_outside_a_project_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(["variegate", "plan"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        done.stderr
        == f"error: dvc.yaml: not found in {tmp_path}; run this from the project's root\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        "sample",
        "import",
        "run",
        "validate",
        "plan",
        "preview",
        "audit",
        "ablate",
        "verify",
        "replay",
        "diff",
        "export",
        "predict",
        "package",
        "doctor",
    ],
)
def test_each_command_explains_itself_with_an_example(command: str, project: Project) -> None:
    done = project.variegate_here(command, "--help")
    assert f"Example: variegate {command}" in " ".join(done.stdout.split())


def test_sample_fills_an_empty_folder_and_no_other(project: Project) -> None:
    assert project.variegate_here("sample", "digits").stdout == "wrote 1,797 images to data/raw\n"
    done = project.variegate_here("sample", "digits", check=False)
    expected = (
        "error: data/raw: needs to be empty for a sample, found files; move them away first\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)
    assert project.variegate_here("sample", "digits", "--if-empty").stdout == ""
    done = project.variegate_here("sample", "letters", check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: sample 'letters': not known; known: digits\n",
    )


def test_import_unpacks_archives_into_an_empty_folder_and_no_other(project: Project) -> None:
    for split in ("train", "test"):
        project.write_digits(folder=f"{split}/{split}", classes=2)
        shutil.make_archive(
            str(project.path(split)), "zip" if split == "train" else "gztar", project.path(split)
        )
    project.path("data/.raw.tmp/left").mkdir(parents=True)
    with zipfile.ZipFile(project.path("train.zip"), "a") as archive:
        archive.writestr("__MACOSX/._train", b"")
    done = project.variegate_here("import", "train.zip", "test.tar.gz")
    left_out = "1 file of systems and editors left out, __MACOSX/._train for one"
    assert (done.stdout, done.stderr) == (f"wrote 24 files to data/raw; {left_out}\n", "")
    for split in ("train", "test"):
        for path in project.path(f"{split}/{split}").rglob("*.png"):
            assert (
                project.path("data/raw")
                .joinpath(path.relative_to(project.path(split)))
                .read_bytes()
                == path.read_bytes()
            )
    assert [path.name for path in project.path("data").iterdir()] == ["raw"]
    done = project.variegate_here("import", "train.zip", check=False)
    expected = (
        "error: data/raw: needs to be empty for an import, found files; move them away first\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_an_import_that_fails_is_one_line_and_leaves_nothing(project: Project) -> None:
    for path, members in (
        ("bad.zip", {"cat/1.png": b"1", "../2.png": b"2"}),
        ("big.zip", {"1.png": bytes(3_000_000)}),
    ):
        with zipfile.ZipFile(project.path(path), "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    bound = "needs to unpack to at most 0.002 GB (--max-gb), found 3,000,000 bytes"
    for command, expected in (
        (("bad.zip",), "bad.zip: '../2.png' leads out of its folder"),
        (("big.zip", "--max-gb", "0.002"), f"big.zip: {bound}"),
        (("no.zip",), "no.zip: needs to be a zip or tar archive, found nothing of that name"),
        (
            ("torchvision:MNIST", "big.zip"),
            "torchvision:MNIST: needs to be the only source, found 2",
        ),
    ):
        done = project.variegate_here("import", *command, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {expected}\n")
        assert not project.path("data").exists() or list(project.path("data").iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(project: Project) -> None:
    with zipfile.ZipFile(project.path("big.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(3_000_000))
    done = project.run("bash", "-c", "ulimit -f 1000; variegate import big.zip", check=False)
    assert (done.returncode, done.stderr) == (2, "error: data/raw: File too large\n")
    assert list(project.path("data").iterdir()) == []


def test_an_interrupted_import_leaves_nothing(project: Project) -> None:
    info = tarfile.TarInfo("1.png")
    info.size = 200 * 10_000_000  # seconds to unpack
    parts = [
        bz2.compress(info.tobuf()),
        bz2.compress(bytes(10_000_000)) * 200,
        bz2.compress(bytes(1024)),
    ]
    project.path("big.tar").write_bytes(b"".join(parts))
    importing = subprocess.Popen(
        ["variegate", "import", "big.tar"],
        cwd=project.root,
        env=project.environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background jobs ignore it
    )
    wait_until(project.path("data/.raw.tmp/1.png").exists, seconds=60)
    importing.send_signal(signal.SIGINT)
    _, told = importing.communicate(timeout=60)
    assert (importing.returncode, told.splitlines()[-1:]) == (130, [cli.INTERRUPTED])
    assert list(project.path("data").iterdir()) == []


def test_import_writes_a_dataset_of_torchvision(project: Project) -> None:
    raw = project.path("root/FashionMNIST/raw")
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        head = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28])
        raw.joinpath(f"{prefix}-images-idx3-ubyte").write_bytes(head + bytes(2 * 28 * 28))
        raw.joinpath(f"{prefix}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 9])
        )
    done = project.variegate_here("import", "torchvision:fashionmnist", "--root", "root")
    assert done.stdout == "wrote 4 files to data/raw\n"
    assert project.path("data/raw/test/T-shirt_top/000000.png").is_file()
    assert not project.path(".variegate").exists()
    shutil.rmtree(project.path("data/raw"))
    dead = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = project.variegate_here("import", "torchvision:CIFAR10", check=False, **dead)
    words = "cannot be had: <urlopen error [Errno 111] Connection refused>"
    assert (done.returncode, done.stderr) == (2, f"error: torchvision:CIFAR10: {words}\n")
    assert list(project.path(".variegate/torchvision").iterdir()) == []


def test_no_sample_and_no_import_takes_the_place_of_images_that_were_not_pulled(
    project: Project,
) -> None:
    project.path("data").mkdir()
    project.path("data/raw.dvc").write_text("outs:\n- md5: 0123.dir\n  path: raw\n")
    for command in (("sample", "digits", "--if-empty"), ("import", "a.zip"), ("run",), ("plan",)):
        done = project.variegate_here(*command, check=False)
        assert (done.returncode, done.stderr) == (
            2,
            "error: data/raw is empty: run dvc pull, or remove data/raw.dvc to begin "
            "with other images\n",
        )


def test_run_on_nothing_says_what_to_do(project: Project) -> None:
    done = project.variegate("run", check=False)
    expected = (
        "error: data/raw is empty: put images there in class folders, or run `variegate "
        "sample digits`\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_run_tells_a_parameter_mistake_before_any_work(digits: Project) -> None:
    digits.set_params(train__epochs=0)
    done = digits.variegate("run", check=False)
    expected = (
        "error: params.yaml train.epochs: input should be greater than or equal to 1, found 0\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_validate_says_what_is_there(finished: Project) -> None:
    done = finished.variegate_here("validate")
    report = finished.path("data/validated/report.html")
    assert done.stdout.splitlines() == [
        "layout           class folders (detected)",
        "images in        18 in 18 files: 18 usable, 0 duplicates, 0 quarantined",
        "quarantined      none",
        "pairs            0 of equal bytes, 0 of equal pixels, 0 that look the same, "
        "0 mirrored, 0 turned",
        "not compared     18 images, for looking the same: see near_duplicates",
        "groups           0",
        "leaks            0",
        "classes          3",
        "  class  usable  train  validation  test",
        "  0           6      4           1     1",
        "  1           6      4           1     1",
        "  2           6      4           1     1",
        "splits           train 12, validation 3, test 3",
        "                 split by content: train 66.7% (wanted 70%), "
        "validation 16.7% (wanted 15%), test 16.7% (wanted 15%); exact",
        "warning          class '0' has 6 usable images, fewer than 10",
        "warning          class '1' has 6 usable images, fewer than 10",
        "warning          class '2' has 6 usable images, fewer than 10",
        "images           `variegate ui`, then /images at its address",
        f"report           {report}",
    ]
    assert done.stderr == ""  # nothing has changed, so nothing was run
    assert json.loads(finished.variegate_here("validate", "--json").stdout)["moved"] == []


def test_validate_prints_each_warning_once(finished: Project) -> None:
    finished.write_digits(per_class=7)
    warnings = [f"class '{label}' has 7 usable images, fewer than 10" for label in "012"]
    ran = finished.variegate_here("validate")
    assert [line for line in ran.stderr.splitlines() if line.startswith("warning")] == [
        f"warning: {text}" for text in warnings
    ]
    assert "warning" not in ran.stdout
    cached = finished.variegate_here("validate")
    assert [line for line in cached.stdout.splitlines() if line.startswith("warning")] == [
        f"warning          {text}" for text in warnings
    ]
    assert cached.stderr == ""


def test_validate_lists_the_images_that_moved(finished: Project) -> None:
    before = pd.read_parquet(finished.path("data/validated/manifest.parquet")).set_index(
        "file_name"
    )["split"]
    finished.set_params(validate__seed=7)
    moved = json.loads(finished.variegate_here("validate", "--json").stdout)["moved"]
    after = pd.read_parquet(finished.path("data/validated/manifest.parquet")).set_index(
        "file_name"
    )["split"]
    assert moved == [
        {"file_name": name, "before": before[name], "after": after[name]}
        for name in sorted(before.index)
        if before[name] != after[name]
    ]
    assert moved


def test_validate_exits_with_1_where_a_check_fails(finished: Project) -> None:
    finished.set_params(validate__checks={"few_images": {"then": "fail"}})
    done = finished.variegate_here("validate", check=False)
    assert done.returncode == 1
    assert "images in        18 in 18 files: 18 usable" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "failed: found what is asked to fail: class '0' has 6 usable images, fewer "
        "than 10, and 2 more; "
        "data/validated/report.html shows it"
    )
    finished.path("data/raw/0/0000.png").unlink()
    finished.set_params(validate__checks={"few_things": {"then": "fail"}})
    done = finished.variegate_here("validate", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: params.yaml validate.checks.few_things")


def test_plan_is_what_augment_then_makes(finished: Project) -> None:
    found = json.loads(finished.variegate_here("plan", "--json").stdout)
    counts = pd.read_csv(finished.path("data/augmented/counts.csv"), dtype={"label": str})
    train = counts[counts["split"] == "train"]
    assert {label: row["variants"] for label, row in found["classes"].items()} == train.groupby(
        "label"
    )["written"].sum().to_dict()
    assert (found["sources"], found["variants"], found["training_images"], found["multiplier"]) == (
        12,
        48,
        60,
        5.0,
    )
    on_disk = sum(
        path.stat().st_size for path in finished.path("data/augmented/segments").iterdir()
    )
    assert found["disk_bytes"] == pytest.approx(on_disk, rel=0.1)
    text = finished.variegate_here("plan").stdout
    assert text.splitlines()[:5] == [
        "class  sources  variants  training  times  distinct",
        "0            4        16        20   5.00        16",
        "1            4        16        20   5.00        16",
        "2            4        16        20   5.00        16",
        "all         12        48        60   5.00        48",
    ]
    assert "capacity   any number of different images of one source" in text


def test_plan_warns_and_says_what_training_sees(finished: Project) -> None:
    finished.set_params(
        augment__policy=["HorizontalFlip", {"InvertImg": {"p": 0.5}}], train__batch_size=59
    )
    found = json.loads(finished.variegate_here("plan", "--json", "--epochs", "5").stdout)
    assert [finding["rule"] for finding in found["lint"]] == [
        "flipped_symbols",
        "too_many_variants",
    ]
    assert len(found["warnings"]) == 2
    training = found["training"]
    assert (training["epochs"], training["batch_size"], training["augmentation"]) == (
        5,
        59,
        "offline",
    )
    assert training["modes"]["offline"] == {
        "stored_images": 60,
        "samples_per_epoch": 60,
        "dropped_per_epoch": 1,
        "presentations": 5 * 59,
        "expected_distinct_seen": 48.0,  # 12 originals and 3 new images of each
    }
    lines = finished.variegate_here("plan", "--epochs", "5").stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert "capacity   one source has at most 4 different images" in lines
    assert ["*", "offline", "60", "60", "1", "295", "about", "48"] in [
        line.split() for line in lines
    ]
    assert sum(line.startswith("warning    ") for line in lines) == 2


def test_plan_knows_the_present_images(finished: Project) -> None:
    finished.write_digits(per_class=7)
    done = finished.variegate_here("plan", "--json")
    assert done.stderr.startswith(
        "what validate depends on is not up to date: running it first\nlayout: class "
        "folders (detected)\n"
    )
    assert json.loads(done.stdout)["sources"] == 15
    finished.set_params(augment__total=100, augment__variants_per_image=None)
    again = finished.variegate_here("plan", "--json")
    assert again.stderr == "" and json.loads(again.stdout)["training_images"] == 100


def test_plan_on_images_that_cannot_be_used_tells_why(finished: Project) -> None:
    shutil.rmtree(finished.path("data/raw/1"))
    shutil.rmtree(finished.path("data/raw/2"))
    done = finished.variegate_here("plan", check=False)
    expected = (
        "error: data/raw: needs usable images of at least 2 classes, found 1, '0' (none "
        "quarantined)"
    )
    assert done.returncode == 2 and done.stderr.splitlines()[-1] == expected


def test_plan_and_counts_tell_of_classes_without_training_images(finished: Project) -> None:
    shutil.rmtree(finished.path("data/raw"))
    for split, classes, skip in (("train", 2, 0), ("val", 3, 6), ("test", 3, 12)):
        finished.write_digits(classes=classes, folder=f"data/raw/{split}", skip=skip)
    found = json.loads(finished.variegate_here("plan", "--json").stdout)["classes"]
    assert {label: row["sources"] for label, row in found.items()} == {"0": 6, "1": 6, "2": 0}
    finished.stages_here("augment")
    counts = pd.read_csv(finished.path("data/augmented/counts.csv"), dtype=str)
    assert {label: row["training_images"] for label, row in counts_by_class(counts).items()} == {
        "0": 30,
        "1": 30,
        "2": 0,
    }


def test_preview_shows_sources_and_variants(finished: Project) -> None:
    arguments = ("--sources", "3", "--variants", "2", "--class", "1", "-o", "sheet.png")
    done = finished.variegate_here("preview", *arguments)
    assert done.stdout == "wrote sheet.png: 3 sources, 6 variants\n"
    assert Image.open(finished.path("sheet.png")).width == GAP + 3 * (CELL + GAP)
    done = finished.variegate_here("preview", "-o", "no/such/sheet.png", check=False)
    expected = "error: no/such/sheet.png: needs an existing folder, no/such is none\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_audit_tells_what_it_can_and_writes_its_page(finished: Project) -> None:
    before = finished.data_hashes()
    found = finished.variegate_here("audit", "--json")
    assert "classes with fewer than 8 training images: '0', '1', '2'\n" in found.stderr
    told = json.loads(found.stdout)
    assert told["labels"] == []
    assert {finding["class"] for finding in told["findings"]} == {"0", "1", "2"}
    assert {finding["verdict"] for finding in told["findings"]} == {"cannot tell"}
    page = finished.path("reports/audit.html")
    page.unlink()
    shown = finished.variegate_here("audit").stdout.splitlines()
    assert shown[-1] == f"report     {page}"
    assert page.is_file() and finished.data_hashes() == before


def test_replay_makes_the_segments_bytes_again(finished: Project) -> None:
    ledger = pd.read_parquet(finished.path("data/augmented/manifest.parquet"))
    row = ledger[ledger["variant_index"] == 3].iloc[0]
    finished.variegate_here("replay", row["variant_id"], "-o", "again.png")
    segment = finished.path(f"data/augmented/segments/{row['segment']}").read_bytes()
    start = int(row["offset"])
    assert finished.path("again.png").read_bytes() == segment[start : start + int(row["length"])]


@pytest.mark.parametrize(
    "variant_id",
    ["nonsense", "abc-v001", "{source_id}-v000", "{source_id}-v005"],
)
def test_replay_of_what_the_ledger_does_not_know_is_one_line(
    variant_id: str, finished: Project
) -> None:
    ledger = pd.read_parquet(finished.path("data/augmented/manifest.parquet"))
    asked = variant_id.format(source_id=ledger["source_id"].iloc[0])
    done = finished.variegate_here("replay", asked, "-o", "x.png", check=False)
    expected = (
        f"error: variant '{asked}': needs an augmented variant's id of "
        "data/augmented/manifest.parquet\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_replay_refuses_another_recipe_and_a_wrong_ending(finished: Project) -> None:
    ledger = pd.read_parquet(finished.path("data/augmented/manifest.parquet"))
    row = ledger[ledger["variant_index"] == 1].iloc[0]
    done = finished.variegate_here("replay", row["variant_id"], "-o", "x.jpg", check=False)
    expected = "error: x.jpg: needs a name that ends in .png, which its bytes are\n"
    assert (done.returncode, done.stderr) == (2, expected)
    finished.set_params(augment__seed=7)
    done = finished.variegate_here("replay", row["variant_id"], "-o", "x.png", check=False)
    assert done.returncode == 2
    was = (
        f"variant '{row['variant_id']}': the ledger's variants were made by recipe "
        f"{row['recipe_hash']}; "
    )
    assert done.stderr.startswith(f"error: {was}params.yaml now says ")
    assert (
        finished.variegate_here("verify", "--remake", "5", check=False).stdout.count(
            "made by recipe"
        )
        == 1
    )


def test_verify_finds_what_differs(finished: Project) -> None:
    done = finished.variegate_here("verify", "--remake", "9")
    assert "remade 9" in done.stdout and "every variant is what the ledger says" in done.stdout
    (segment,) = finished.path("data/augmented/segments").iterdir()
    whole = segment.read_bytes()
    ledger = pd.read_parquet(finished.path("data/augmented/manifest.parquet"))
    second = ledger[ledger["variant_index"] == 2].iloc[0]

    def differences() -> list[str]:
        done = finished.variegate_here("verify", "--json", check=False)
        assert done.returncode == 1
        return json.loads(done.stdout)["differences"]

    flipped = bytearray(whole)
    flipped[int(second["offset"]) + 5] ^= 1
    segment.unlink()
    segment.write_bytes(flipped)
    assert differences() == [f"{segment.name}: {second['variant_id']} has other bytes"]
    segment.write_bytes(whole[:-1] + b"x")  # after the last image
    assert differences() == [f"{segment.name}: bytes between the images differ"]
    segment.write_bytes(whole)
    counts = finished.path("data/augmented/counts.csv")
    lines = counts.read_text().splitlines(keepends=True)
    (lost,) = [n for n, line in enumerate(lines) if line.startswith(second["source_id"])]
    counts.unlink()
    counts.write_text("".join(lines[:lost] + lines[lost + 1 :]))
    assert differences() == [
        f"counts.csv: {second['source_id']} does not reconcile with the ledger"
    ]
    counts.write_text("".join(lines))
    original = finished.path("data/raw/0/0000.png")
    kept = original.read_bytes()
    original.unlink()
    assert [line.partition(": ")[2] for line in differences()] in (
        ["data/raw/0/0000.png: No such file or directory"],
        [],
    )
    original.write_bytes(kept)
    shutil.copy(segment, segment.with_name("more.tar"))
    assert differences() == ["more.tar: not in the ledger"]
    segment.with_name("more.tar").unlink()
    segment.unlink()
    (found,) = differences()
    assert found.startswith(f"{segment.name}: cannot be read: ")


def test_doctor_says_what_is_wrong_and_how_to_mend_it(digits: Project) -> None:
    digits.run("git", "init", "-q")
    forget_proxies(digits)
    found = {row["what"]: row for row in json.loads(digits.variegate("doctor", "--json").stdout)}
    assert all(row["ok"] for row in found.values()), found
    assert set(found) == {
        "python", "environment", "git", "device", "home", "cache links", "private cache",
        "parameters", "raw data", "remote", "proxy", "server",
    }  # fmt: skip
    digits.set_params(augment__policy=["Flop"])
    lock = digits.path("requirements/pixels.txt")
    lock.write_text(lock.read_text().replace("numpy==", "numpy==9"))
    done = digits.variegate("doctor", check=False, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 1
    assert done.stdout.count("BAD") == 3
    assert "Flop: unknown transform" in done.stdout and "not ==9" in done.stdout


def test_doctor_itself_needs_neither_git_nor_a_home_nor_a_proxy_that_works(
    digits: Project,
) -> None:
    variegate = shutil.which("variegate")
    assert variegate is not None
    digits.path("bin").mkdir()
    digits.path("bin/variegate").symlink_to(variegate)
    forget_proxies(digits)
    done = digits.variegate(
        "doctor",
        "--json",
        check=False,
        PATH=str(digits.path("bin")),
        HOME="/proc/nowhere",  # where even root cannot write
        ALL_PROXY="gopher://nowhere",  # which httpx does not know
        PREFECT_API_URL="http://127.0.0.1:9/api",
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    wrong = {row["what"] for row in json.loads(done.stdout) if not row["ok"]}
    assert wrong == {"python", "git", "home", "proxy", "server"}


def forget_proxies(project: Project) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        project.environment.pop(name, None)
        project.environment.pop(name.lower(), None)


def test_a_link_to_a_file_outside_is_refused_before_dvc_takes_it(finished: Project) -> None:
    outside = finished.path("outside.png")
    finished.path("data/raw/0/0000.png").rename(outside)
    finished.path("data/raw/0/0000.png").symlink_to(outside)
    mode = outside.stat().st_mode
    done = finished.variegate("run", check=False)
    expected = (
        f"error: data/raw/0/0000.png: needs to be a file, found a link to {outside}; copy "
        "it instead\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)
    assert outside.stat().st_mode == mode


def test_an_unknown_stage_is_told_before_any_work(finished: Project) -> None:
    done = finished.variegate("run", "--until", "polish", check=False)
    expected = (
        "error: --until polish: needs a stage of dvc.yaml: ingest, validate, augment, "
        "train, evaluate\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_wrong_network_is_told_before_any_work(finished: Project) -> None:
    finished.set_params(train__model="resnet19")
    done = finished.variegate("run", check=False)
    expected = (
        "params.yaml train.model: needs small_cnn, efficientnet_lite0 or one of torchvision's "
        "classifiers, found 'resnet19'"
    )
    assert (done.returncode, done.stderr) == (2, f"error: {expected}\n")
    assert finished.path("models/model.json").is_file()


def test_a_server_that_does_not_answer_is_one_line(digits: Project) -> None:
    done = digits.variegate("run", check=False, PREFECT_API_URL="http://127.0.0.1:9/api")
    need = (
        "needs a Prefect server that answers, as http://127.0.0.1:4200/api: `variegate "
        "ui`, or unset it"
    )
    expected = (
        f"error: PREFECT_API_URL http://127.0.0.1:9/api: {need}; found: [Errno 111] "
        "Connection refused\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_the_debug_switch_shows_the_traceback(project: Project) -> None:
    done = project.variegate("--debug", "run", check=False)
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_nothing_imports_prefect_that_does_not_need_it() -> None:
    modules = "flows.cli, flows.run.child, tasks.augment.__main__"
    assert imported(f"import {modules}", {"prefect"}) == set()


def test_help_imports_nothing_that_takes_seconds(project: Project) -> None:
    show_help = "sys.argv = ['variegate', '--help']; flows.cli.main()"
    slow = {"numpy", "pandas", "pyarrow", "torch", "prefect", "dvc", "pydantic", "httpx", "tqdm"}
    assert imported(f"import flows.cli; {show_help}", slow) == set()


def imported(code: str, names: set[str]) -> set[str]:
    """Which of these modules a process has imported when it ends after running `code`."""
    report = f"print('imported', *{names} & set(sys.modules))"
    script = f"import atexit, sys; atexit.register(lambda: {report}); {code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_ctrl_c_within_a_command_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    app = typer.Typer()
    app.command()(interrupted)
    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(sys, "argv", ["variegate"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == f"{cli.INTERRUPTED}\n"
