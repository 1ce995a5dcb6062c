"""What every robot driver publishes."""

from collections.abc import Sequence

from builtin_interfaces.msg import Time
from rclpy.node import Node

from .. import comms
from ..diagnostics import Health
from ..driver.actions import ActionResult
from ..driver.safety import Code, DriverState, Refusal
from ..robot import RobotInfo
from . import qos
from .conversions import to_robot_info
from .diagnostics import to_diagnostics
from .driver_messages import to_applied_action, to_state


class DriverPublishers:
    """Publishers of a driver, with stamps; a state only when it changes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._state: tuple[DriverState, Refusal] | None = None
        self._info_out = qos.publisher(node, comms.ROBOT_INFO)
        self._state_out = qos.publisher(node, comms.ROBOT_STATE)
        self._applied_out = qos.publisher(node, comms.APPLIED_ACTION)
        self._diagnostics_out = qos.publisher(node, comms.DIAGNOSTICS)

    def info(self, robot: RobotInfo) -> None:
        """Publishes the robot's description."""
        self._info_out.publish(to_robot_info(robot, self._now()))

    def result(self, result: ActionResult) -> None:
        """Publishes the result of an action."""
        self._applied_out.publish(to_applied_action(result))

    def state(self, state: DriverState, reason: Refusal) -> None:
        """Publishes the driver's state if it is another one than before; logs a lost link and an emergency stop."""
        if (state, reason) == self._state:
            return
        self._state = state, reason
        self._state_out.publish(to_state(state, reason, self._now()))
        if reason.code in (Code.STATE_LINK_LOST, Code.EMERGENCY_STOP):
            self._node.get_logger().error(reason.text)

    def diagnostics(self, hardware_id: str, health: Sequence[Health]) -> None:
        """Publishes the health of the parts of the robot."""
        namespace = self._node.get_namespace()
        self._diagnostics_out.publish(to_diagnostics(namespace, hardware_id, health, self._now()))

    def _now(self) -> Time:
        return self._node.get_clock().now().to_msg()
