"""fast_learner's mode, and the actions that a person sends in mode manual."""

from typing import TYPE_CHECKING

from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_array
from cls_common.robot import check_action
from cls_interfaces.msg import RobotAction
from cls_interfaces.srv import SetMode

from ..brain import check_mode
from ..runtime.online_loop import OnlineLoop

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode


class ModeControl:
    """Serves set_mode and carries out manual actions.

    Attributes:
        mode: who decides on actions, one of `comms.MODES`.

    Args:
        loop: discards an action that another mode chose.
    """

    def __init__(self, node: 'FastLearnerNode', mode: str, loop: OnlineLoop) -> None:
        self._node = node
        self._loop = loop
        self.mode = mode
        qos.subscription(node, comms.MANUAL_ACTION, self._on_manual)
        node.create_service(SetMode, comms.SET_MODE.name, self._on_set_mode)

    def report_fault(self, text: str) -> None:
        """Reports a fault of acting."""
        self._node.status.report_fault(text)

    def check(self) -> None:
        """Sets the mode to `manual` and reports it where the brain of the model can't act in the present one."""
        try:
            self._check(self.mode)
        except UserError as error:
            self.mode = 'manual'
            self.report_fault(f'{error}; mode is manual now')

    def _check(self, mode: str) -> None:
        if mode not in comms.MODES:
            raise UserError('mode', expected=' or '.join(comms.MODES), found=repr(mode))
        if self._node.config is not None:
            check_mode(self._node.config.brain, mode)

    def _on_manual(self, message: RobotAction) -> None:
        node, robot = self._node, self._node.robot
        if self.mode != 'manual' or node.phase != 'wake' or robot is None:
            node.status.report_fault(f'manual action refused: mode is {self.mode}, phase is {node.phase}')
        elif node.steps.can_start:
            try:
                node.actions.send(check_action(robot, to_array(message.values)))
            except UserError as error:
                node.status.report_fault(str(error))

    def _on_set_mode(self, request: SetMode.Request, response: SetMode.Response) -> SetMode.Response:
        try:
            self._check(request.mode)
        except UserError as error:
            response.message = str(error)
        else:
            response.success = True
            self.mode = request.mode
            response.message = f'mode {self.mode}'
            self._loop.clear()
            self._node.status.publish()
        response.mode = self.mode
        return response
