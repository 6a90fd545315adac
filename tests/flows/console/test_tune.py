"""What `variegate tune` prints."""

import pytest

from flows.console.tables import show
from flows.console.tune import tuning_tables
from tests.tasks.studies.tune.found import BLOCK, trial, tuning

TRIALS = """\
trial  policy                   choice                         state     affinity  accuracy  epochs  seeds
1      none                                                    complete      0.90     80.0%      15      3
2      present policy                                          complete      0.90     84.0%      15      3
3      trivialaugment           variants 4                     hopeless      0.30
4      own policy, by strength  strength 1.0, variants 4       pruned        0.90     70.0%       5      1
5      own policy, by strength  strength 0.5, variants online  complete      0.90     86.0%      15      3
6      randaugment              n 2, m 9, variants online      pruned        0.90     78.0%       5      1
7      own policy, by strength  strength 0.2, variants 1       complete      0.90     82.0%      15      3
8      scaled trivialaugment    variants online                pruned        0.90     78.0%       5      1

again, on 2 seeds that no trial was chosen by:

arm                   accuracy  to none  95% interval  to present  95% interval
none                     81.0%                               -3.0  -5.0 to -1.0
present policy           84.0%     +3.0  +1.0 to +5.0
strength 0.5, online     85.0%     +4.0  +2.0 to +6.0        +1.0  -1.0 to +3.0

answer     present policy: keep what is there: strength 0.5, online is not surely better than it
"""  # noqa: E501  # as wide as it is printed
REST = """\
trained    4 complete, 3 pruned, 1 hopeless; 15 epochs of 1,000 images in each full training
judged by  240 validation images
"""
ANSWER = """
write this into params.yaml, or let `variegate tune --apply` do it:

augment:
  policy:
    - {Rotate: {limit: 7.5}}
    - HorizontalFlip
  # remove labels
train:
  augmentation: online
  epochs: 15

"""


def test_trials_finalists_and_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    show(tuning_tables(tuning()))
    assert capsys.readouterr().out == TRIALS + REST


def test_what_to_write_is_ready_to_paste(capsys: pytest.CaptureFixture[str]) -> None:
    show(tuning_tables(tuning(block=BLOCK)))
    assert capsys.readouterr().out == TRIALS + ANSWER + REST


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (
            ["params.yaml train.epochs: 15, was 16"],
            "written    params.yaml train.epochs: 15, was 16\n"
            "next       compare it with what was there: dvc exp run\n",
        ),
        ([], "written    nothing: params.yaml has it already\n"),
    ],
)
def test_what_was_written_is_told(
    written: list[str], lines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(tuning_tables(tuning(block=BLOCK), written))
    assert capsys.readouterr().out == TRIALS + lines + REST


def test_many_trials_are_cut_short_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    show(tuning_tables(tuning(trials=[trial(number, "none", 0.8) for number in range(1042)])))
    assert "\n1,002 more: --json lists all\n" in capsys.readouterr().out
