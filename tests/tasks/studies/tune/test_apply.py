"""Applying an answer: params.yaml as people wrote it, but for what the answer changes."""

from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.studies.tune.apply import apply_changes, require_same
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams

TEXT = """\
# params of cats
augment:
  seed: 7          # the base
  total: 5000
  policy:
    - Rotate: {limit: 30, p: 0.8}   # they lie
    - HorizontalFlip
  per_class: {'6': {policy: [NoOp]}}
  labels: [{classes: '9', forbid: HorizontalFlip}]
train: {epochs: 30, augmentation: device, mixup: 0.2}
"""
NONE = {
    "augment": {"policy": [], "variants_per_image": 0, "total": None, "max_per_image": None},
    "train": {"augmentation": "offline", "epochs": 60, "mixup": None},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(TEXT)
    return tmp_path / "params.yaml"


def test_none_is_written_and_what_was_there_is_told(path: Path) -> None:
    assert apply_changes(NONE, path) == [
        f"{path} augment.policy: [], was [{{Rotate: {{limit: 30, p: 0.8}}}}, HorizontalFlip]",
        f"{path} augment.variants_per_image: 0, was not there",
        f"{path} augment.total: not there, was 5000",
        f"{path} train.epochs: 60, was 30",
        f"{path} train.augmentation: offline, was device",
        f"{path} train.mixup: not there, was 0.2",
    ]
    assert (
        path.read_text()
        == """\
# params of cats
augment:
  seed: 7          # the base
  policy: []
  per_class: {'6': {policy: [NoOp]}}
  labels: [{classes: '9', forbid: HorizontalFlip}]
  variants_per_image: 0
train:
  epochs: 60
  augmentation: offline
"""
    )
    assert read_params("augment", AugmentParams, path).variants_per_image == 0
    assert read_params("train", TrainParams, path).epochs == 60


def test_a_weaker_policy_changes_its_numbers_alone(path: Path) -> None:
    weaker = [{"Rotate": {"limit": [-15, 15], "p": 0.8}}, {"HorizontalFlip": {"p": 0.25}}]
    apply_changes({"augment": {"policy": weaker}}, path)
    expected = TEXT.replace("limit: 30", "limit: [-15, 15]")
    flip = "- HorizontalFlip: {p: 0.25}\n"
    assert path.read_text() == expected.replace("- HorizontalFlip\n", flip)


def test_where_all_is_there_nothing_is_written(path: Path) -> None:
    before = path.stat().st_mtime_ns
    assert apply_changes({"augment": {"total": 5000}, "train": {"epochs": 30}}, path) == []
    assert apply_changes({}, path) == []
    assert path.stat().st_mtime_ns == before


def test_ends_of_lines_stay(path: Path) -> None:
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    apply_changes({"augment": {"total": 4000, "distinct": False}}, path)
    expected = TEXT.replace("5000", "4000").replace("train:", "  distinct: false\ntrain:")
    assert path.read_bytes() == expected.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        (
            TEXT,
            {"augment": {"variants_per_image": 2}},
            "{path} with the answer: augment: needs one of variants_per_image, total, "
            "target_per_class, found variants_per_image and total; nothing was written",
        ),
        (
            "augment: {total: 9, policy: &a [D4], per_class: {b: {policy: *a}}}\n",
            {"augment": {"policy": ["NoOp"]}},
            "{path}: needs to be changed by hand: it has anchors, or what is like them",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    text: str, changes: dict, expected: str, path: Path
) -> None:
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        apply_changes(changes, path)
    assert str(caught.value) == expected.format(path=path)
    assert path.read_text() == text


def test_what_changed_meanwhile_is_not_overwritten(path: Path) -> None:
    augment = read_params("augment", AugmentParams, path)
    train = read_params("train", TrainParams, path)
    path.write_text(TEXT.replace("# params of cats", "# of dogs").replace("7  ", "7"))
    require_same(augment, train, path)
    path.write_text(TEXT.replace("limit: 30", "limit: 40"))
    with pytest.raises(UserError) as caught:
        require_same(augment, train, path)
    assert str(caught.value) == (
        f"{path}: augment or train has changed while the tuning ran, so the answer is to what it "
        "was; nothing was written: run variegate tune again"
    )


def test_rights_stay_and_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    apply_changes({"train": {"epochs": 31}}, link)
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    assert path.read_text() == TEXT.replace("epochs: 30", "epochs: 31")


def test_a_read_only_file_is_left_alone(path: Path) -> None:
    path.chmod(0o444)
    with pytest.raises(UserError) as caught:
        apply_changes({"train": {"epochs": 31}}, path)
    need = "needs to be writable, found it read-only; nothing was written"
    assert str(caught.value) == f"{path}: {need}"
    assert path.read_text() == TEXT
