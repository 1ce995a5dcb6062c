"""The same action in every step."""

import numpy as np

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats

from ..config import LearningSettings
from ..learners.fast import FastLearner
from .action_parsing import parse_action
from .contract import Selector


class ConstantPolicy(Selector):
    """Repeats one action.

    Args:
        action: float32 (A,) in robot units.
    """

    def __init__(self, action: Floats, robot: RobotInfo) -> None:
        self._unit = robot.to_unit(action)

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        return self._unit.copy()


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> ConstantPolicy:
    """Makes it with `policy.action`, in robot units; raises UserError where there is none."""
    if not settings.policy.action.strip():
        raise UserError("policy 'constant'", expected='an action, such as `5 0` or `pan=5`', found='none')
    return ConstantPolicy(parse_action(settings.policy.action, robot), robot)
