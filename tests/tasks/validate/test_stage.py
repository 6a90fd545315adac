import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks import images, validate
from tests.conftest import Project


def validated(project: Project) -> pd.DataFrame:
    project.stage("ingest")
    project.stage("validate")
    return pd.read_parquet(project.path("data/validated/manifest.parquet")).set_index("file_name")


def test_every_file_leaves_with_one_status_and_its_reason(digits: Project) -> None:
    raw = digits.path("data/raw")
    (raw / "0/empty.png").write_bytes(b"")
    (raw / "0/text.jpg").write_text("I am no image")
    (raw / "1/half.png").write_bytes((raw / "1/0001.png").read_bytes()[:60])
    (raw / "README.md").write_text("hello")
    shutil.copy(raw / "0/0000.png", raw / "astray.png")
    (raw / "2/broken.png").symlink_to("nowhere")
    rows = validated(digits)
    assert len(rows) == 18 + 6
    set_aside = rows[rows["status"] == "quarantined"]
    assert set_aside["reason"].to_dict() == {
        "0/empty.png": "not_an_image",
        "0/text.jpg": "not_an_image",
        "1/half.png": "corrupt",
        "2/broken.png": "unreadable",
        "README.md": "not_an_image",
        "astray.png": "no_label",
    }
    assert set(set_aside["reason"]) <= set(validate.REASONS)
    assert set_aside["split"].isna().all()
    listed = pd.read_csv(digits.path("data/validated/quarantine.csv"))
    assert sorted(listed["file_name"]) == sorted(set_aside.index)


def test_duplicates_by_pixels_keep_the_copy_in_test(project: Project) -> None:
    project.write_digits(per_class=5, folder="data/raw/train")
    raw = project.path("data/raw")
    for label in "012":
        shutil.copytree(raw / "train" / label, raw / "test" / label)
        shutil.copytree(raw / "train" / label, raw / "val" / label)
        for number, path in enumerate(sorted((raw / "train" / label).iterdir())):
            keep = ["train", "train", "train", "val", "test"][number]
            for split in {"train", "val", "test"} - {keep}:
                (raw / split / label / path.name).unlink()
    name = sorted((raw / "test/0").iterdir())[0].name
    Image.open(raw / "test/0" / name).save(raw / "train/0/again.bmp")  # other bytes, equal pixels
    rows = validated(project)
    assert rows["status"].value_counts().to_dict() == {"ok": 15, "duplicate": 1}
    assert rows.loc["train/0/again.bmp", "duplicate_of"] == f"test/0/{name}"
    assert rows.loc[f"test/0/{name}", "split"] == "test"


def test_beside_split_folders_nothing_is_without_a_split(project: Project) -> None:
    for split in ("train", "val", "test", "extra"):
        project.write_digits(per_class=3, folder=f"data/raw/{split}")
    for number, path in enumerate(sorted(project.path("data/raw").rglob("*.png"))):
        pixels = np.asarray(Image.open(path)).copy()
        pixels[0, 0] = number  # no two alike
        Image.fromarray(pixels).save(path)
    project.set_params(ingest__layout="split_folders")
    rows = validated(project)
    astray = rows[rows.index.str.startswith("extra/")]
    assert set(astray["status"]) == {"quarantined"} and set(astray["reason"]) == {"no_split"}
    assert rows.loc[rows["status"] == "ok", "split"].notna().all()


def test_a_class_with_one_image_is_told(digits: Project) -> None:
    shutil.copytree(digits.path("data/raw/0"), digits.path("data/raw/lonely"))
    for path in sorted(digits.path("data/raw/lonely").iterdir()):
        pixels = np.asarray(Image.open(path))
        path.unlink()
        if path.name == "0000.png":
            Image.fromarray(255 - pixels).save(path)
    digits.stage("ingest")
    done = digits.stage("validate")
    assert "warning: class 'lonely' has no validation image (1 in all)\n" in done.stdout
    assert "warning: class 'lonely' has no test image (1 in all)\n" in done.stdout


def test_one_class_alone_is_one_line(project: Project) -> None:
    project.write_digits(classes=1)
    project.path("data/raw/0/x.png").write_bytes(b"no")
    project.stage("ingest")
    done = project.stage("validate", check=False)
    assert done.returncode == 2
    expected = "error: data/raw: needs usable images of at least 2 classes, found 1 (1 not_an_image)\n"
    assert done.stderr == expected
    assert not project.path("data/validated/manifest.parquet").exists()


def test_a_file_that_changes_after_ingest_is_one_line(digits: Project) -> None:
    digits.stage("ingest")
    digits.path("data/raw/0/0000.png").write_bytes(b"other")
    done = digits.stage("validate", check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: data/raw/0/0000.png: changed while it was read; run again\n",
    )


def test_without_ingest_the_way_is_told(project: Project) -> None:
    done = project.stage("validate", check=False)
    expected = (
        "error: data/ingested/manifest.parquet: not found; "
        "the ingest stage makes it: run `variegate run --until ingest`\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_the_real_odd_images_are_all_accounted_for(project: Project) -> None:
    odd = Path(__file__).parents[3] / "shared/data/odd-images"
    if not odd.is_dir():
        pytest.skip("needs the odd images beside the project")
    table = pd.read_csv(odd / "table.csv")
    project.write_digits()
    shutil.copytree(odd, project.path("data/raw/odd"))
    rows = validated(project)
    assert len(rows) == 18 + sum(path.is_file() for path in odd.rglob("*"))
    assert set(rows["status"]) <= {"ok", "duplicate", "quarantined"}
    assert len(table) == 200


def test_16_bits_that_differ_below_the_8th_are_no_duplicates(project: Project) -> None:
    for number in range(20):
        path = project.path(f"data/raw/{'ab'[number % 2]}/{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        dark = np.random.default_rng(number).integers(0, 256, (9, 9), dtype=np.uint16)
        path.write_bytes(images.encode(dark, "png"))
    project.stage("ingest")
    assert "ok 20, duplicate 0, quarantined 0" in project.stage("validate").stdout
