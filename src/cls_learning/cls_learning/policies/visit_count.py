"""`curious` with the reward `visit_count`, which needs no networks on a robot with joints."""

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from ..config import LearningSettings
from ..learners.fast import FastLearner
from . import curious


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> curious.RandomShootingPolicy:
    """Makes `curious`; raises UserError where another reward is set, which would have no effect."""
    if settings.policy.reward != 'visit_count':
        raise UserError(f'reward {settings.policy.reward!r}', expected="policy 'curious'", found="policy 'visit_count'")
    return curious.make(settings, robot, z_size, fast, seed)
