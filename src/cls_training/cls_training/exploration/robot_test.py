"""Tries single actions of a simulated robot: the pictures before and after each, and their difference."""

from dataclasses import dataclass

import numpy as np

from cls_common.errors import UserError
from cls_common.images import Image
from cls_common.transition import Floats
from cls_learning.brains.developmental.actions import candidates
from cls_sim.robots import SimulatedRobot

# Background between pictures, and its width in pixels.
_GREY, _GAP = 40, 4


@dataclass(frozen=True)
class Trial:
    """One action and what it changed.

    Attributes:
        action: as it was commanded, robot units. before, after: uint8 (H, W, 3). changed: share of the pixels.
    """

    action: Floats
    before: Image
    after: Image
    changed: float

    @property
    def figure(self) -> Image:
        """Before, after and the absolute difference, from left to right."""
        difference = np.abs(self.after.astype(np.int16) - self.before).astype(np.uint8)
        gap = np.full((len(self.before), _GAP, 3), _GREY, np.uint8)
        return np.concatenate([self.before, gap, self.after, gap, difference], axis=1)


def try_actions(robot: SimulatedRobot, most: int = 9) -> list[Trial]:
    """Tries each action once, from where the one before led to: actions that cover those of the robot.

    Raises:
        UserError: the robot has no camera.
    """
    if 'camera' not in robot.info.modalities:
        raise UserError(f'robot {robot.info.name!r}', expected='a camera', found='none')
    now, trials = robot.reset(), []
    for unit in candidates(robot.info, most):
        action = robot.info.to_units(unit)
        step = robot.step(action)
        assert now.image is not None and step.image is not None
        changed = float((now.image != step.image).any(-1).mean())
        trials.append(Trial(action, now.image, step.image, changed))
        now = step.restart or step
    return trials
