"""Policies by name: one file each, found by `policy.kind`. Curious policies learn, selectors do not."""

from cls_common.robot import RobotInfo

from ..config import LearningSettings
from ..learners.fast import FastLearner
from ..registries import POLICIES
from .contract import Policy


def make(settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int) -> Policy:
    """Makes an untrained policy.

    Args:
        fast: predicts outcomes for curious policies; None without a learner.

    Raises:
        UserError: no such kind, or it can't act on this robot, with these settings or without a learner.
    """
    policy: Policy = POLICIES.make(settings.policy.kind, settings, robot, z_size, fast, seed)
    return policy
