"""A fixed sequence of actions, repeated."""

from collections.abc import Sequence

import numpy as np

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats

from ..config import LearningSettings
from ..learners.fast import FastLearner
from .action_parsing import parse_sequence
from .contract import Selector


class SequencePolicy(Selector):
    """Takes action s modulo their number at step s, so that a resumed run continues the sequence.

    Args:
        actions: float32 (A,) each, in robot units; one at least.
    """

    def __init__(self, actions: Sequence[Floats], robot: RobotInfo) -> None:
        if not actions:
            raise UserError('an empty sequence', expected='one action at least')
        self._units = robot.to_unit(np.stack(actions))  # (N, A)

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        action: Floats = self._units[step % len(self._units)].copy()
        return action


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> SequencePolicy:
    """Makes it with the actions of `policy.sequence`."""
    return SequencePolicy(parse_sequence(settings.policy.sequence, robot), robot)
