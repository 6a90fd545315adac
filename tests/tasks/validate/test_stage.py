import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks.common import tables
from tasks.dataset.clutter import is_clutter
from tasks.dataset.columns import INGESTED_COLUMNS, REASONS
from tasks.dataset.paths import INGESTED_MANIFEST
from tasks.pixels import hashing
from tasks.pixels.encode import encode
from tasks.validate import measure
from tasks.validate.__main__ import validate as run
from tasks.validate.params import ValidateParams
from tasks.validate.related import lineage
from tests.conftest import Project
from tests.tasks.pixels.test_odd_images import ROWS, expected_reason
from tests.tasks.validate.related.test_near_duplicates import photo


def validated(project: Project) -> pd.DataFrame:
    project.stages_here("ingest", "validate")
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
    assert set(set_aside["reason"]) <= set(REASONS)
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


def test_images_outside_split_folders_are_quarantined(project: Project) -> None:
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


def test_a_class_without_images_in_a_split_is_a_warning(digits: Project) -> None:
    shutil.copytree(digits.path("data/raw/0"), digits.path("data/raw/lonely"))
    for path in sorted(digits.path("data/raw/lonely").iterdir()):
        pixels = np.asarray(Image.open(path))
        path.unlink()
        if path.name == "0000.png":
            Image.fromarray(255 - pixels).save(path)
    said = digits.stages_here("ingest", "validate")
    assert "warning: class 'lonely' has no validation image (1 in all)\n" in said
    assert "warning: class 'lonely' has no test image (1 in all)\n" in said


def test_one_class_alone_is_one_line(project: Project) -> None:
    project.write_digits(classes=1)
    project.path("data/raw/0/x.png").write_bytes(b"no")
    project.stages_here("ingest")
    done = project.stage("validate", check=False)
    assert done.returncode == 2
    expected = (
        "error: data/raw: needs usable images of at least 2 classes, "
        "found 1, '0' (1 not_an_image)\n"
    )
    assert done.stderr == expected
    assert not project.path("data/validated/manifest.parquet").exists()
    assert "x.png" in project.path("data/validated/report.html").read_text()  # which shows why


def test_a_file_that_changes_after_ingest_is_one_line(digits: Project) -> None:
    digits.stages_here("ingest")
    digits.path("data/raw/0/0000.png").write_bytes(b"other")
    done = digits.stage("validate", check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: data/raw/0/0000.png: changed while it was read; run again\n",
    )


def test_without_ingest_the_error_says_what_to_run(project: Project) -> None:
    done = project.stage("validate", check=False)
    expected = (
        "error: data/ingested/manifest.parquet: not found; "
        "the ingest stage makes it: run `variegate run --until ingest`\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_the_real_odd_images_are_all_accounted_for(project: Project) -> None:
    """Expected of each file, by its table and its bytes, against what it got."""
    odd = Path(__file__).parents[4] / "shared/data/odd-images"
    if not odd.is_dir():
        pytest.skip("needs the odd images beside the project")
    project.write_digits()
    project.set_params(ingest__layout="class_folders")  # else their table is one of labels
    shutil.copytree(odd, project.path("data/raw/odd"))
    rows = validated(project)
    listed = [row for row in ROWS if not is_clutter(row["path"])]
    assert len(rows) == 18 + len(listed) + 3  # two licences and the table
    assert (rows["status"].isin(["ok", "duplicate"]) == rows["reason"].isna()).all()
    expected = {f"odd/{row['path']}": expected_reason(row) for row in listed}
    got = rows["reason"].astype(object).where(rows["reason"].notna(), None)
    assert {name: got[name] for name in expected} == expected
    assert (
        rows.loc[["odd/LICENSE.pillow", "odd/table.csv"], "reason"].tolist() == ["not_an_image"] * 2
    )
    assert rows.loc[rows["status"] == "quarantined", "detail"].notna().all()
    for _, copies in rows[rows["status"] != "quarantined"].groupby("pixel_sha256"):
        assert sorted(copies["status"]) == ["duplicate"] * (len(copies) - 1) + ["ok"]


def test_16_bits_that_differ_below_the_8th_are_no_duplicates(project: Project) -> None:
    for number in range(20):
        path = project.path(f"data/raw/{'ab'[number % 2]}/{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        dark = np.random.default_rng(number).integers(0, 256, (9, 9), dtype=np.uint16)
        path.write_bytes(encode(dark, "png"))
    assert "ok 20, duplicate 0, quarantined 0" in project.stages_here("ingest", "validate")


def test_a_digit_pattern_groups_and_no_group_is_parted(project: Project) -> None:
    project.write_digits(per_class=40)
    for number, path in enumerate(sorted(project.path("data/raw").rglob("*.png"))):
        path.rename(path.with_name(f"patient{number % 30:02d}_{path.name}"))
    project.set_params(ingest__group_pattern="patient(\\d+)", validate__stratify="stable")
    rows = validated(project)
    assert rows["group_id"].nunique() == 30
    assert (rows.groupby("group_id")["split"].nunique() == 1).all()
    assert rows["split"].nunique() == 3


def leaky(project: Project) -> None:
    """Class folders in split folders; a group and an image's copy are in both train and test."""
    for split, skip in (("train", 0), ("val", 6), ("test", 12)):
        project.write_digits(folder=f"data/raw/{split}", skip=skip)
    raw = project.path("data/raw")
    for name in ("train/0/group1_a.png", "test/1/group1_b.png"):
        first = sorted((raw / name).parent.iterdir())[0]
        first.rename(raw / name)
    shutil.copy(sorted((raw / "test/2").iterdir())[0], raw / "train/2/copy.png")
    project.set_params(ingest__group_pattern="group\\d+")


def test_leaks_of_a_given_split_are_dropped_from_train(project: Project) -> None:
    leaky(project)
    rows = validated(project)
    assert rows.loc["train/0/group1_a.png", ["status", "reason", "detail"]].tolist() == [
        "quarantined",
        "leak",
        "belongs together with test/1/group1_b.png",
    ]
    assert rows.loc["train/2/copy.png", "status"] == "duplicate"
    assert rows.loc["test/1/group1_b.png", "split"] == "test"
    found = json.loads(project.path("metrics/validate.json").read_text())
    assert found["leaks"] == 2
    listed = pd.read_csv(project.path("data/validated/duplicates.csv"))
    pairs = listed[["kind", "file_name", "status", "other"]].to_numpy().tolist()
    assert ["group", "train/0/group1_a.png", "leak", "test/1/group1_b.png"] in pairs and len(
        pairs
    ) == 2
    assert (
        "leaks, images that belong together with one of another split: 2, left out"
        in found["warnings"]
    )
    assert len(rows) == 3 * 18 + 1


def test_copies_of_what_leaks_leak_too(project: Project) -> None:
    leaky(project)
    shutil.copy(
        project.path("data/raw/train/0/group1_a.png"), project.path("data/raw/train/0/z.png")
    )
    rows = validated(project)
    assert rows.loc[["train/0/group1_a.png", "train/0/z.png"], "reason"].tolist() == [
        "leak",
        "leak",
    ]
    originals = rows.loc[rows["status"] == "duplicate", "duplicate_of"]
    assert (rows.loc[originals, "status"] == "ok").all()


def test_leaks_may_be_reported_alone_or_fail(project: Project) -> None:
    leaky(project)
    project.set_params(validate__on_leak="report")
    rows = validated(project)
    assert rows.loc["train/0/group1_a.png", "split"] == "train"
    project.set_params(validate__on_leak="fail")
    done = project.stage("validate", check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "failed: found what is asked to fail: 2 images leak from one split into another, "
        "train/0/group1_a.png (train) with test/1/group1_b.png (test) for one; "
        "data/validated/report.html shows it\n"
    )
    assert project.path("data/validated/manifest.parquet").is_file()


@pytest.mark.parametrize("check", ["fail", {"then": "fail", "threshold": 10}])
def test_a_check_that_is_asked_to_fails_the_stage(check: object, digits: Project) -> None:
    digits.set_params(validate__checks={"few_images": check})
    digits.stages_here("ingest")
    done = digits.stage("validate", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "failed: found what is asked to fail: class '0' has 6 usable images, fewer than 10, "
        "and 2 more; data/validated/report.html shows it\n",
    )


def test_no_lineage_crosses_splits_variants_included(project: Project) -> None:
    """Groups, copies and re-encoded photos; by the manifest and by the ledger of variants."""
    photos(project, 40)
    raw = project.path("data/raw")
    for number in range(0, 20, 2):
        again = Image.open(raw / f"{'ab'[number % 2]}/{number:02d}_g{number % 7}.png")
        again.save(raw / f"a/again{number}.jpg", quality=60)
    project.set_params(
        ingest__group_pattern="_g(\\d)", validate__stratify="exact", augment__variants_per_image=2
    )
    rows = validated(project)
    assert rows["cluster"].nunique() == 10
    lineages = lineage.find_lineages(rows.reset_index())
    usable = (rows["status"] == "ok").to_numpy()
    splits = rows["split"].groupby(lineages).agg(lambda found: set(found.dropna()))
    assert all(len(found) == 1 for found in splits) and usable.all()
    project.stages_here("augment")
    ledger = pd.read_parquet(project.path("data/augmented/manifest.parquet"))
    assert set(ledger["split"]) == {"train"}
    of_source = dict(zip(rows["source_id"], lineages, strict=True))
    held_out = {
        of_source[source_id] for source_id in rows.loc[rows["split"] != "train", "source_id"]
    }
    assert not held_out & {of_source[source_id] for source_id in ledger["source_id"]}


def photos(project: Project, count: int) -> None:
    for number in range(count):
        path = project.path(f"data/raw/{'ab'[number % 2]}/{number:02d}_g{number % 7}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(number, (96, 80)).save(path)


def test_near_duplicates_of_two_labels_are_listed_and_stay(project: Project) -> None:
    photos(project, 20)
    Image.open(project.path("data/raw/a/00_g0.png")).save(
        project.path("data/raw/b/again.jpg"), quality=60
    )
    rows = validated(project)
    assert rows.loc["b/again.jpg", "status"] == "ok"
    listed = pd.read_csv(project.path("data/validated/duplicates.csv"))
    (pair,) = listed.astype(object).where(listed.notna(), None).to_dict("records")
    assert pair == {
        "kind": "near", "file_name": "a/00_g0.png", "label": "a", "split": None, "status": "ok",
        "other": "b/again.jpg", "other_label": "b", "other_split": None, "other_status": "ok",
    }  # fmt: skip
    warnings = json.loads(project.path("metrics/validate.json").read_text())["warnings"]
    assert (
        "pairs that look the same and have two labels: 1, a/00_g0.png and b/again.jpg for one"
        in warnings
    )
    page = project.path("data/validated/report.html").read_text()
    assert "Look the same, and have two labels" in page and page.count("data:image/") == 2
    assert "<p>1 pair.</p>" in page and "</b>pair looks the same<" in page


def test_the_page_escapes_names_and_loads_nothing(digits: Project) -> None:
    raw = digits.path("data/raw")
    shutil.copytree(raw / "0", raw / "<script>alert(1)<")
    validated(digits)
    page = digits.path("data/validated/report.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;" in page
    assert "http" not in page and not re.findall(r"""src=["'](?!data:)""", page)
    links = set(re.findall(r"""href=["']([^"']+)""", page))
    assert "/class?name=%3Cscript%3Ealert%281%29%3C" in links
    assert "/image?file=0%2F0000.png" in links
    assert "/images?status=quarantined&amp;reason=label_conflict" in links


def test_the_page_says_in_words_which_files_cannot_be_shown(digits: Project) -> None:
    digits.path("data/raw/0/broken.png").write_bytes(b"GIF89a")
    validated(digits)
    page = digits.path("data/validated/report.html").read_text()
    shown = page.partition("0/broken.png")[0].rpartition("<figure>")[2]
    assert shown.startswith('<div class="none">This file cannot be shown.</div>')


def test_only_what_changed_is_decoded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write_digits()
    first = validated(project)
    one = project.path("data/raw/0/0000.png")
    Image.fromarray(255 - np.asarray(Image.open(one))).save(one)
    shutil.move(project.path("data/raw/1/0001.png"), project.path("data/raw/1/renamed.png"))
    project.stages_here("ingest")
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    decoded: list[str] = []
    real_measure = measure.measure_pixels
    monkeypatch.setattr(
        measure,
        "measure_pixels",
        lambda sha256, found: (decoded.append(sha256), real_measure(sha256, found))[1],
    )
    project.environment["VARIEGATE_CACHE"] = str(project.path("other"))
    listed = tables.read_table(INGESTED_MANIFEST, INGESTED_COLUMNS, made_by="ingest")
    second = run(listed, ValidateParams(stratify="exact")).rows.set_index("file_name")
    assert decoded == [hashing.sha256(one.read_bytes())]
    for name in ("ingest", "validate"):
        project.stage(name)  # in processes of their own: what they decode is not counted
    cold = pd.read_parquet(project.path("data/validated/manifest.parquet")).set_index("file_name")
    assert decoded == decoded[:1]
    assert (cold["pixel_sha256"] == second["pixel_sha256"].astype(str)).all()
    assert cold["split"].to_dict() == second["split"].to_dict()
    assert len(first) == len(cold)
