"""Sends a person's actions to whoever takes them."""

import time

from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import conversions
from cls_common.nodes.qos import publisher, subscription
from cls_common.robot import RobotInfo
from cls_interfaces.msg import RobotAction
from cls_interfaces.msg import RobotInfo as RobotInfoMessage

from .. import keys

SOURCE = 'teleop'


class ManualControl:
    """Turns keys into actions of the robot that `robot/info` describes.

    Publishers: manual_action (RobotAction), taken by fast_learner in mode manual; robot/action (RobotAction) only
    while there is no fast_learner, since one at a time commands a robot.
    Subscribers: robot/info (RobotInfo).

    Args:
        node: whose endpoints these are.
        with_robot: whether to command the robot itself where no learner runs.
    """

    def __init__(self, node: Node, *, with_robot: bool = False) -> None:
        self._node = node
        self.info: RobotInfo | None = None
        self._learner = publisher(node, comms.MANUAL_ACTION)
        self._robot = publisher(node, comms.ROBOT_ACTION) if with_robot else None
        self._information = subscription(node, comms.ROBOT_INFO, self._on_info)
        # Counts up within the source, also over restarts and with two teleops: it begins at the wall clock's ms.
        self._sequence = time.time_ns() // 1_000_000

    @property
    def has_learner(self) -> bool:
        """Whether a fast_learner is there to take manual actions."""
        return self._node.count_publishers(comms.FAST_STATUS.name) > 0

    def send(self, key: str, step_deg: float = keys.STEP_DEG) -> str:
        """Sends the action of a key; returns one line for people that says what was asked of whom."""
        if self.info is None:
            return 'no robot has said yet what it can do (robot/info)'
        values = keys.action(key, self.info, step_deg)
        if values is None:
            return f'{self.info.name} has no channel for {key!r}'
        target = self._learner if self.has_learner or self._robot is None else self._robot
        self._sequence += 1
        message = RobotAction(source=SOURCE, sequence=self._sequence, values=conversions.to_floats(values))
        message.header.stamp = self._node.get_clock().now().to_msg()
        target.publish(message)
        asked = '  '.join(f'{c.name} {v:+g} {c.unit}'.rstrip() for c, v in zip(self.info.channels, values))
        return f'{"fast_learner" if target is self._learner else "robot"}: {asked}'

    def _on_info(self, message: RobotInfoMessage) -> None:
        self.info = conversions.from_robot_info(message)
