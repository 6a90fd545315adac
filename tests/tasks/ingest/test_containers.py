"""Tars and idx files: what ingest lists of them, and that each image can be read where it lies."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.dataset import image_bytes
from tasks.dataset.paths import RAW
from tasks.ingest.__main__ import Ingested, ingest
from tasks.ingest.params import IngestParams
from tasks.pixels.decode import decode
from tasks.pixels.hashing import sha256
from tests.tasks.ingest.containers import png, write_idx, write_tar


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    RAW.mkdir(parents=True)


def listed(**params: str) -> tuple[pd.DataFrame, Ingested]:
    done = ingest(IngestParams(**params))
    return done.rows.to_pandas().set_index("file_name"), done


def read_back(rows: pd.DataFrame) -> dict[str, bytes]:
    return {
        row.file_name: image_bytes.read_row(row)
        for row in image_bytes.locate_images(rows.reset_index()).itertuples()
    }


def columns_of(rows: pd.DataFrame, *columns: str) -> dict[str, tuple[object, ...]]:
    values = rows[list(columns)].astype(object).where(rows[list(columns)].notna(), None)
    return {name: tuple(row) for name, row in zip(rows.index, values.to_numpy(), strict=True)}


def test_clutter_in_a_tar_is_counted_and_no_image() -> None:
    clutter = {"./._1.png": b"x", "__MACOSX/cat/1.png": png(1), "cat/.DS_Store": b"x"}
    write_tar(RAW / "pets/all.tar", {"./cat/1.png": png(1), "dog/2.png": png(2), **clutter})
    (RAW / ".DS_Store").write_bytes(b"x")
    rows, done = listed()
    assert sorted(rows["label"]) == ["cat", "dog"]
    assert done.findings["containers"] == {"pets/all.tar": {"members": 2, "images": 2}}
    assert done.findings["clutter"] == {"files": 4, "first": ".DS_Store"}
    again = ingest(IngestParams())  # from the fact cache
    assert (again.findings, again.rows.equals(done.rows)) == (done.findings, True)


def test_a_plain_tar_is_a_folder() -> None:
    write_tar(RAW / "all.tar", {"./cat/1.png": png(1), "dog/2.png": png(2), "README": b"hello"})
    (RAW / "cat").mkdir()
    (RAW / "cat/3.png").write_bytes(png(3))
    rows, done = listed()
    assert columns_of(rows, "label", "container", "reason") == {
        "all.tar::README": (None, "all.tar", "not_an_image"),
        "all.tar::cat/1.png": ("cat", "all.tar", None),
        "all.tar::dog/2.png": ("dog", "all.tar", None),
        "cat/3.png": ("cat", None, None),
    }
    assert read_back(rows)["all.tar::dog/2.png"] == png(2)
    assert all(sha256(data) == rows["sha256"][name] for name, data in read_back(rows).items())
    assert done.findings["containers"] == {"all.tar": {"members": 3, "images": 3}}
    assert done.findings["layout"] == "class folders; 1 container read in place (detected)"


def test_split_folders_may_lie_in_a_tar_or_around_it() -> None:
    write_tar(RAW / "a.tar", {"train/cat/1.png": png(1), "test/cat/2.png": png(2)})
    write_tar(RAW / "train/b.tar", {"dog/3.png": png(3)})
    rows, _ = listed()
    assert columns_of(rows, "label", "split") == {
        "a.tar::test/cat/2.png": ("cat", "test"),
        "a.tar::train/cat/1.png": ("cat", "train"),
        "train/b.tar::dog/3.png": ("dog", "train"),
    }


def test_webdataset_shards() -> None:
    shard = {
        "0001.png": png(1),
        "0001.cls": b"1",
        "0002.png": png(2),
        "0002.json": b'{"label": "cat", "group_id": 7}',
    }
    write_tar(
        RAW / "train-000000.tar",
        shard | {"0003.png": png(3), "0003.txt": b"a caption", "0004.png": png(4)},
    )
    write_tar(
        RAW / "val-000000.tar", {"x/0005.seg.png": png(5), "x/0005.cls": b"0", "0006.json": b"{}"}
    )
    (RAW / "classes.json").write_text('["cat", "dog"]')
    rows, done = listed()
    assert columns_of(rows, "label", "split", "group_id") == {
        "train-000000.tar::0001.png": ("dog", "train", None),
        "train-000000.tar::0002.png": ("cat", "train", "7"),
        "train-000000.tar::0003.png": (None, "train", None),
        "train-000000.tar::0004.png": (None, "train", None),
        "val-000000.tar::0006.json": (
            None,
            "validation",
            None,
        ),  # it labels no image: a file as any other
        "val-000000.tar::x/0005.seg.png": ("cat", "validation", None),
    }
    assert done.findings["containers"]["train-000000.tar"] == {"members": 7, "images": 4}
    assert done.findings["label_files"] == ["classes.json"]
    inside = sum(content["images"] for content in done.findings["containers"].values())
    assert (
        done.findings["files"] == 3 == len(rows) - inside + len(done.findings["containers"]) + 1
    )  # and the label file


def test_a_table_may_name_members() -> None:
    write_tar(RAW / "x.tar", {"1.png": png(1)})
    (RAW / "labels.csv").write_text("file_name,label\nx.tar::1.png,cat\n")
    rows, _ = listed()
    assert rows["label"].to_dict() == {"x.tar::1.png": "cat"}


def test_members_that_cannot_be_read_are_told() -> None:
    with tarfile.open(RAW / "x.tar", "w") as tar:
        link = tarfile.TarInfo("cat/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        info = tarfile.TarInfo("cat/1.png")
        info.size = len(png(1))
        tar.addfile(info, io.BytesIO(png(1)))
    whole = (RAW / "x.tar").read_bytes()
    (RAW / "cut.tar").write_bytes(whole[: 2 * 512 + 50])
    (RAW / "damaged.tar").write_bytes(whole[:1536].ljust(2048, b"\1") + whole[:512])
    rows, _ = listed()
    assert columns_of(rows, "reason", "detail") == {
        "cut.tar": ("corrupt", "after 2 members: unexpected end of data"),
        "cut.tar::cat/1.png": ("unreadable", "its tar ends before it does"),
        "cut.tar::cat/link.png": ("unreadable", "is no regular file in its tar"),
        "damaged.tar": ("corrupt", "after 2 members: invalid header"),
        "damaged.tar::cat/1.png": (None, None),
        "damaged.tar::cat/link.png": ("unreadable", "is no regular file in its tar"),
        "x.tar::cat/1.png": (None, None),
        "x.tar::cat/link.png": ("unreadable", "is no regular file in its tar"),
    }


def test_archives_are_told_from_containers() -> None:
    with tarfile.open(RAW / "a.tar.gz", "w:gz") as tar:
        tar.add("/dev/null", "x")
    (RAW / "b.zip").write_bytes(b"PK\3\4 and more")
    (RAW / "empty.tar").write_bytes(bytes(10240))
    rows, _ = listed()
    assert columns_of(rows, "reason", "detail") == {
        "a.tar.gz": ("not_an_image", "gzip data: `variegate import` unpacks zip and tar archives"),
        "b.zip": ("not_an_image", "zip data: `variegate import` unpacks zip and tar archives"),
        "empty.tar": ("not_an_image", "nothing but zeros: copy or download it again"),
    }


def test_a_large_file_is_told_by_its_first_bytes_where_they_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.ingest.read_files.MAX_BYTES", 10)
    (RAW / "all.zip").write_bytes(b"PK\3\4" + bytes(5000))
    (RAW / "x").write_bytes(b"\xfe" * 5000)
    rows, _ = listed()
    assert columns_of(rows, "reason", "detail") == {
        "all.zip": ("not_an_image", "zip data: `variegate import` unpacks zip and tar archives"),
        "x": ("too_large", "5,000 bytes, over 10"),
    }
    assert rows["sha256"]["x"] == sha256(b"\xfe" * 5000)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("shape", [(12, 5, 7), (12, 5, 7, 3)])
def test_idx_files(ending: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    write_idx(RAW / f"train-images-idx{len(shape)}-ubyte{ending}", pixels)
    write_idx(RAW / f"train-labels-idx1-ubyte{ending}", np.arange(12, dtype=np.uint8))
    write_idx(
        RAW / "t10k-images.idx3-ubyte", pixels[:2, :, :, 0] if len(shape) == 4 else pixels[:2]
    )
    write_idx(RAW / "t10k-labels.idx1-ubyte.gz", np.array([3, 4], np.uint8))
    rows, done = listed()
    name = f"train-images-idx{len(shape)}-ubyte{ending}"
    assert len(rows) == 14
    assert columns_of(rows, "label", "split")[f"{name}::11"] == ("11", "train")
    assert columns_of(rows, "label", "split")["t10k-images.idx3-ubyte::1"] == ("4", "test")
    for number in (0, 11):
        data = read_back(rows)[f"{name}::{number:02d}"]
        assert sha256(data) == rows["sha256"][f"{name}::{number:02d}"]
        assert (decode(data).pixels == pixels[number]).all()
    assert len(done.findings["label_files"]) == 2


def test_idx_files_that_are_damaged_or_have_other_labels() -> None:
    pixels = np.zeros((3, 4, 4), np.uint8)
    write_idx(RAW / "a-images", pixels)
    (RAW / "a-images").write_bytes((RAW / "a-images").read_bytes()[:-5])
    write_idx(RAW / "b-images.gz", pixels + 1)
    whole = (RAW / "b-images.gz").read_bytes()
    (RAW / "b-images.gz").write_bytes(whole[:-9])  # without its end: all pixels are there
    rows, _ = listed()
    assert rows["reason"].dropna().to_dict() == {"a-images": "corrupt", "b-images.gz": "corrupt"}
    assert rows["detail"]["a-images"] == "after 2 images: needs 3 images"
    assert len(rows) == 2 + 1 + 3 + 1
    assert read_back(rows.drop(["a-images", "b-images.gz"]))["b-images.gz::2"].endswith(
        bytes([1] * 16)
    )
    write_idx(RAW / "a-labels", np.zeros(3, np.uint8))
    with pytest.raises(UserError) as caught:
        listed()
    assert (
        str(caught.value)
        == "data/raw/a-images: needs a label for each image, found 2 images and 3 labels"
    )


def test_what_has_not_changed_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.ingest import read_files

    write_tar(RAW / "x.tar", {"cat/1.png": png(1)})
    for number in range(5):
        (RAW / f"{number}.png").write_bytes(png(number))
    for path in RAW.iterdir():
        os.utime(path, (1e9, 1e9))
    first, _ = listed()
    read: list[str] = []
    look = read_files.read_file
    monkeypatch.setattr(read_files, "read_file", lambda name: (read.append(name), look(name))[1])
    second, _ = listed()
    assert read == [] and second.equals(first)
    (RAW / "3.png").write_bytes(png(30))  # a new time
    third, _ = listed()
    assert read == ["3.png"]
    assert third["sha256"]["3.png"] == sha256(png(30))
    listed()
    assert (
        read == ["3.png"] * 2
    )  # changed so lately that it may change again within a tick of the clock


def test_what_is_remembered_is_equal_to_what_is_read() -> None:
    from tasks.ingest import read_files

    write_tar(RAW / "x.tar", {"cat/1.png": png(1), "bad\\name": b"x"})
    for content in (
        read_files.read_file("x.tar") or read_files.read_container("x.tar"),
        read_files.FileFacts(3, "ab", "corrupt", "é"),
    ):
        assert read_files._from_json(read_files._to_json(content)) == content
    assert json.loads(read_files._to_json(read_files.FileFacts()))[0] == "Facts"


def test_names_that_come_twice_are_numbered_and_each_is_read_where_it_lies() -> None:
    with tarfile.open(RAW / "x.tar", "w") as tar:
        for number in (1, 2):
            info = tarfile.TarInfo("cat/a.png")
            info.size = len(png(number))
            tar.addfile(info, io.BytesIO(png(number)))
    (RAW / "x.tar::cat").mkdir()
    (RAW / "x.tar::cat/a.png").write_bytes(png(3))
    rows, _ = listed()
    assert read_back(rows) == {
        "x.tar::cat/a.png": png(3),
        "x.tar::cat/a.png (2)": png(1),
        "x.tar::cat/a.png (3)": png(2),
    }


def test_members_that_point_outside_lead_nowhere() -> None:
    write_tar(RAW / "x.tar", {"../../cat/1.png": png(1), "/dog/2.png": png(2)})
    rows, _ = listed()
    assert rows["label"].to_dict() == {"x.tar::../../cat/1.png": "cat", "x.tar::/dog/2.png": "dog"}


def test_two_tables_that_disagree_are_a_conflict_and_others_add_up() -> None:
    for name, text in {"a.csv": "label", "b.csv": "label", "c.csv": "group_id"}.items():
        value = {"a.csv": "cat", "b.csv": "dog", "c.csv": "7"}[name]
        (RAW / name).write_text(
            f"file_name,{text}\n1.png,{value}\n" + ("2.png,dog\n" if name == "b.csv" else "")
        )
    for number in (1, 2):
        (RAW / f"{number}.png").write_bytes(png(number))
    rows, _ = listed()
    assert columns_of(rows, "label", "group_id", "reason", "detail") == {
        "1.png": ("cat", "7", "label_conflict", "a.csv says cat and b.csv dog"),
        "2.png": ("dog", None, None, None),
    }


def test_one_tar_after_another_is_damage() -> None:
    write_tar(RAW / "a.tar", {"cat/1.png": png(1)})
    (RAW / "a.tar").write_bytes((RAW / "a.tar").read_bytes() * 2)
    rows, _ = listed()
    assert columns_of(rows, "reason", "detail") == {
        "a.tar": ("corrupt", "after 1 member: more follows after its end"),
        "a.tar::cat/1.png": (None, None),
    }


def test_a_damaged_copy_of_what_was_inflated_is_made_anew(tmp_path: Path) -> None:
    write_idx(RAW / "train-images.gz", np.arange(48, dtype=np.uint8).reshape(3, 4, 4))
    rows, _ = listed()
    first = read_back(rows)
    (copy,) = Path(".variegate/inflated").iterdir()
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    image_bytes._open.cache_clear()
    assert read_back(rows) == first


def test_what_could_not_be_read_is_looked_at_again(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(png(1))
    os.utime(outside, (1e9, 1e9))
    (RAW / "a.png").symlink_to(outside)
    assert listed()[0]["reason"].tolist() == ["unreadable"]
    (RAW / "a.png").unlink()
    outside.rename(RAW / "a.png")  # the same inode, size and time
    assert listed()[0]["reason"].isna().all()


def test_what_looks_like_a_mistake_is_noted() -> None:
    (RAW / "cat").mkdir()
    (RAW / "cat/1.png").write_bytes(png(1))
    (RAW / "labels.csv").write_text("id,breed\n1,x\n")
    (RAW / "groups.csv").write_text("file_name,group_id\ngone.png,7\n")
    _, done = listed(group_pattern="patient(\\d+)")
    assert done.findings["notes"] == [
        "labels.csv labels nothing: needs the columns file_name and label, found 'id,breed'",
        "tables name files that are not there: 1, gone.png in groups.csv for one; "
        "names count from the table's folder; see data/ingested/missing.csv",
        "ingest.group_pattern finds no group in 2 of 2 images: each stands alone",
    ]


def test_a_label_or_split_of_a_sample_that_cannot_be_read_is_told() -> None:
    members = {"0.png": png(0), "1.png": png(1), "2.png": png(2), "3.png": png(3)}
    sidecars = {
        "0.cls": b"K\xe4fer",
        "1.cls": b"\xef\xbb\xbfcat\n",
        "2.json": b'{"label": "a", "split": "test_set"}',
        "3.json": b'{"label": "a", "split": "public"}',
    }
    write_tar(RAW / "a.tar", members | sidecars)
    rows, _ = listed()
    assert columns_of(rows, "label", "split", "reason", "detail") == {
        "a.tar::0.png": (None, None, "no_label", "the .cls of its sample is not UTF-8"),
        "a.tar::1.png": ("cat", None, None, None),
        "a.tar::2.png": ("a", "test", None, None),
        "a.tar::3.png": (
            None,
            None,
            "no_split",
            "its sample: split needs to be train, validation or test, found 'public'",
        ),
    }
