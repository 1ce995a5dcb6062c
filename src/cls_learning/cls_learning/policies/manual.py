"""Actions typed by the user, who may also confirm those that another policy proposes."""

from collections.abc import Callable

import numpy as np

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Floats, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner
from .action_parsing import parse_action
from .contract import EndOfActionsError, Policy, Selector

QUIT = ('q', 'stop')


def answered(typed: str, proposed: Floats, robot: RobotInfo) -> Floats:
    """Returns the action, float32 (A,) in robot units, that an answer to a proposed one means: empty takes it.

    Raises:
        UserError: the answer is not an action: the caller asks again.
        EndOfActionsError: the answer is `q` or `stop`.
    """
    typed = typed.strip()
    if typed.lower() in QUIT:
        raise EndOfActionsError('ended by the user')
    return parse_action(typed, robot) if typed else proposed


class ManualPolicy(Selector):
    """Asks for every action; see `answered`.

    Args:
        ask: shows a proposed action, float32 (A,) in robot units, and returns the answer; may raise EndOfActionsError
            at the end of the input.
        proposer: policy that proposes actions; without one, the last action is proposed, at first that of rest.
    """

    def __init__(self, robot: RobotInfo, ask: Callable[[Floats], str], proposer: Policy | None = None) -> None:
        self._robot = robot
        self._ask = ask
        self._proposer = proposer
        self._last = robot.zero()

    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        """See Policy; raises UserError where the answer is not an action: the caller asks again."""
        proposed = self._last
        if self._proposer is not None:
            proposed = self._robot.to_units(self._proposer.act(z, joints, step, generator))
        self._last = answered(self._ask(proposed.copy()), proposed, self._robot)
        return np.clip(self._robot.to_unit(self._last), -1.0, 1.0)

    def reward(self, transition: Transition, error_before: float) -> float:
        return self._proposer.reward(transition, error_before) if self._proposer is not None else 0.0


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> ManualPolicy:
    """Refuses, since a model or a node has no prompt; `./cls run` makes ManualPolicy itself.

    Raises:
        UserError: always.
    """
    raise UserError(
        "policy 'manual'",
        expected='a user at a prompt',
        found='no prompt',
        do='Act with ./cls run --policy manual, or move a learning robot in mode manual.',
    )
