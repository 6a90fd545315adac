"""Images inside Parquet files arrive whole in class folders, or one line says why not."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from flows.cli import app
from tasks.acquire.parquet_images import Written, find_parquet, write_images
from tasks.common.errors import UserError

RAW = Path("data/raw")
IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
CLASSES = {"_type": "ClassLabel", "names": ["cat", "dog"]}


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def picture(number: int, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 4), number).save(file, format)
    return file.getvalue()


def stored(number: int, path: str | None = None) -> dict[str, Any]:
    return {"bytes": picture(number), "path": path}


def write(
    name: str, features: dict[str, Any] | None = None, rows_per_group: int = 2, **columns: pa.Array
) -> Path:
    """A Parquet file; with `features` as Hugging Face's datasets write it."""
    table = pa.table(columns)
    if features is not None:
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, name, row_group_size=rows_per_group)
    return Path(name)


def simple(name: str, *labels: Any, type: pa.DataType | None = None) -> Path:
    images = [stored(number) for number in range(len(labels))]
    return write(name, image=pa.array(images, IMAGE), label=pa.array(list(labels), type))


def files() -> dict[str, bytes]:
    return {
        str(path.relative_to(RAW)): path.read_bytes() for path in RAW.rglob("*") if path.is_file()
    }


def refused(*paths: Path, **options: Any) -> str:
    """The line that an import ends with; nothing is left of it."""
    with pytest.raises(UserError) as error:
        write_images(paths, RAW, **{"max_gb": 1, **options})
    assert not Path("data").exists() or list(Path("data").iterdir()) == []
    assert "\n" not in str(error.value)
    return str(error.value)


# --- what arrives ---------------------------------------------------------------------------------


def test_classes_have_the_names_of_the_metadata_and_splits_those_of_the_files() -> None:
    features = {"image": {"_type": "Image"}, "label": CLASSES}
    train = write(
        "data/train-00000-of-00001.parquet",
        features,
        image=pa.array([stored(1), stored(2, "a/b.PNG"), stored(3, "c.d.png")], IMAGE),
        label=pa.array([1, 0, 1]),
    )
    test = write(
        "data/test-00000-of-00001.parquet",
        features,
        image=pa.array([stored(4)], IMAGE),
        label=pa.array([0]),
    )
    assert write_images([train, test], RAW, 1) == Written(4, [])
    assert files() == {
        "train/dog/000000.png": picture(1),
        "train/cat/000001_b.png": picture(2),
        "train/dog/000002_c.d.png": picture(3),
        "test/cat/000000.png": picture(4),
    }


def test_without_splits_and_metadata_values_are_classes_whatever_holds_the_bytes() -> None:
    path = write(
        "x.parquet",
        png=pa.array([picture(1), picture(2, "JPEG"), picture(3, "GIF")], pa.large_binary()),
        kind=pa.array(["cat", "big dog", "cat"]).dictionary_encode(),
    )
    assert write_images([path], RAW, 1).files == 3
    assert files() == {
        "cat/000000.png": picture(1),
        "big dog/000001.jpg": picture(2, "JPEG"),
        "cat/000002.gif": picture(3, "GIF"),
    }


def test_a_column_may_name_the_splits() -> None:
    path = write(
        "all.parquet",
        image=pa.array([stored(1), stored(2)], IMAGE),
        label=pa.array([7, 8]),
        split=pa.array(["train", "VAL"]),
    )
    write_images([path], RAW, 1)
    assert set(files()) == {"train/7/000000.png", "validation/8/000000.png"}


def test_a_folder_of_files_is_as_good_as_the_files() -> None:
    for split in ("train", "test"):
        simple(f"hub/default/{split}/0000.parquet", "cat", "dog")
    Path("hub/README.md").write_text("about")
    paths = find_parquet([Path("hub")])
    assert write_images(paths, RAW, 1).files == 4
    assert set(files()) == {
        f"{split}/{label}"
        for split in ("train", "test")
        for label in ("cat/000000.png", "dog/000001.png")
    }


def test_the_order_of_the_files_changes_nothing() -> None:
    paths = [simple(f"{name}.parquet", "A", "a") for name in "xy"]
    write_images(paths, RAW, 1)
    first = files()
    Path("data").rename("before")
    write_images(paths[::-1], RAW, 1)
    assert files() == first
    assert set(first) == {"A/000000.png", "a_1/000001.png", "A/000002.png", "a_1/000003.png"}


def test_tables_of_pandas_are_read() -> None:
    frame = pd.DataFrame(
        {
            "data": [picture(1), picture(2), picture(3)],
            "id": ["a", "b", "c"],
            "label": [0, None, 2],
        },
        index=[7, 8, 9],
    )
    frame.to_parquet("x.parquet")
    assert write_images([Path("x.parquet")], RAW, 1) == Written(
        2, ["left out 1 image without a label"]
    )
    assert set(files()) == {"0/000000.png", "2/000001.png"}


def test_the_asked_columns_are_taken() -> None:
    path = write(
        "x.parquet",
        {
            "img": {"_type": "Image"},
            "mask": {"_type": "Image"},
            "fine_label": {"_type": "ClassLabel", "names": ["shark", "rose"]},
            "coarse_label": {"_type": "ClassLabel", "names": ["fish", "flower"]},
        },
        img=pa.array([stored(1)], IMAGE),
        mask=pa.array([stored(2)], IMAGE),
        fine_label=pa.array([1]),
        coarse_label=pa.array([1]),
    )
    assert refused(path) == (
        "x.parquet: needs one column of images (--image-column), found img, mask"
    )
    assert refused(path, image="img") == (
        "x.parquet: needs one column of labels (--label-column), found fine_label, coarse_label"
    )
    assert refused(path, image="fine_label", label="fine_label") == (
        "x.parquet: column fine_label needs to hold the bytes of images, found int64"
    )
    assert refused(path, image="img", label="mask").endswith(
        "column mask needs to hold text or numbers, found struct<bytes: binary, path: string>"
    )
    assert refused(path, image="photo") == (
        "x.parquet: needs the column photo (--image-column), "
        "found img, mask, fine_label, coarse_label"
    )
    write_images([path], RAW, 1, image="img", label="coarse_label")
    assert files() == {"flower/000000.png": picture(1)}


# --- what is left out or written otherwise --------------------------------------------------------


def test_rows_without_a_label_or_an_image_are_counted() -> None:
    path = write(
        "train.parquet",
        {"label": CLASSES},
        image=pa.array(
            [stored(1), stored(2), None, {"bytes": None, "path": "far/away.png"}, stored(3)], IMAGE
        ),
        label=pa.array([0, -1, 1, 1, None]),
    )
    assert write_images([path], RAW, 1) == Written(
        1,
        [
            "left out 1 row without an image",
            "left out 1 row that holds only the path of an image (far/away.png for one): "
            "embed the files when the Parquet is written",
            "left out 2 images without a label",
        ],
    )
    assert set(files()) == {"train/cat/000000.png"}


def test_paths_alone_are_one_line() -> None:
    path = write(
        "x.parquet",
        image=pa.array([{"bytes": None, "path": "1.png"}], IMAGE),
        label=pa.array(["cat"]),
    )
    assert refused(path) == (
        "x.parquet: needs images with labels, found none: left out 1 row that holds only the path "
        "of an image (1.png for one): embed the files when the Parquet is written"
    )


def test_labels_that_are_no_names_of_folders_are_told() -> None:
    path = simple("x.parquet", "a/b", "A_B", "..", "cat")
    assert write_images([path], RAW, 1).notes == [
        "3 labels are no names of folders: wrote 'a/b' as a_b, 'A_B' as A_B_1, '..' as 2"
    ]
    assert set(files()) == {
        "a_b/000000.png",
        "A_B_1/000001.png",
        "2/000002.png",
        "cat/000003.png",
    }


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), max_size=80), st.text(st.characters(codec="utf-8")))
def test_no_label_and_no_path_leads_out_of_the_folder(label: str, path: str) -> None:
    file = write(
        "x.parquet", image=pa.array([stored(1, path)], IMAGE), label=pa.array(["a" + label])
    )
    write_images([file], RAW, 1)
    assert list(files().values()) == [picture(1)]
    assert len(next(iter(files())).split("/")) == 2
    for written in RAW.rglob("*.png"):
        written.unlink()


# --- what is refused ------------------------------------------------------------------------------


def test_files_of_unknown_splits_beside_others_are_refused() -> None:
    paths = [simple("train.parquet", "cat"), simple("extra.parquet", "cat")]
    assert refused(*paths) == (
        "extra.parquet: needs a split in its name, as in train-00000-of-00001.parquet: "
        "others have one"
    )


def test_an_unknown_split_is_refused() -> None:
    path = write(
        "x.parquet",
        image=pa.array([stored(1)], IMAGE),
        label=pa.array(["cat"]),
        split=pa.array(["extra"]),
    )
    assert refused(path) == (
        "x.parquet: column split needs to be train, validation or test, found 'extra'"
    )


def test_a_table_without_images_or_labels_is_refused() -> None:
    path = write("x.parquet", file_name=pa.array(["a"]), label=pa.array(["cat"]))
    assert refused(path) == "x.parquet: needs a column of images, found file_name, label"
    path = write("x.parquet", image=pa.array([stored(1)], IMAGE))
    assert refused(path) == "x.parquet: needs a column of labels, found image"


def test_damage_and_bounds_are_one_line() -> None:
    whole = simple("x.parquet", "cat", "dog").read_bytes()
    Path("x.parquet").write_bytes(whole[:-20])
    assert refused(Path("x.parquet")).startswith("x.parquet: is damaged: ")
    Path("x.parquet").write_bytes(whole)
    assert refused(Path("x.parquet"), max_gb=1e-7).startswith(
        "x.parquet: needs to unpack to at most 1e-07 GB (--max-gb), found "
    )
    assert refused(Path("x.parquet"), max_gb=0) == "--max-gb: needs a number above 0, found 0"
    RAW.mkdir(parents=True)
    (RAW / "mine.png").touch()
    with pytest.raises(UserError, match="data/raw: needs to be empty for an import, found files"):
        write_images([Path("x.parquet")], RAW, 1)


def test_other_files_beside_parquet_are_refused() -> None:
    parquet = simple("x.parquet", "cat")
    Path("y.zip").write_bytes(b"PK\3\4")
    assert find_parquet([Path("y.zip")]) == find_parquet([Path("nowhere")]) == []
    with pytest.raises(UserError) as error:
        find_parquet([parquet, Path("y.zip")])
    assert str(error.value) == "y.zip: needs to be Parquet, as x.parquet is, found something else"


# --- the command ----------------------------------------------------------------------------------


def test_import_tells_parquet_by_its_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = simple("train.bin", "a/b", "cat")
    Path("dvc.yaml").touch()
    monkeypatch.setattr("flows.preconditions.require_pulled", lambda: None)
    app(["import", str(path)], standalone_mode=False)
    assert capsys.readouterr().out == (
        "wrote 2 images to data/raw\nnote: 1 label is no name of a folder: wrote 'a/b' as a_b\n"
    )
    assert set(files()) == {"train/a_b/000000.png", "train/cat/000001.png"}


def test_a_label_that_is_called_like_clutter_is_written_all_the_same() -> None:
    labels = ["cat", "lost+found", "cat~", ".hidden"]
    images = pa.array([stored(number, "") for number in range(4)], IMAGE)
    written = write_images([write("x.parquet", image=images, label=pa.array(labels))], RAW, 1)
    assert written.files == 4
    assert {name.partition("/")[0] for name in files()} == {
        "cat",
        "_lost+found_",
        "_cat~_",
        "hidden",
    }
