"""Blocks that signals end."""

import os
import signal
from contextlib import suppress

import pytest

from flows.service.processes import ended_by_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_block_though_a_library_goes_on_after_any_exception(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    went_on = False
    with ended_by_signals():
        with suppress(Exception):
            os.kill(os.getpid(), number)
        went_on = True
    assert not went_on
    assert capsys.readouterr().out == f"stopped by {number.name}\n"
    assert signal.getsignal(number) is before
