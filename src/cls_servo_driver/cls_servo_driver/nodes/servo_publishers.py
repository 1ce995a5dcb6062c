"""What the servo driver publishes."""

from rclpy.node import Node
from sensor_msgs.msg import JointState

from cls_common import comms
from cls_common.driver.actions import ActionResult
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_floats
from cls_common.nodes.driver_publishers import DriverPublishers

from ..description import JOINTS, to_radians


class ServoPublishers(DriverPublishers):
    """Those of every driver, and joint states."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._joints_out = qos.publisher(node, comms.JOINT_STATES)

    def result(self, result: ActionResult) -> None:
        """Publishes the result of an action, and the angles after it."""
        super().result(result)
        self.joints(result.after)

    def joints(self, angles: tuple[float, ...] | None) -> None:
        """Publishes joint angles, degrees; nothing while they are unknown."""
        if angles is not None:
            message = JointState(name=list(JOINTS), position=to_floats(to_radians(angles), 'd'))
            message.header.stamp = self._now()
            self._joints_out.publish(message)
