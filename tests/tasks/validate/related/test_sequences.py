from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from tasks.common import fact_cache
from tasks.ingest.manifest_rows import _group_in_name
from tasks.ingest.params import IngestParams
from tasks.pixels.hashing import sha256
from tasks.validate import measure
from tasks.validate.params import ValidateParams
from tasks.validate.related import sequences
from tests.tasks.validate.related.test_near_duplicates import measured, photo

FRAMES = 8
Named = list[tuple[str, Image.Image]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))


def film(number: int) -> list[Image.Image]:
    """A camera that moves over a scene: frames that are no near-duplicates."""
    scene = photo(number, (400, 300))
    return [scene.crop((12 * k, 5 * k, 12 * k + 200, 5 * k + 150)) for k in range(FRAMES)]


def films(name: str) -> Named:
    """Six films, three of each class; `name` has {label}, {film}, {letter}, {of_class}, {frame}."""
    pictures = []
    for number in range(6):
        fields = {"label": ["run", "walk"][number % 2], "film": number, "of_class": number // 2}
        for frame, picture in enumerate(film(number)):
            named = name.format(**fields, letter="abcdef"[number], frame=frame)
            pictures.append((named, picture))
    return pictures


def photos(name: str = "{label}/{number:04d}.jpg", count: int = 20) -> Named:
    """Numbered photos that have nothing to do with each other."""
    return [
        (name.format(label=["run", "walk"][n % 2], number=n), photo(100 + n, (200, 150)))
        for n in range(count)
    ]


def table(pictures: Named) -> pd.DataFrame:
    images = [measured(picture, sha256(name.encode())) for name, picture in pictures]
    with fact_cache.FactCache("thumbnails", measure.VERSION) as thumbnails:
        thumbnails.put((bytes.fromhex(image.sha256), image.thumbnail) for image in images)
    rows = pd.DataFrame([image.facts for image in images])
    names = [name for name, _ in pictures]
    rows = rows.assign(file_name=names, sha256=[image.sha256 for image in images], status="ok")
    rows["label"] = [name.split("/")[0] for name in names]
    rows = rows.assign(group_id=None, given_split=None, container=None, offset=None, bytes=0)
    return rows.sort_values("file_name", ignore_index=True)


def describe(pictures: Named) -> list[str]:
    return sequences.describe_sequences(table(pictures), ValidateParams())


def groups(line: str, names: list[str]) -> list[str | None]:
    """What ingest makes of the names with the line pasted into params.yaml."""
    pasted = line.partition("ingest.")[2]
    params = IngestParams(**YAML(typ="safe").load(pasted))
    return [_group_in_name(name, params.group_pattern) for name in names]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("{label}/film{film:02d}_frame{frame:04d}.jpg", r"(film\d+_frame)\d+"),
        ("{label}/{letter}-{frame:05d}.png", r"(a\-|b\-|c\-|d\-|e\-|f\-)\d+"),
        ("{label}/seq{film}/{frame:04d}.png", r"(seq\d+)/\d+"),
        ("{label}/seq{of_class}/{frame:04d}.png", r"^(.*seq\d+)/\d+"),
        ("{label}/{letter}/IMG_{frame:04d}.jpg", r"^(.*IMG_)\d+"),
        ("{label}/it's {film} {frame}", r"(it's\ \d+\ )\d+"),
        ("a.tar::{label}/film{film}.{frame}.jpg", r"(film\d+\.)\d+"),
    ],
)  # fmt: skip
def test_the_proposed_pattern_groups_the_films_and_nothing_else(name: str, pattern: str) -> None:
    pictures, others = films(name), photos()
    (line,) = describe([*pictures, *others])
    first = min(named for named, _ in pictures)
    quoted = pattern.replace("'", "''")
    assert line == (
        "48 images are numbered as frames of 6 sequences, and neighbours look alike, "
        f"{first} for one: no split parts a sequence with ingest.group_pattern: '{quoted}'"
    )
    found = groups(line, [named for named, _ in pictures])
    assert [len(set(found[k : k + FRAMES])) for k in range(0, 48, FRAMES)] == [1] * 6
    assert len(set(found)) == 6 and None not in found
    assert set(groups(line, [named for named, _ in others])) == {None}


@pytest.mark.parametrize("name", ["{label}/{number:04d}.jpg", "{label}/film{number}_1.jpg"])
def test_ordinary_numbered_photos_propose_nothing(name: str) -> None:
    assert describe(photos(name)) == []


def test_many_kinds_of_names_are_summarised() -> None:
    assert sequences.summarise([r"clip_a\d+\-", r"clip_bc\d+\-"]) == r"clip_[^/]*\d+\-"
    assert sequences.summarise(["a", "b"]) == "[^/]*"


def test_a_film_in_two_folders_is_one_sequence() -> None:
    frames = film(0) + film(1) + film(2)
    named = [
        (f"{'run' if n % FRAMES < 4 else 'walk'}/film{n // FRAMES}_{n}.jpg", picture)
        for n, picture in enumerate(frames)
    ]
    (line,) = describe(named)
    assert "frames of 3 sequences" in line and line.endswith(r"'(film\d+_)\d+'")


def test_nothing_is_proposed_where_it_cannot_help() -> None:
    rows = table(films("{label}/film{film}_{frame}.jpg"))
    grouped = rows.assign(group_id=["g", *[None] * (len(rows) - 1)])
    assert sequences.describe_sequences(grouped, ValidateParams()) == []
    assert sequences.describe_sequences(rows, ValidateParams(near_duplicates="off")) == []
    two = rows[rows["file_name"].str.contains("film[01]_")].reset_index(drop=True)
    assert sequences.describe_sequences(two, ValidateParams()) == []  # three splits of two films
    assert sequences.describe_sequences(rows.iloc[:0], ValidateParams()) == []


def test_the_order_of_the_films_changes_nothing() -> None:
    pictures = films("{label}/film{film}_{frame}.jpg")
    order = np.random.default_rng(0).permutation(len(pictures))
    assert describe([pictures[n] for n in order]) == describe(pictures)


def test_numbers_alone_name_no_sequence() -> None:
    images = pd.DataFrame({"file_name": ["0001.jpg", "2.png", "none.png"], "label": "run"})
    assert sequences.find_frames(images).empty
    images["file_name"] = ["a/0002.jpg", "a/0001.jpg", "none.png"]
    frames = sequences.find_frames(images)
    assert frames.index.tolist() == [1, 0] and frames["number"].tolist() == [1.0, 2.0]
    assert frames["sequence"].tolist() == ["a/"] * 2 and frames["shape"].tolist() == ["a/"] * 2


def test_images_that_are_all_alike_are_no_films() -> None:
    """Neighbours are no closer than others."""
    same = photo(0, (200, 150))
    pictures = [(f"run/film{n % 4}_{n // 4}.jpg", same) for n in range(40)]
    assert describe(pictures) == []
