"""A training that was interrupted ends as one that was not, or starts anew and says why."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tasks.model.device import fix_randomness
from tasks.model.images import as_input
from tasks.model.inference import Normalise
from tasks.model.networks import build_model
from tasks.train.feed import Feed
from tasks.train.history import Fitted
from tasks.train.loop import checkpoint as module
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.fit import fit
from tasks.train.loop.state import TrainingState
from tasks.train.online import OnlineBatches, OnlineVariants
from tasks.train.params import TrainParams
from tasks.variants.recipe import Recipes
from tests.tasks.train.loop.test_fit import two_classes
from tests.tasks.train.test_online import FLIPS, recipe, sources

PARAMS = TrainParams(epochs=3, batch_size=8, threads=1)
CPU = torch.device("cpu")
KEY = {"train.epochs": "3", "the ledger of variants": "a" * 64, "torch": "2.11"}
ON_THE_FLY = 6  # sources
MODES = ("offline", "online", "both", "dropout")


class Killed(BaseException):
    """In place of SIGKILL."""


class Killing(Checkpoint):
    """Saves after each step that `every` divides, and ends the training after step `last`."""

    def __init__(self, folder: Path, every: int, last: int) -> None:
        super().__init__(KEY, folder)
        self.every = every
        self.last = last

    def save_if_due(self, state: TrainingState, end_of_epoch: bool = False) -> None:
        if state.step % self.every == 0:
            self.save(state)
        if state.step >= self.last:
            raise Killed


@pytest.fixture(autouse=True)
def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def build(mode: str, folder: Path) -> tuple[nn.Sequential, Feed]:
    """The network and the feed of a training, as they are before its first step."""
    fix_randomness(PARAMS.seed, PARAMS.threads)
    images, labels = two_classes(20 if mode in ("offline", "dropout") else 6)
    if mode == "dropout":
        layers = (nn.Flatten(), nn.Linear(192, 16), nn.BatchNorm1d(16), nn.Dropout(0.5))
        core: nn.Module = nn.Sequential(*layers, nn.Linear(16, 2))
    else:
        core = build_model("small_cnn", 2, 8)
    network = nn.Sequential(Normalise([0.5] * 3, [0.2] * 3), core)
    if mode in ("offline", "dropout"):
        return network, Feed(images, labels)
    variants = OnlineVariants(
        sources(folder, planned=0, count=ON_THE_FLY),
        Recipes(recipe(FLIPS)),
        PARAMS.epochs,
        partial(as_input, size=8),
    )
    stored = 6 if mode == "both" else 0
    own = torch.zeros(ON_THE_FLY, dtype=torch.int64)
    return network, Feed(
        images[:stored], torch.cat([labels[:stored], own]), OnlineBatches(variants, 0)
    )


def train(mode: str, folder: Path, checkpoint: Checkpoint | None = None) -> tuple[Fitted, Feed]:
    network, feed = build(mode, folder)
    images, labels = two_classes(10)
    return fit(network, feed, (images, labels), PARAMS, CPU, checkpoint), feed


def check_equal(one: tuple[Fitted, Feed], other: tuple[Fitted, Feed]) -> None:
    """Weights, history, and all that is counted."""
    assert one[0].weights.keys() == other[0].weights.keys()
    for name, weight in one[0].weights.items():
        assert weight.numpy().tobytes() == other[0].weights[name].numpy().tobytes(), name
    pd.testing.assert_frame_equal(one[0].history, other[0].history, check_exact=True)
    assert_states_equal(one[1].state_dict(), other[1].state_dict())


def assert_states_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, dict):
            assert_states_equal(value, other[name])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name]), name
        else:
            assert value == other[name], name


# --- an interrupted training ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_any_step_it_ends_as_if_it_had_not_been(
    mode: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = train(mode, tmp_path)
    steps = TrainingState(*build(mode, tmp_path), PARAMS, CPU).steps
    for every, last in [(1, 1), (2, steps // 2), (3, steps - 1), (steps // 3, steps)]:
        folder = tmp_path / f"{every}-{last}"
        with pytest.raises(Killed):
            train(mode, folder.parent, Killing(folder, every, last))
        capsys.readouterr()
        check_equal(train(mode, tmp_path, Checkpoint(KEY, folder)), expected)
        saved = last // every * every
        told = capsys.readouterr().out.splitlines()[0]
        assert told.startswith("epoch 1" if saved == 0 else f"training goes on after step {saved} ")


def test_killed_again_and_again_and_while_it_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = train("both", tmp_path)
    folder = tmp_path / "checkpoints"

    def killed_while_writing(content: dict, file: object) -> None:
        file.write(b"PK\x03\x04 a beginning")  # type: ignore[attr-defined]
        raise Killed

    for last in (1, 2, 2, 4, 5):
        with pytest.raises(Killed):
            train("both", tmp_path, Killing(folder, 1, last))
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(torch, "save", killed_while_writing)
            train("both", tmp_path, Killing(folder, 1, 99))
    with pytest.raises(Killed):
        train("both", tmp_path, Killing(folder, 1, 6))
    checkpoint = Checkpoint(KEY, folder)
    (folder / f".{checkpoint.path.name}.0123abcd.tmp").write_bytes(b"PK")  # as SIGKILL leaves it
    capsys.readouterr()
    check_equal(train("both", tmp_path, checkpoint), expected)
    told = capsys.readouterr().out.splitlines()  # it was killed before the last epoch was judged
    assert told[0] == "training goes on after step 6 of 6"
    assert [line.partition(":")[0] for line in told[1:]] == ["epoch 3"]
    assert list(folder.iterdir()) == [checkpoint.path]
    checkpoint.remove()
    assert not list(folder.iterdir())


def test_variants_that_workers_made_ahead_change_no_count_and_no_hash(tmp_path: Path) -> None:
    """A worker is some batches ahead of training when a checkpoint is saved."""
    expected = train("online", tmp_path)
    network, feed = build("online", tmp_path)
    state = TrainingState(network, feed, PARAMS, CPU)
    assert feed.online is not None
    variants = feed.online.dataset
    variants.set_epoch(1)
    for ahead in range(ON_THE_FLY):
        variants[ahead]
    checkpoint = Checkpoint(KEY, tmp_path / "checkpoints")
    checkpoint.save(state)
    assert feed.shown.tolist() == [0] * ON_THE_FLY
    other_network, other_feed = build("online", tmp_path)
    images, labels = two_classes(10)
    fitted = fit(other_network, other_feed, (images, labels), PARAMS, CPU, checkpoint)
    check_equal((fitted, other_feed), expected)


def test_a_variant_that_was_made_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.train import online

    folder, made = tmp_path / "checkpoints", []
    with pytest.raises(Killed):
        train("online", tmp_path, Killing(folder, 2, 2))  # of one step each epoch
    draw = online.draw_variant

    def counted(source: object, baseline: object, recipe: object, index: int, seen: set) -> object:
        made.append(index)
        return draw(source, baseline, recipe, index, seen)  # type: ignore[arg-type]

    monkeypatch.setattr(online, "draw_variant", counted)
    train("online", tmp_path, Checkpoint(KEY, folder))
    assert made == [3] * ON_THE_FLY


# --- when one is saved ----------------------------------------------------------------------------


def test_it_is_saved_when_old_enough_and_cheap_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, saved = [100.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    checkpoint = Checkpoint(KEY, tmp_path, seconds=60)

    def save(_: object) -> None:
        saved.append(now[0])
        now[0] += 2  # seconds that it takes

    monkeypatch.setattr(checkpoint, "save", save)
    state = TrainingState(*build("dropout", tmp_path), PARAMS, CPU)
    for second, end_of_epoch in [
        (159.9, False),
        (160.0, False),  # 60 s after the start
        (222.0, False),  # 60 s after the last one, of which 2 s are more than a hundredth
        (361.9, True),
        (362.0, True),  # 200 s after it
    ]:
        now[0] = second
        checkpoint.save_if_due(state, end_of_epoch)
    assert saved == [160.0, 362.0]


@contextmanager
def disk_with_room_for(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 2_000, 20_000])
def test_on_a_full_disk_it_goes_on_and_says_so_once(
    size: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "MOST_SHARE", 1e9)
    expected = train("offline", tmp_path)
    checkpoint = Checkpoint(KEY, tmp_path / "checkpoints", seconds=0)
    capsys.readouterr()
    with disk_with_room_for(size):
        check_equal(train("offline", tmp_path, checkpoint), expected)
    told = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("epoch")]
    assert told == [f"no checkpoint is kept: {checkpoint.path}: File too large"]
    assert not list(checkpoint.folder.iterdir())


def test_a_file_in_the_place_of_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").write_text("")
    checkpoint = Checkpoint(KEY, tmp_path / "checkpoints")
    train("dropout", tmp_path, checkpoint)
    told = capsys.readouterr().out.splitlines()
    assert told[1] == f"no checkpoint is kept: {checkpoint.path}: File exists"
    assert sum("checkpoint" in line for line in told) == 1
    checkpoint.remove()


def test_an_error_of_the_training_is_not_taken_for_one_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "save", failing)
    state = TrainingState(*build("dropout", tmp_path), PARAMS, CPU)
    with pytest.raises(torch.OutOfMemoryError):
        Checkpoint(KEY, tmp_path).save_if_due(state, end_of_epoch=True)


# --- when training starts anew --------------------------------------------------------------------


def saved_in(folder: Path, key: dict[str, str] = KEY) -> Checkpoint:
    """A checkpoint after one step."""
    network, feed = build("dropout", folder)
    state = TrainingState(network, feed, PARAMS, CPU)
    state.batch = 1
    checkpoint = Checkpoint(key, folder)
    checkpoint.save(state)
    return checkpoint


def restored(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> tuple[dict, str]:
    """The state after restore(), and what was printed."""
    capsys.readouterr()
    state = TrainingState(*build("dropout", checkpoint.folder), PARAMS, CPU)
    checkpoint.restore(state)
    return state.state_dict(), capsys.readouterr().out


def test_another_key_starts_anew_and_going_back_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved_in(tmp_path)
    other = Checkpoint({**KEY, "train.epochs": "4"}, tmp_path)
    state, told = restored(other, capsys)
    assert told == "training starts anew: train.epochs was 3, is 4\n"
    assert state["batch"] == 0
    saved_in(tmp_path, other.key)
    state, told = restored(Checkpoint(KEY, tmp_path), capsys)
    assert told == "training goes on after step 1 of 9\n"
    assert state["batch"] == 1


def test_of_other_trainings_three_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for epochs in range(5):
        saved_in(tmp_path, {**KEY, "train.epochs": str(epochs)})
    last = Checkpoint({**KEY, "train.epochs": "9"}, tmp_path)
    assert restored(last, capsys)[1] == "training starts anew: train.epochs was 4, is 9\n"
    kept = {Checkpoint({**KEY, "train.epochs": str(epochs)}, tmp_path).path for epochs in (2, 3, 4)}
    assert set(tmp_path.glob("*-*")) == kept


def test_projects_that_share_a_cache_do_not_share_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved_in(tmp_path)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    state, told = restored(Checkpoint(KEY, tmp_path), capsys)
    assert (state["batch"], told) == (0, "")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_checkpoint_is_noticed_or_harmless(
    place: float, bit: int, cut: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = saved_in(tmp_path)
    whole = checkpoint.path.read_bytes()
    expected, _ = restored(checkpoint, capsys)
    position = min(int(place * len(whole)), len(whole) - 1)
    flipped = whole[:position] + bytes([whole[position] ^ 1 << bit]) + whole[position + 1 :]
    checkpoint.path.write_bytes(whole[:position] if cut else flipped)
    state, told = restored(checkpoint, capsys)
    if told.startswith("training goes on"):
        assert not cut
        assert_states_equal(state, expected)
    else:
        assert told.startswith("training starts anew: its checkpoint cannot be read: ")
        assert told.count("\n") == 1
        assert state["batch"] == 0


def test_every_bit_of_a_tensor_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = saved_in(tmp_path)
    whole = bytearray(checkpoint.path.read_bytes())
    weight = build("dropout", tmp_path)[0][1][1].weight.detach().numpy().tobytes()
    whole[whole.index(weight[:64]) + 3] ^= 1
    checkpoint.path.write_bytes(whole)
    state, told = restored(checkpoint, capsys)
    place = told.removeprefix("training starts anew: its checkpoint cannot be read: ")
    assert place.startswith(f"{checkpoint.path}: ") and place.endswith(" is damaged\n")
    assert state["batch"] == 0


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x02K\x05.", b"not a checkpoint" * 100])
def test_a_foreign_file_is_one_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint(KEY, tmp_path)
    checkpoint.path.write_bytes(content)
    assert restored(checkpoint, capsys)[1].startswith(
        "training starts anew: its checkpoint cannot be read: "
    )
    other = Checkpoint({**KEY, "torch": "3"}, tmp_path)
    assert restored(other, capsys)[1].startswith(
        "training starts anew: its checkpoint cannot be read: "
    )


def test_code_in_a_checkpoint_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Harmful:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "touched",)

    checkpoint = Checkpoint(KEY, tmp_path)
    torch.save({"key": KEY, "state": Harmful()}, checkpoint.path)
    assert "cannot be read" in restored(checkpoint, capsys)[1]
    assert not (tmp_path / "touched").exists()


def test_counts_of_numpy_come_back_as_they_were(tmp_path: Path) -> None:
    _, feed = build("both", tmp_path)
    feed.shown += np.arange(len(feed))
    feed.replaced[2] = 2**40
    feed.left_out[1] = 3
    feed.online_classes.update([1, 1, 0])
    _, other = build("both", tmp_path)
    other.load_state_dict(feed.state_dict())
    assert_states_equal(other.state_dict(), feed.state_dict())
    feed.shown += 1
    assert other.shown.tolist() == list(range(len(feed)))
