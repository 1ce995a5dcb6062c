"""When actions go out; steady time in s."""

from cls_learning.runtime.pacing import ASK_AGAIN, Pacing, REST


def test_a_rate_sets_the_least_time_between_actions() -> None:
    pacing = Pacing(rate=2.0)
    assert pacing.is_paced and pacing.may_send(100.0)
    pacing.send(100.0)
    assert not pacing.may_send(100.49) and pacing.may_send(100.5)


def test_without_a_rate_only_a_refusal_delays_the_next_action() -> None:
    pacing = Pacing(rate=0.0)
    pacing.send(100.0)
    assert not pacing.is_paced and pacing.may_send(100.0)
    pacing.refuse(100.0)
    assert not pacing.may_send(100.0 + REST - 0.01) and pacing.may_send(100.0 + REST)


def test_an_unanswered_action_is_repeated_once_a_period() -> None:
    pacing = Pacing(rate=2.0)
    pacing.send(100.0)
    assert not pacing.may_repeat(100.0 + ASK_AGAIN) and pacing.may_repeat(100.01 + ASK_AGAIN)
    pacing.repeat(101.0)
    assert not pacing.may_repeat(101.0 + ASK_AGAIN) and pacing.may_repeat(101.01 + ASK_AGAIN)
    assert pacing.may_send(101.0), 'a repetition does not delay the next action'
