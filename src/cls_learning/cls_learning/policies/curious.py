"""Random shooting: samples actions and takes the one with the highest predicted intrinsic reward."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats, Transition

from .. import rewards
from ..config import LearningSettings, PolicySettings
from ..learners.fast import FastLearner
from ..memory.ring_reservoir import RingReservoir
from ..rewards.candidate_rollouts import CandidateRollouts
from ..rewards.contract import Reward
from ..space_change import SpaceChange
from .contract import Policy


class RandomShootingPolicy(Policy):
    """Samples C candidate actions, rolls each out for H steps and takes the one with the highest mean reward.

    Args:
        own: `candidates` is C, `horizon` is H.
        reward: named by `policy.reward`.
    """

    def __init__(self, own: PolicySettings, action_size: int, reward: Reward, fast: FastLearner | None) -> None:
        self._own = own
        self._action_size = action_size
        self._fast = fast
        self._reward = reward

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        own = self._own
        actions = generator.uniform(-1.0, 1.0, (own.candidates, self._action_size)).astype(np.float32)
        rollouts = CandidateRollouts(z, joints, actions, own.horizon, self._fast)
        scores = self._reward.score(rollouts).mean(axis=1)  # (C,)
        # The first of equal ones: candidates are random already, so ties need no further random number.
        best: Floats = actions[int(scores.argmax())]
        return best

    def reward(self, transition: Transition, error_before: float) -> float:
        return self._reward.observe(transition, error_before)

    def learn(self, memory: RingReservoir, steps: int, generator: np.random.Generator) -> dict[str, float]:
        own = self._own
        if not self._reward.learns or steps % own.interval or len(memory) < own.batch_size:
            return {}
        return {'policy_loss': self._reward.update(memory.sample(own.batch_size, generator), generator)}

    def fold(self, change: SpaceChange) -> None:
        self._reward.fold(change)

    def begin_scene(self) -> None:
        self._reward.begin_scene()

    def state(self) -> dict[str, Tensor]:
        return self._reward.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._reward.load(state)


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> RandomShootingPolicy:
    """Makes it with the reward that `policy.reward` names."""
    reward = rewards.make(settings, robot, z_size, fast, seed)
    return RandomShootingPolicy(settings.policy, len(robot.channels), reward, fast)
