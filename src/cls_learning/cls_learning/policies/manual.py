"""A person types every action, or confirms what another policy proposes (rows 001-061, H13)."""

from collections.abc import Callable

import numpy as np

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner
from .contract import EndOfActionsError, Policy, Selector
from .typed import parse_action

QUIT = 'q'


class ManualPolicy(Selector):
    """Asks for every action: nothing typed takes the proposed one, `q` ends, anything else is read as an action.

    Args:
        ask: shows a proposed action, float32 (A,) in robot units, and returns what was typed; may raise
            EndOfActionsError where nobody types any more.
        proposer: whose actions are proposed; without one, the last action again, at first the one that does nothing.
    """

    def __init__(self, robot: RobotInfo, ask: Callable[[Floats], str], proposer: Policy | None = None) -> None:
        self._robot = robot
        self._ask = ask
        self._proposer = proposer
        self._last = robot.zero()

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        """See Policy; raises UserError where what was typed is no action: ask again."""
        proposed = self._last
        if self._proposer is not None:
            proposed = self._robot.to_units(self._proposer.act(z, joints, step, generator))
        typed = self._ask(proposed.copy()).strip()
        if typed.lower() == QUIT:
            raise EndOfActionsError('ended by the person who typed')
        self._last = parse_action(typed, self._robot) if typed else proposed
        return np.clip(self._robot.to_unit(self._last), -1.0, 1.0)

    def reward(self, transition: Transition, error_before: float) -> float:
        return self._proposer.reward(transition, error_before) if self._proposer is not None else 0.0


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> ManualPolicy:
    """Refuses: a model or a node has nobody to ask. `./cls run` does, and makes ManualPolicy itself.

    Raises:
        UserError: always.
    """
    raise UserError(
        "policy 'manual'", expected='a person at a prompt', found='nobody to ask',
        do='Act with ./cls run --policy manual, or move a learning robot in mode manual.',
    )  # fmt: skip
