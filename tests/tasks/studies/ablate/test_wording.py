"""What an ablation found, in exact sentences."""

from tasks.studies.ablate.wording import summary
from tests.tasks.studies.ablate.found import ablation, arm, digits


def test_the_policy_comes_first_then_the_arm_that_gains_most() -> None:
    assert summary(digits()) == (
        "The whole policy gives 84.1% instead of 83.0%, +1.1 points (+0.1 to +2.1): pays, but "
        "harms class 9. One other arm gains, geometry alone: +3.0 points (+2.0 to +4.0)."
    )


def test_where_nothing_gains_it_says_so() -> None:
    policy = arm("all", -0.05, "does not pay")
    untold = arm("tone alone", 0.02, "undecided: 3 more seeds would tell", p=0.2)
    assert summary(ablation(policy, untold)) == (
        "The whole policy gives 78.0% instead of 83.0%, -5.0 points (-6.0 to -4.0): does not pay. "
        "No other arm is known to gain either."
    )
    assert summary(ablation(arm("all", 0.05, "pays"), untold)) == (
        "The whole policy gives 88.0% instead of 83.0%, +5.0 points (+4.0 to +6.0): pays. "
        "No other arm is known to gain."
    )
    assert summary(ablation(arm("all", 0.05, "pays"))).endswith("pays.")


def test_of_many_that_gain_they_are_counted() -> None:
    arms = [arm(f"{name} alone", gain, "pays") for name, gain in (("tone", 0.01), ("noise", 0.02))]
    assert summary(ablation(arm("all", 0.03, "pays"), *arms)).endswith(
        "2 other arms gain, noise alone most: +2.0 points (+1.0 to +3.0)."
    )


def test_arms_without_the_whole_policy_are_told_too() -> None:
    untold = arm("tone alone", 0.02, "undecided: 3 more seeds would tell", p=0.2)
    assert summary(ablation(untold)) == "No arm is known to gain."
    assert summary(ablation(untold, arm("mild", 0.02, "pays"))) == (
        "One arm gains, mild: +2.0 points (+1.0 to +3.0)."
    )
    assert summary(ablation()) == ""
