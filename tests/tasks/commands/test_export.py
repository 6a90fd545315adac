"""Exports read back by the tools they are for; killed, repeated and refused."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tasks.commands import export_layouts
from tasks.commands.export import export
from tasks.common.errors import UserError
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.pixels.hashing import sha256
from tests.conftest import Project, fill
from tests.tasks.augment.test_stage import run_data_stages

KILLED = """
import os, signal, sys
from pathlib import Path
from tasks.commands import export, export_layouts
from tasks.dataset.manifests import read_ledger, read_validated
export_layouts.SHARD_SAMPLES = 10
read, reads = export_layouts.read_bytes, 0
def read_until_killed(row):
    global reads
    reads += 1
    if reads == 25:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(row)
export_layouts.read_bytes = read_until_killed
export.export(read_validated(), read_ledger(), Path("out"), sys.argv[1])
"""


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """18 digits as PNG, a JPEG without extension and a PNG called .jpeg, with their variants."""
    project = fill(tmp_path_factory.mktemp("made"))
    project.write_digits()
    for number, (name, kind) in enumerate((("1/photo", "jpeg"), ("2/picture.jpeg", "png"))):
        Image.new("L", (8, 8), 50 * number).save(project.path("data/raw") / name, kind)
    run_data_stages(project)
    return project


@pytest.fixture
def made(made_once: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    shutil.copytree(made_once.root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def run_export(folder: str, kind: str) -> dict:
    return export(read_validated(), read_ledger(), Path(folder), kind)


def tree(folder: str) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): sha256(p.read_bytes())
        for p in Path(folder).rglob("*")
        if p.is_file()
    }


def expected_counts() -> dict[tuple[str, str], int]:
    """Images of each split and class, from the manifests alone."""
    rows = read_validated()
    others = rows[(rows["status"] == "ok") & (rows["split"] != "train")]
    written = read_ledger().query("status == 'written'")
    return pd.concat([others, written]).groupby(["split", "label"]).size().to_dict()


def test_torchvision_reads_the_image_folder(made: Project) -> None:
    from torchvision.datasets import ImageFolder

    before = tree("data")
    found = run_export("out", "imagefolder")
    assert tree("data") == before
    counts = {}
    for split in ("train", "validation", "test"):
        folder = ImageFolder(f"out/{split}")
        assert len([image.size for image, _ in folder]) == len(folder)
        labels = pd.Series([folder.classes[target] for target in folder.targets])
        counts |= {(split, label): count for label, count in labels.value_counts().items()}
    assert counts == expected_counts()
    listed = pd.read_parquet("out/manifest.parquet")
    assert found == {
        "format": "imagefolder",
        "images": len(listed),
        "classes": 3,
        "splits": listed["split"].value_counts().sort_index().to_dict(),
        "files": len(listed),
        "kept": 0,
        "bytes": sum(Path("out", name).stat().st_size for name in listed["file"]),
    }
    assert tree("out") == {
        **dict(zip(listed["file"], listed["sha256"], strict=True)),
        "manifest.parquet": sha256(Path("out/manifest.parquet").read_bytes()),
    }
    for row in listed[listed["variant_index"] == 0].itertuples():
        path = Path("out", row.file)
        assert path.stat().st_nlink == 1  # a copy
        assert path.suffix == {"JPEG": ".jpg", "PNG": ".png"}[Image.open(path).format]
    sources = dict(zip(listed["variant_id"], listed["sha256"], strict=True))
    rows = read_ledger()
    assert sources.items() >= set(zip(rows["variant_id"], rows["sha256"], strict=True))


def test_webdataset_reads_the_shards(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import webdataset

    monkeypatch.setattr(export_layouts, "SHARD_SAMPLES", 32)
    found = run_export("out", "webdataset")
    listed = pd.read_parquet("out/manifest.parquet").set_index("variant_id")
    classes = json.loads(Path("out/classes.json").read_text())
    shards = sorted(str(path) for path in Path("out").glob("*.tar"))
    assert found["shards"] == len(shards) and "out/train-000001.tar" in shards
    counts: dict[tuple[str, str], int] = {}
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        row = listed.loc[sample["__key__"]]
        (data,) = [sample[name] for name in ("jpg", "png") if name in sample]
        label = classes[int(sample["cls"])]
        assert (sha256(data), label, int(sample["cls"])) == (
            row["sha256"],
            row["label"],
            row["class_index"],
        )
        assert Path(sample["__url__"]).name == row["file"]
        counts[row["split"], label] = counts.get((row["split"], label), 0) + 1
    assert counts == expected_counts()
    train = listed[listed["split"] == "train"]
    assert not train["label"].is_monotonic_increasing and train["sha256"].is_monotonic_increasing
    run_export("again", "webdataset")
    assert tree("again") == tree("out")


def test_a_shard_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_layouts, "SHARD_BYTES", 100)
    monkeypatch.setattr(export_layouts, "SHARD_SAMPLES", 3)
    assert export_layouts.shard_numbers([60, 40, 1, 1, 1, 1, 300, 99, 2]) == [
        0,
        0,
        1,
        1,
        1,
        2,
        3,
        4,
        5,
    ]


@pytest.mark.parametrize("kind", ["imagefolder", "webdataset"])
def test_a_killed_export_goes_on_and_ends_as_a_fresh_one(
    kind: str, made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_layouts, "SHARD_SAMPLES", 10)
    assert made.run(sys.executable, "-c", KILLED, kind, check=False).returncode == -signal.SIGKILL
    assert not Path("out/manifest.parquet").exists()
    assert list(Path("out").rglob(".*.tmp")) or kind == "imagefolder"
    assert run_export("out", kind)["kept"] == {"imagefolder": 24, "webdataset": 3}[kind]
    run_export("fresh", kind)
    assert tree("out") == tree("fresh")
    damaged = sorted(path for path in Path("out").rglob("*") if path.suffix in (".png", ".tar"))[0]
    data = bytearray(damaged.read_bytes())
    data[60 if kind == "imagefolder" else 600] ^= 1
    damaged.write_bytes(data)
    again = run_export("out", kind)
    assert again["kept"] == again.get("files", again.get("shards")) - 1
    assert tree("out") == tree("fresh")


def test_after_a_change_it_ends_as_a_fresh_one(made: Project) -> None:
    run_export("out", "imagefolder")
    shutil.rmtree("data/raw/2")
    made.path("data/raw/0/0000.png").rename(made.path("data/raw/1/zero.png"))
    made.set_params(augment__variants_per_image=0)
    run_data_stages(made)
    found = run_export("out", "imagefolder")
    run_export("fresh", "imagefolder")
    assert tree("out") == tree("fresh") and not Path("out/train/2").exists()
    assert 0 < found["kept"] < found["files"]
    run_export("out", "webdataset")
    run_export("shards", "webdataset")
    assert tree("out") == tree("shards") and not Path("out/train").exists()


def test_what_it_refuses(made: Project) -> None:
    def refused(folder: str = "out", kind: str = "imagefolder") -> str:
        with pytest.raises(UserError) as error:
            run_export(folder, kind)
        return str(error.value)

    assert refused(kind="zip") == "--format zip: needs one of imagefolder, webdataset"
    assert (
        refused("data/raw/out")
        == "data/raw/out: needs a folder outside data, which the pipeline owns"
    )
    assert refused("params.yaml") == "params.yaml: needs a folder, found a file"
    Path("mine").mkdir()
    Path("mine/train-000000.tar").write_bytes(b"mine")
    expected = "mine: needs to be empty or an earlier export, found 'train-000000.tar'"
    assert refused("mine", "webdataset") == expected and tree("mine").keys() == {"train-000000.tar"}
    run_export("out", "imagefolder")
    before = tree("out")
    Path("out/train/0/note.txt").write_text("mine")
    assert refused() == "out: needs to be empty or an earlier export, found 'train/0/note.txt'"
    assert tree("out") == before | {"train/0/note.txt": sha256(b"mine")}
    (segment,) = Path("data/augmented/segments").iterdir()
    row = read_ledger().query("variant_index == 2").iloc[0]
    data = bytearray(segment.read_bytes())
    data[int(row["offset"]) + 9] ^= 1
    segment.unlink()
    segment.write_bytes(data)
    says = "has other bytes than the manifests say; `variegate verify` tells more"
    assert refused("new", "webdataset") == f"{segment}: {row['variant_id']} {says}"
    rows = read_validated()
    rows.loc[rows["split"] == "train", "label"] = ".."
    with pytest.raises(
        UserError, match=r"needs to be made from data/validated/manifest.parquet, which has other"
    ):
        export(rows, read_ledger(), Path("new"), "imagefolder")
    with pytest.raises(
        UserError, match=r"^class '\.\.': cannot be a folder; needs --format webdataset$"
    ):
        export(rows, read_ledger().assign(label=".."), Path("new"), "imagefolder")


@pytest.mark.parametrize("name", ["manifest.parquet", "unfinished.parquet"])
def test_a_damaged_manifest_of_an_earlier_export_is_said_to_be_that(
    name: str, made: Project
) -> None:
    run_export("out", "webdataset")
    Path("out/manifest.parquet").unlink()
    Path("out", name).write_bytes(b"PAR1 damaged")
    before = tree("out")
    with pytest.raises(UserError) as caught:
        run_export("out", "webdataset")
    assert str(caught.value) == (
        f"out/{name}: is damaged, and only it says which files an earlier export wrote; "
        "delete out or export into an empty folder"
    )
    assert tree("out") == before


def test_the_command(made: Project) -> None:
    done = made.variegate("export", "out", "--format", "webdataset", "--json")
    assert json.loads(done.stdout)["shards"] == 3
    said = made.variegate("export", "out", "--format", "webdataset").stdout
    assert said.startswith("wrote out: ") and "3 classes (test " in said
    shutil.rmtree(made.path("data/augmented"))
    done = made.variegate("export", "out", "--format", "webdataset", check=False)
    need = "the augment stage makes it: run `variegate run --until augment`"
    assert (done.returncode, done.stderr) == (
        2,
        f"error: data/augmented/manifest.parquet: not found; {need}\n",
    )
