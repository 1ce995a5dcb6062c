"""Always the same action (row 001-064)."""

import numpy as np

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats

from ..config import LearningSettings
from ..learners.fast import FastLearner
from .contract import Selector
from .typed import parse_action


class ConstantPolicy(Selector):
    """Args: action: float32 (A,) in robot units."""

    def __init__(self, action: Floats, robot: RobotInfo) -> None:
        self._unit = robot.to_unit(action)

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        return self._unit.copy()


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> ConstantPolicy:
    """Takes the action from `policy.action`, in robot units."""
    if not settings.policy.action.strip():
        raise UserError("policy 'constant'", expected='an action, such as `5 0` or `pan=5`', found='none')
    return ConstantPolicy(parse_action(settings.policy.action, robot), robot)
