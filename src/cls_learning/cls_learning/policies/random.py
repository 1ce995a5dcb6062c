"""Uniform random actions: the baseline of all policies."""

import numpy as np

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats

from ..config import LearningSettings
from ..learners.fast import FastLearner
from .contract import Selector, uniform


class RandomPolicy(Selector):
    """Samples actions uniformly.

    Args:
        size: length of an action, A.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        return uniform(self._size, generator)


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> RandomPolicy:
    """Makes it; random numbers come from the generator given to `act`."""
    return RandomPolicy(len(robot.channels))
