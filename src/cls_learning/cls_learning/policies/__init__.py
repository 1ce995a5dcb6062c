"""Curiosity policies by name: one file each, found by `policy.kind`."""

import importlib
from pathlib import Path
from types import ModuleType

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from ..config import LearningSettings
from ..learners.fast import FastLearner
from .contract import Policy


def find(kind: str) -> ModuleType:
    """Returns the module of a kind of policy.

    Raises:
        UserError: no such kind.
    """
    not_kinds = ('__init__', 'contract', 'cells')
    kinds = sorted(p.stem for p in Path(__file__).parent.glob('*.py') if p.stem not in not_kinds)
    if kind not in kinds:
        raise UserError(f'unknown policy {kind!r}', expected='one of ' + ', '.join(kinds))
    return importlib.import_module(f'.{kind}', __package__)


def make(settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner, seed: int) -> Policy:
    """Makes an untrained policy.

    Raises:
        UserError: no such kind.
    """
    policy: Policy = find(settings.policy.kind).make(settings, robot, z_size, fast, seed)
    return policy
