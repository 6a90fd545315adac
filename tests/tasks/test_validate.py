import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks import images, validate
from tests.conftest import Project

FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}


def validated(project: Project) -> pd.DataFrame:
    project.stage("ingest")
    project.stage("validate")
    return pd.read_parquet(project.path("data/validated/manifest.parquet")).set_index("file_name")


def rows_of(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    """Rows (file name, pixels, label, split found) as they are before duplicates are marked."""
    table = pd.DataFrame(rows, columns=["file_name", "pixel_sha256", "label", "split"]).astype(object)
    return table.assign(status="ok", reason=None, duplicate_of=None, sha256=table["pixel_sha256"])


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


def test_of_copies_the_first_in_test_then_validation_then_train_stays() -> None:
    rows = rows_of(
        ("a", "x", "cat", "train"),
        ("b", "x", "cat", "test"),
        ("c", "x", "cat", "test"),
        ("d", "x", "cat", "validation"),
    )
    validate.mark_duplicates(rows)
    assert rows["status"].tolist() == ["duplicate", "ok", "duplicate", "duplicate"]
    assert rows["duplicate_of"].tolist() == ["b", None, "b", "b"]


def test_equal_pixels_under_two_labels_are_all_quarantined() -> None:
    rows = rows_of(("a", "x", "cat", None), ("b", "x", "dog", None), ("c", "x", "cat", None), ("d", "y", "dog", None))
    validate.mark_duplicates(rows)
    assert rows["status"].tolist() == ["quarantined"] * 3 + ["ok"]
    assert rows["reason"].tolist() == ["label_conflict"] * 3 + [None]


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50), st.data())
def test_a_stable_split_asks_nothing_but_the_image_itself(hashes: list[float], data: st.DataObject) -> None:
    whole = validate.stable_split(pd.Series(hashes), FRACTIONS)
    kept = data.draw(st.lists(st.sampled_from(range(len(hashes))), unique=True))
    part = validate.stable_split(pd.Series(hashes)[kept], FRACTIONS)
    assert part.tolist() == whole[kept].tolist()


def test_a_stable_split_cuts_at_the_fractions() -> None:
    hashes = pd.Series([0.0, 0.6999, 0.7001, 0.8499, 0.8501, 0.9999])
    assert validate.stable_split(hashes, FRACTIONS).tolist() == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    many = pd.Series([validate.split_hash(42, str(number)) for number in range(20_000)])
    shares = validate.stable_split(many, FRACTIONS).value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx(FRACTIONS, abs=0.01)


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_an_exact_split_is_within_one_image_of_the_fractions_in_each_class(labels: list[str], random: object) -> None:
    hashes = pd.Series([random.random() for _ in labels])  # type: ignore[attr-defined]
    splits = validate.exact_split(hashes, pd.Series(labels), FRACTIONS)
    for label in set(labels):
        own = splits[pd.Series(labels) == label]
        for split, fraction in FRACTIONS.items():
            assert abs((own == split).sum() - fraction * len(own)) <= 1


def test_the_folders_own_split_is_kept_and_what_lacks_is_carved_out_of_train() -> None:
    names = [(f"train/{i}", f"t{i}", "cd"[i % 2], "train") for i in range(400)]
    names += [(f"test/{i}", f"e{i}", "cd"[i % 2], "test") for i in range(50)]
    rows = rows_of(*names)
    (line,) = validate.assign_splits(rows, validate.ValidateParams())
    assert line == "split: the folders' own train and test; of the rest train 82%, validation 18% (stable)"
    assert (rows["split"] == "test").sum() == 50
    assert 40 <= (rows["split"] == "validation").sum() <= 100
    with_all = rows_of(*names, ("val/0", "v", "c", "validation"))
    assert validate.assign_splits(with_all, validate.ValidateParams()) == ["split: the folders' own"]
    assert with_all["split"].value_counts().to_dict() == {"train": 400, "test": 50, "validation": 1}


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
