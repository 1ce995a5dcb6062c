"""Curiosity policies by name: one file each, found by `policy.kind`."""

from pathlib import Path
from types import ModuleType

from cls_common.robot import RobotInfo

from .. import by_name
from ..config import LearningSettings
from ..learners.fast import FastLearner
from .contract import Policy


def find(kind: str) -> ModuleType:
    """Returns the module of a kind of policy.

    Raises:
        UserError: no such kind.
    """
    return by_name.find(__name__, Path(__file__).parent, 'policy', kind, apart=('cells',))


def make(settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner, seed: int) -> Policy:
    """Makes an untrained policy.

    Raises:
        UserError: no such kind.
    """
    policy: Policy = find(settings.policy.kind).make(settings, robot, z_size, fast, seed)
    return policy
