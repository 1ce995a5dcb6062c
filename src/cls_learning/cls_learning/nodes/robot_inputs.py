"""What fast_learner receives from the robot: its description, joints and applied actions."""

import time
from typing import Any, TYPE_CHECKING

import numpy as np

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_applied_action
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_robot_info, to_array
from cls_common.robot import RobotInfo
from cls_interfaces.msg import AppliedAction

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode


class RobotInputs:
    """Passes what the robot publishes to the node's step builder.

    Attributes:
        robot: its description, None before it is known.
    """

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        self.robot: RobotInfo | None = None
        qos.subscription(node, comms.APPLIED_ACTION, self._on_applied)
        qos.subscription(node, comms.ROBOT_INFO, self._on_robot_info)
        qos.subscription(node, comms.JOINT_STATES, self._on_joints)

    @property
    def are_joints_known(self) -> bool:
        """Whether there is an angle for each joint of the robot."""
        return self.robot is not None and len(self._node.steps.joints) == len(self.robot.joint_names)

    def _on_robot_info(self, message: Any) -> None:
        steps, is_first = self._node.steps, self.robot is None
        self.robot = robot = from_robot_info(message)
        if not is_first:
            steps.reset()
            steps.joints = np.zeros(0)
        steps.settle_time, steps.lock_step = robot.settle_time, robot.lock_step
        self._node.number_actions()
        if self._node.config is not None:
            try:
                self._node.config.check_robot(robot)
            except UserError as error:
                # The weights mean nothing for another robot.
                self._node.learner = None
                self._node.status.report_fault(str(error))

    def _on_joints(self, message: Any) -> None:
        joints = to_array(message.position, np.float64)
        if np.isfinite(joints).all():
            self._node.steps.set_joints(joints)

    def _on_applied(self, message: AppliedAction) -> None:
        node, now = self._node, time.monotonic()
        key = (message.source, message.sequence)
        if message.error_code != AppliedAction.NONE:
            node.status.report_fault(f'action refused ({message.error_code}): {message.error_msg}')
            node.steps.break_chain()
            node.actions.pacing.refuse(now)
        elif node.retransmit.is_held and not node.steps.awaits(key):
            node.steps.break_chain()  # slow_learner would not receive it
        else:
            node.close_step(node.steps.add_applied_action(key, from_applied_action(message), now))
