"""Intrinsic rewards by name: one file each, found by `policy.reward`; NAME*NAME is the product of two."""

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from ..config import LearningSettings
from ..learners.fast import FastLearner
from ..registries import REWARDS
from .contract import Reward
from .product import ProductReward


def parse(expression: str) -> list[str]:
    """Returns the factors of `NAME` or `NAME*NAME`.

    Raises:
        UserError: a factor is unknown, or named twice.
    """
    factors = [name.strip() for name in expression.split('*')]
    for name in factors:
        REWARDS.find(name)
    if len(set(factors)) < len(factors):
        raise UserError(f'reward {expression!r}', expected='each factor once')
    return factors


def make(settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int) -> Reward:
    """Makes the reward that `policy.reward` names.

    Args:
        fast: whose errors and rollouts it uses; None without a learner.

    Raises:
        UserError: no such reward, or it needs a learner and there is none.
    """
    factors: list[Reward] = [
        REWARDS.make(name, settings, robot, z_size, fast, seed) for name in parse(settings.policy.reward)
    ]
    return factors[0] if len(factors) == 1 else ProductReward(factors)
