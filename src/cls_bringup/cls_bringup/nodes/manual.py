"""Sends manual actions to the learner, or to the robot."""

import time

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import conversions
from cls_common.nodes.qos import publisher, subscription
from cls_common.robot import RobotInfo
from cls_interfaces.msg import RobotAction
from cls_interfaces.msg import RobotInfo as RobotInfoMessage

SOURCE = 'teleop'


class ManualControl:
    """Sends actions of the robot that `robot/info` describes.

    Publishers: manual_action (RobotAction), taken by fast_learner in mode manual; robot/action (RobotAction) only
    while there is no fast_learner, since a robot has one commander at a time.
    Subscribers: robot/info (RobotInfo).

    Args:
        node: owner of the endpoints.
        with_robot: whether to command the robot directly where no learner runs.
    """

    def __init__(self, node: Node, *, with_robot: bool = False) -> None:
        self._node = node
        self.info: RobotInfo | None = None
        self._learner = publisher(node, comms.MANUAL_ACTION)
        self._robot = publisher(node, comms.ROBOT_ACTION) if with_robot else None
        self._information = subscription(node, comms.ROBOT_INFO, self._on_info)
        # Increases within the source, also over restarts and with two teleops, since it starts at the wall clock's ms.
        self._sequence = time.time_ns() // 1_000_000

    @property
    def has_learner(self) -> bool:
        """Whether a fast_learner is present to take manual actions."""
        return self._node.count_publishers(comms.FAST_STATUS.name) > 0

    def send(self, values: NDArray[np.float32]) -> str:
        """Sends an action, float32 (A,) in the robot's units; returns one line with receiver and values.

        `info` must not be None.
        """
        target = self._learner if self.has_learner or self._robot is None else self._robot
        self._sequence += 1
        message = RobotAction(source=SOURCE, sequence=self._sequence, values=conversions.to_floats(values))
        message.header.stamp = self._node.get_clock().now().to_msg()
        target.publish(message)
        text = '  '.join(f'{c.name} {v:+g} {c.unit}'.rstrip() for c, v in zip(self.info.channels, values))
        return f'{"fast_learner" if target is self._learner else "robot"}: {text}'

    def _on_info(self, message: RobotInfoMessage) -> None:
        self.info = conversions.from_robot_info(message)
