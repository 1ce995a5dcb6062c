"""Policies by name: one file each, found by `policy.kind`. Curious ones learn, selectors do as they are told."""

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
    return by_name.find(__name__, Path(__file__).parent, 'policy', kind, apart=('typed',))


def make(settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int) -> Policy:
    """Makes an untrained policy.

    Args:
        fast: what curious policies may imagine with; None where nobody learns.

    Raises:
        UserError: no such kind, or it can't act on this robot, with these settings or without a learner.
    """
    policy: Policy = find(settings.policy.kind).make(settings, robot, z_size, fast, seed)
    return policy
