"""Curiosity policies by name: one file each, found by `policy.kind`."""

import importlib
from pathlib import Path

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from ..config import LearningSettings
from ..learners.fast import FastLearner
from .contract import Policy


def make(settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner, seed: int) -> Policy:
    """Makes an untrained policy.

    Raises:
        UserError: no such kind.
    """
    not_kinds = ('__init__', 'contract', 'cells')
    kinds = sorted(p.stem for p in Path(__file__).parent.glob('*.py') if p.stem not in not_kinds)
    kind = settings.policy.kind
    if kind not in kinds:
        raise UserError(f'unknown policy {kind!r}', expected='one of ' + ', '.join(kinds))
    policy: Policy = importlib.import_module(f'.{kind}', __package__).make(settings, robot, z_size, fast, seed)
    return policy
