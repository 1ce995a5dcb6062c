"""The gate on actors: real returns, and what is kept."""

import re

import numpy as np
import pytest
import torch

from cls_learning.brains.spiking.actor_gate import ActorGate, overlap, returns, SEGMENT, segments, Step
from cls_learning.evaluation.gate import interval_of_difference, LEAST_SEGMENTS


def test_returns_sum_rewards_to_the_horizon_or_the_end_of_the_episode():
    steps = [Step(1.0, False, True), Step(2.0, False, False), Step(4.0, True, False), Step(8.0, False, True)]
    # The last step is left out: fewer than 3 steps follow it, and its episode goes on.
    np.testing.assert_allclose(returns(steps, 3, 0.5), [1 + 1 + 1, 2 + 2, 4])


def test_returns_leave_out_steps_whose_episode_was_cut_by_time_or_by_a_gap():
    steps = [Step(1.0, False, True), Step(1.0, False, False), Step(1.0, False, True), Step(1.0, False, False)]
    np.testing.assert_allclose(returns(steps, 2, 1.0), [2.0, 2.0])
    assert returns([], 2, 1.0).shape == (0,)


def test_segments_are_means_of_neighbours():
    np.testing.assert_allclose(segments(np.arange(2.0 * SEGMENT + 3)), [(SEGMENT - 1) / 2, (3 * SEGMENT - 1) / 2])


def act(gate, reward, count=LEAST_SEGMENTS * SEGMENT, seed=0):
    """Takes steps with rewards about `reward`, all terminal, so that each is a return."""
    for value in np.random.default_rng(seed).normal(reward, 0.1, count):
        gate.add(Step(float(value), True, True))


def judge(gate):
    return gate.judge(np.random.default_rng(1))


def test_a_worse_actor_is_refused_and_the_next_one_is_compared_with_the_one_kept():
    gate = ActorGate(25, 0.99, True)
    act(gate, 1.0)
    assert judge(gate)[1] is False
    act(gate, 0.5, seed=1)
    verdict, is_refused = judge(gate)
    assert is_refused and gate.rolled_back == 1
    assert re.match(r'actor rolled back: return over 25 real steps 1.0\d to 0.\d\d: -0.\d\d \[-0', verdict.text)
    assert verdict.metrics['actor_high'] < 0 and not verdict.rolled_back
    act(gate, 0.75, seed=2)
    assert judge(gate)[1] is True
    act(gate, 1.2, seed=3)
    verdict, is_refused = judge(gate)
    assert not is_refused and verdict.metrics['actor_low'] > 0
    act(gate, 1.0, seed=4)
    assert judge(gate)[1] is True


def test_a_difference_within_chance_is_kept():
    refused = 0
    for seed in range(40):
        gate = ActorGate(25, 0.99, True)
        act(gate, 1.0, seed=2 * seed)
        judge(gate)
        act(gate, 1.0, seed=2 * seed + 1)
        refused += judge(gate)[1]
    assert refused <= 4  # one in forty is expected: half of the 5 % outside of the interval


def test_an_actor_with_few_steps_is_not_judged_and_not_the_one_kept():
    gate = ActorGate(25, 0.99, True)
    act(gate, 1.0)
    judge(gate)
    act(gate, 9.0, count=LEAST_SEGMENTS * SEGMENT - 1)
    verdict, is_refused = judge(gate)
    assert not verdict.judged and not is_refused and 'actor not judged' in verdict.text
    act(gate, 1.5)
    assert judge(gate)[0].metrics['actor_change'] == pytest.approx(0.5, abs=0.1)


def test_a_gate_that_is_off_reports_and_refuses_nothing():
    gate = ActorGate(25, 0.99, False)
    act(gate, 1.0)
    judge(gate)
    act(gate, 0.5)
    verdict, is_refused = judge(gate)
    assert not is_refused and gate.rolled_back == 0 and verdict.metrics['actor_change'] < -0.4
    act(gate, 0.5, seed=5)
    assert abs(judge(gate)[0].metrics['actor_change']) < 0.1


@pytest.mark.parametrize('count', [0, 5, 300])
def test_its_state_goes_on(count):
    one, other = ActorGate(25, 0.99, True), ActorGate(25, 0.99, True)
    act(one, 1.0)
    judge(one)
    act(one, 0.5, count)
    other.load({name: torch.clone(value) for name, value in one.state().items()})
    assert judge(one) == judge(other) and one.rolled_back == other.rolled_back


def test_the_interval_of_a_difference_covers_it():
    generator, covered = np.random.default_rng(0), 0
    for _ in range(200):
        new, old = generator.normal(1.0, 1.0, 12), generator.normal(0.0, 2.0, 12)
        _, low, high = interval_of_difference(new, old, generator)
        covered += low <= 1.0 <= high
    assert covered >= 180


def test_a_return_counts_where_the_actor_chose_all_its_actions():
    steps = [Step(1.0, False, False, by_actor=at != 3) for at in range(7)]
    np.testing.assert_allclose(returns(steps, 3, 1.0), [3.0, 3.0])  # from steps 0 and 4


def test_equal_returns_are_kept_whatever_rounding_gives():
    for count in (190, 176, 161):
        gate = ActorGate(25, 0.99, True)
        for steps in (201, count):
            for at in range(steps):
                gate.add(Step(1.0, False, at == 0))
            verdict, is_refused = judge(gate)
            assert verdict.judged and not is_refused


def test_an_equal_actor_is_refused_as_seldom_as_the_interval_says():
    """Overlapping returns of independent rewards: without the widening about one in ten is refused."""
    refused, trials = 0, 300
    for seed in range(trials):
        generator, gate = np.random.default_rng(seed), ActorGate(25, 0.99, True)
        for _ in range(2):
            for at, reward in enumerate(generator.normal(1.0, 1.0, 200)):
                gate.add(Step(float(reward), False, at == 0))
            refused += judge(gate)[1]
    assert refused / trials < 0.06
    assert overlap(1) == 1.0 < overlap(25) < overlap(100)
