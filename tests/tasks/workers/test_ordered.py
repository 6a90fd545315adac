import os
import signal
from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.workers.ordered import AHEAD_PER_WORKER, map_ordered
from tests.tasks.workers.calls import die, refuse, square


def square_or_die_once(task: tuple[int, Path]) -> int:
    """The square; at 7 the worker is killed, the first time."""
    number, mark = task
    if number == 7 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_results_come_in_order(workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", workers)
    assert list(map_ordered(square, range(100))) == [n * n for n in range(100)]
    assert list(map_ordered(square, [])) == []


def process_of(_: int) -> int:
    return os.getpid()


def test_threads_take_what_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    found = list(map_ordered(process_of, range(40), in_thread=lambda n: n % 2 == 0))
    assert set(found[::2]) == {os.getpid()} and os.getpid() not in found[1::2]


def test_a_bounded_number_of_items_is_taken_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    taken: list[int] = []
    results = map_ordered(
        square, (taken.append(n) or n for n in range(50)), in_thread=lambda _: True
    )
    for finished, _ in enumerate(results):
        assert finished < len(taken) <= finished + 2 * AHEAD_PER_WORKER
    assert len(taken) == 50


def test_a_dead_worker_is_replaced_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    tasks = [(number, tmp_path / "died") for number in range(40)]
    assert list(map_ordered(square_or_die_once, tasks)) == [n * n for n in range(40)]
    assert (tmp_path / "died").exists()


def test_workers_that_die_again_and_again_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    with pytest.raises(
        UserError, match=r"^a worker died 3 times at one task; is there enough memory\?$"
    ):
        list(map_ordered(die, range(5)))


def test_a_caller_says_how_many_deaths_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    with pytest.raises(
        UserError, match=r"^a worker died 5 times at one task; is there enough memory\?$"
    ):
        list(map_ordered(die, range(5), most_deaths=5))


def test_an_error_in_a_worker_arrives_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    with pytest.raises(UserError, match=r"^0: no$"):
        list(map_ordered(refuse, range(5)))


@pytest.mark.parametrize("text", ["0", "two", "-1", ""])
def test_a_wrong_number_of_workers_is_one_line(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", text)
    with pytest.raises(UserError) as caught:
        next(map_ordered(square, [1]))
    assert str(caught.value) == f"VARIEGATE_WORKERS: needs a whole number from 1, found {text!r}"
