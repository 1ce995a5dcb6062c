"""What the servo driver publishes."""

from collections.abc import Sequence

from builtin_interfaces.msg import Time
from rclpy.node import Node

from cls_common import comms
from cls_common.diagnostics import Health
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_robot_info
from cls_common.nodes.diagnostics import to_diagnostics
from cls_common.robot import RobotInfo

from ..action_results import ActionResult
from ..protocol import Angles
from ..safety import Code, DriverState, Refusal
from . import messages


class ServoPublishers:
    """Publishers of the driver, with stamps; a state only when it changes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._state: tuple[DriverState, Refusal] | None = None
        self._info_out = qos.publisher(node, comms.ROBOT_INFO)
        self._state_out = qos.publisher(node, comms.ROBOT_STATE)
        self._applied_out = qos.publisher(node, comms.APPLIED_ACTION)
        self._joints_out = qos.publisher(node, comms.JOINT_STATES)
        self._diagnostics_out = qos.publisher(node, comms.DIAGNOSTICS)

    def info(self, robot: RobotInfo) -> None:
        """Publishes the robot's description."""
        self._info_out.publish(to_robot_info(robot, self._now()))

    def result(self, result: ActionResult) -> None:
        """Publishes the result of an action, and the angles after it."""
        self._applied_out.publish(messages.to_applied_action(result))
        self.joints(result.after)

    def state(self, state: DriverState, reason: Refusal) -> None:
        """Publishes the driver's state if it is another one than before; logs a lost link and an emergency stop."""
        if (state, reason) == self._state:
            return
        self._state = state, reason
        self._state_out.publish(messages.to_state(state, reason, self._now()))
        if reason.code in (Code.STATE_LINK_LOST, Code.EMERGENCY_STOP):
            self._node.get_logger().error(reason.text)

    def joints(self, angles: Angles | None) -> None:
        """Publishes joint angles, degrees; nothing while they are unknown."""
        if angles is not None:
            self._joints_out.publish(messages.to_joint_state(angles, self._now()))

    def diagnostics(self, hardware_id: str, health: Sequence[Health]) -> None:
        """Publishes the health of the parts of the robot."""
        namespace = self._node.get_namespace()
        self._diagnostics_out.publish(to_diagnostics(namespace, hardware_id, health, self._now()))

    def _now(self) -> Time:
        return self._node.get_clock().now().to_msg()
