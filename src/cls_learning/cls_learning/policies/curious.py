"""Does what promises most: imagines candidate actions and compares them by the reward that `policy.reward` names."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats, Transition

from .. import rewards
from ..config import LearningSettings, PolicySettings
from ..learners.fast import FastLearner
from ..memory.recent import RecentMemory
from ..rewards.contract import Reward
from ..rewards.imagined import Imagined
from ..space_change import SpaceChange
from .contract import Policy


class CuriousPolicy(Policy):
    """Compares random candidate actions, each held for a few imagined steps, and takes the one worth most."""

    def __init__(self, own: PolicySettings, action_size: int, reward: Reward, fast: FastLearner | None) -> None:
        self._own = own
        self._action_size = action_size
        self._fast = fast
        self._reward = reward

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        own = self._own
        actions = generator.uniform(-1.0, 1.0, (own.candidates, self._action_size)).astype(np.float32)
        worth = self._reward.ahead(Imagined(z, joints, actions, own.horizon, self._fast)).mean(axis=1)  # (C,)
        # The first of the best: candidates are random already, so ties need no further chance.
        best: Floats = actions[int(worth.argmax())]
        return best

    def reward(self, transition: Transition, error_before: float) -> float:
        return self._reward.lived(transition, error_before)

    def learn(self, memory: RecentMemory, steps: int, generator: np.random.Generator) -> dict[str, float]:
        own = self._own
        if not self._reward.learns or steps % own.interval or len(memory) < own.batch_size:
            return {}
        return {'policy_loss': self._reward.learn(memory.sample(own.batch_size, generator), generator)}

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
) -> CuriousPolicy:
    """Makes it with the reward that is named."""
    reward = rewards.make(settings, robot, z_size, fast, seed)
    return CuriousPolicy(settings.policy, len(robot.channels), reward, fast)
