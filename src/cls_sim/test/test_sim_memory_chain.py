"""The memory chain: who follows the cue is always right, who can not see it is right half of the time."""

from collections.abc import Callable

import numpy as np
import pytest

from cls_sim.robots import make, SimulatorSettings
from cls_sim.worlds.memory_chain import MemoryChainEnv, MemoryChainSettings


def rewards(length: int, episodes: int, answer: Callable[[float], int]) -> list[float]:
    """Returns the sum of rewards of each episode; `answer` gets the cue of the first observation."""
    env = MemoryChainEnv(MemoryChainSettings(length=length))
    found = []
    for episode in range(episodes):
        (cue, _, _), _ = env.reset(seed=None if episode else 0)
        total, is_over = 0.0, False
        while not is_over:
            observation, reward, is_over, is_cut, _ = env.step(np.int64(answer(cue)))
            assert env.observation_space.contains(observation) and not is_cut
            total += reward
        found.append(total)
    return found


@pytest.mark.parametrize('length', [1, 8, 128])
def test_following_the_cue_is_always_right_and_contradicting_it_never(length: int) -> None:
    assert rewards(length, 20, lambda cue: int(cue > 0)) == [1.0] * 20
    assert rewards(length, 20, lambda cue: int(cue < 0)) == [-1.0] * 20


def test_an_answer_without_the_cue_earns_nothing_in_the_mean() -> None:
    draws = np.random.default_rng(1)
    for blind in (lambda _: 0, lambda _: int(draws.integers(2))):
        found = rewards(8, 1000, blind)
        assert set(found) == {-1.0, 1.0} and abs(np.mean(found)) < 0.1  # three standard errors


def test_the_cue_is_seen_once_and_the_question_asked_after_length_actions() -> None:
    robot = make('memory_chain', SimulatorSettings.from_flat({'robot': 'memory_chain', 'memory_chain.length': 8}))
    found = [robot.reset()] + [robot.step([1.0]) for _ in range(9)]
    cues, questions, positions = np.array([step.observations['state'] for step in found]).T
    assert abs(cues[0]) == 1.0 and not cues[1:].any()
    assert np.flatnonzero(questions).tolist() == [8]
    np.testing.assert_allclose(positions[:9], np.arange(9) / 8)
    assert [step.terminal for step in found] == [False] * 9 + [True]
    assert [step.reward for step in found[1:-1]] == [0.0] * 8 and found[-1].reward == cues[0]
    assert abs(found[-1].restart.observations['state'][0]) == 1.0
