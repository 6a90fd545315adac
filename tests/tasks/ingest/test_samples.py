"""Samples of several images: WebDataset's views, photos with masks, and which of them are used."""

from pathlib import Path

import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.dataset.paths import RAW
from tasks.ingest.__main__ import ingest
from tasks.ingest.params import IngestParams
from tests.tasks.ingest.containers import png, write_tar

BLOCK = "in params.yaml's block ingest"


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    RAW.mkdir(parents=True)


def write(*names: str) -> None:
    """Files below data/raw, an image each."""
    for number, name in enumerate(names):
        (RAW / name).parent.mkdir(parents=True, exist_ok=True)
        (RAW / name).write_bytes(png(number))


def write_shard(name: str, *members: str) -> None:
    """A tar: what ends with .cls or .json is text, all else an image."""
    texts = {".cls": b"cat", ".json": b"{}"}
    write_tar(
        RAW / name,
        {
            member: texts.get(Path(member).suffix, png(number))
            for number, member in enumerate(members)
        },
    )


def found(images: str = "all") -> tuple[pd.DataFrame, list[str]]:
    """The rows by name without what precedes ::, and the notes."""
    done = ingest(IngestParams(images=images))
    rows = done.rows.to_pandas()
    return rows.set_index(rows["file_name"].str.split("::").str[-1]), done.findings["notes"]


def samples_of(rows: pd.DataFrame) -> dict[str, str]:
    return rows["sample"].dropna().to_dict()


def used(rows: pd.DataFrame) -> list[str]:
    return sorted(rows.index[rows["reason"].isna()])


def test_views_of_one_sample_belong_together_however_many_there_are() -> None:
    write_shard(
        "x.tar",
        *("1.left.png", "1.right.png", "1.cls"),
        *("2.left.png", "2.cls"),
        *("3.a.png", "3.b.png", "3.c.png", "3.cls", "3.json"),
    )
    rows, notes = found()
    assert samples_of(rows) == {
        "1.left.png": "x.tar::1",
        "1.right.png": "x.tar::1",
        "3.a.png": "x.tar::3",
        "3.b.png": "x.tar::3",
        "3.c.png": "x.tar::3",
    }
    assert set(rows["label"]) == {"cat"}
    assert notes == [
        "2 samples have several images (.a.png, .b.png, .c.png, .left.png, ...; "
        "x.tar::1.left.png for one), which belong together; "
        f"`images: first` {BLOCK} uses one of each, `images: '\\.a\\.png$'` those alone"
    ]


def test_equal_keys_of_two_shards_are_two_samples() -> None:
    for shard in ("a.tar", "b.tar"):
        write_shard(shard, "1.left.png", "1.right.png", "1.cls")
    assert set(found()[0]["sample"]) == {"a.tar::1", "b.tar::1"}


def test_an_array_beside_an_image_is_no_second_image() -> None:
    write_shard("x.tar", "1.png", "1.npy", "1.cls")
    rows, notes = found()
    assert (samples_of(rows), notes) == ({}, [])


@pytest.mark.parametrize(
    "names",
    [
        [f"{label}/2023.05.{day:02d}.png" for label in ("cat", "dog") for day in range(9)],
        [
            f"{label}/{year}.{day}.png"
            for label in ("cat", "dog")
            for year in (1, 2)
            for day in "abcde"
        ],
    ],
)
def test_dots_in_the_names_of_a_plain_tar_make_no_samples(names: list[str]) -> None:
    write_shard("x.tar", *names)
    rows, notes = found()
    assert (samples_of(rows), notes) == ({}, [])
    assert set(rows["label"]) == {"cat", "dog"}


def test_keys_end_at_the_first_dot_and_what_that_breaks_is_told() -> None:
    write_shard(
        "train-0.tar", "2023.05.00.png", "2023.05.00.cls", "2023.05.01.png", "2023.05.01.cls"
    )
    rows, notes = found()
    rule = "the key of a WebDataset sample ends at the first dot of its names, '2023' here"
    assert rows["detail"].to_dict() == {
        "2023.05.00.cls": f"labels no image: {rule}",
        "2023.05.00.png": f"no 2023.cls or 2023.json beside it; {rule}",
        "2023.05.01.cls": f"labels no image: {rule}",
        "2023.05.01.png": f"no 2023.cls or 2023.json beside it; {rule}",
    }
    assert notes == [
        f"train-0.tar: 2 .cls and .json files label no image, 2023.05.00.cls for one: {rule}; "
        "write _ in place of the other dots"
    ]
    assert samples_of(rows) == {}


def test_a_sample_without_a_label_says_which_member_was_looked_for() -> None:
    write_shard("x.tar", "a/1.png", "2.png", "2.txt", "3.png", "3.json", "4.seg.png")
    assert found()[0]["detail"].dropna().to_dict() == {
        "2.png": "no 2.cls or 2.json beside it",
        "3.png": "3.json beside it: no label in it",
        "4.seg.png": "no 4.cls or 4.json beside it; "
        "the key of a WebDataset sample ends at the first dot of its names, '4' here",
    }


def test_views_in_a_plain_tar_belong_together() -> None:
    write_shard("x.tar", *(f"cat/{n}.{view}.png" for n in range(3) for view in ("left", "right")))
    assert len(set(samples_of(found()[0]).values())) == 3


def test_masks_are_told_and_left_out_by_the_line_that_is_told() -> None:
    write_shard("train-0.tar", *("1.png", "1.seg.png", "1.cls"), *("2.seg.png", "2.png", "2.cls"))
    rows, notes = found()
    assert notes == [
        "2 masks lie beside photos (.seg.png; train-0.tar::1.seg.png for one) and are used as "
        f"images of their class; `images: first` {BLOCK} leaves them out"
    ]
    rows, notes = found("first")
    assert (used(rows), notes) == (["1.png", "2.png"], [])  # a mask comes last, wherever it lies
    assert rows.loc["2.seg.png", ["reason", "detail"]].tolist() == [
        "not_chosen",
        "its sample is used by train-0.tar::2.png",
    ]


def test_masks_beside_several_views_are_left_out_by_a_pattern() -> None:
    write_shard(
        "x.tar", "1.a.png", "1.b.png", "1.a.mask.png", "1.seg.png", "1.cls", "2.png", "2.cls"
    )
    pattern = r"^(?!.*(\.a\.mask\.png$|\.seg\.png$))"
    assert f"`images: '{pattern}'` {BLOCK} leaves them out" in found()[1][0]
    assert used(found(pattern)[0]) == ["1.a.png", "1.b.png", "2.png"]


def test_loose_masks_belong_to_the_photo_beside_them() -> None:
    write(
        *("cat/a (1).png", "cat/a (1)_mask.png", "cat/a (1)_mask_1.png"),
        *("dog/1.JPG", "dog/1.Seg.PNG", "dog/2-segmentation.png", "dog/3.jpg", "dog/mask.png"),
        "cat/2.png",
    )
    rows, notes = found()
    assert samples_of(rows) == {
        "cat/a (1).png": "cat/a (1)",
        "cat/a (1)_mask.png": "cat/a (1)",
        "cat/a (1)_mask_1.png": "cat/a (1)",
        "dog/1.JPG": "dog/1",
        "dog/1.Seg.PNG": "dog/1",
    }
    assert notes == [
        "3 masks lie beside photos (.Seg.PNG, _mask.png, _mask_1.png; cat/a (1)_mask.png for one) "
        f"and are used as images of their class; `images: first` {BLOCK} leaves them out"
    ]
    assert used(found("first")[0]) == [
        *("cat/2.png", "cat/a (1).png", "dog/1.JPG"),
        *("dog/2-segmentation.png", "dog/3.jpg", "dog/mask.png"),
    ]


def test_masks_in_a_folder_of_their_own_belong_to_the_photos_in_the_folder_beside() -> None:
    write("sick/images/1.png", "sick/masks/1.png", "well/2.png", "well/Mask/2_mask.png")
    write_shard("x.tar", "sick/images/3.png", "sick/masks/3.png", "masks/4.png")
    rows, notes = found()
    assert sorted(samples_of(rows).values()) == [
        *["sick/1"] * 2,
        *["well/2"] * 2,
        *["x.tar::sick/3"] * 2,
    ]
    assert notes == [
        "3 masks lie beside photos (Mask/, masks/; sick/masks/1.png for one) and are used as "
        f"images of their class; `images: first` {BLOCK} leaves them out"
    ]
    kept = ["masks/4.png", "sick/images/1.png", "sick/images/3.png", "well/2.png"]
    assert used(found("first")[0]) == kept
    assert used(found("^(?!.*(/Mask/|/masks/))")[0]) == kept


def test_a_class_that_is_called_mask_is_a_class() -> None:
    write("mask/1.png", "no_mask/1.png", "no_mask/2.png")
    rows, notes = found()
    assert (samples_of(rows), notes) == ({}, [])


def test_files_of_one_name_belong_together_where_most_have_another_beside_them() -> None:
    write("cat/1.jpg", "cat/1.png", "dog/2.jpg", "dog/2.png", "dog/3.jpg", "dog/1.jpg")
    rows, notes = found()
    assert samples_of(rows) == {
        **dict.fromkeys(("cat/1.jpg", "cat/1.png"), "cat/1"),
        **dict.fromkeys(("dog/2.jpg", "dog/2.png"), "dog/2"),
    }
    assert notes == [
        "2 samples have several images (.jpg, .png; cat/1.jpg for one), which belong together; "
        f"`images: first` {BLOCK} uses one of each, `images: '\\.jpg$'` those alone"
    ]
    assert used(found("first")[0]) == ["cat/1.jpg", "dog/1.jpg", "dog/2.jpg", "dog/3.jpg"]
    write("dog/4.jpg")
    assert samples_of(found()[0]) == {}


def test_a_pattern_is_looked_for_in_every_name() -> None:
    write("cat/front_1.png", "cat/back_1.png")
    write_shard("x.tar", "dog/1.front.png", "dog/1.back.png")
    rows, notes = found("front")
    assert (used(rows), notes) == (["cat/front_1.png", "dog/1.front.png"], [])
    assert rows.loc["cat/back_1.png", ["reason", "detail"]].tolist() == [
        "not_chosen",
        "its name does not match ingest.images",
    ]
    assert len(rows) == 4


def test_what_cannot_be_read_keeps_its_reason() -> None:
    write("cat/1.png")
    (RAW / "cat/2.png").write_bytes(b"")
    rows, _ = found("nothing")
    assert rows["reason"].to_dict() == {"cat/1.png": "not_chosen", "cat/2.png": "not_an_image"}


def test_a_wrong_pattern_is_one_line() -> None:
    Path("params.yaml").write_text("ingest: {images: '('}")
    with pytest.raises(UserError) as caught:
        read_params("ingest", IngestParams)
    assert str(caught.value) == (
        "params.yaml ingest.images: needs a regular expression, found '(': "
        "missing ), unterminated subpattern at position 0"
    )
