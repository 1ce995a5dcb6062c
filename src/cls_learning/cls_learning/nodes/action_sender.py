"""fast_learner's publisher of actions: numbers them, and sends an unanswered one again."""

import time

from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_floats
from cls_common.step_builder import StepBuilder
from cls_common.transition import Floats
from cls_interfaces.msg import RobotAction

from ..runtime.pacing import Pacing


class ActionSender:
    """Opens a step for each action that it sends.

    Attributes:
        pacing: of the actions.
    """

    def __init__(self, node: Node, steps: StepBuilder, rate: float) -> None:
        self._node = node
        self._steps = steps
        self.pacing = Pacing(rate)
        # Sequences go on rising over a restart of this node, so that no driver takes a new action for an old one.
        self._sequence = time.time_ns() // 1000
        self._last: RobotAction | None = None
        self._out = qos.publisher(node, comms.ROBOT_ACTION)

    def number_from(self, sequence: int) -> None:
        """Numbers the next action `sequence` + 1.

        In lock-step an action has the number of its step, so that one sent again after a restart is done once.
        """
        self._sequence = sequence

    def send(self, values: Floats) -> None:
        """Sends an action, float32 (A,) in robot units."""
        now, source = time.monotonic(), self._node.get_name()
        self._sequence += 1
        self.pacing.send(now)
        self._steps.open((source, self._sequence), now)
        self._last = RobotAction(source=source, sequence=self._sequence, values=to_floats(values))
        self._last.header.stamp = self._node.get_clock().now().to_msg()
        self._out.publish(self._last)

    def tick(self, now: float) -> None:
        """Sends an unanswered action again: a driver answers a sequence twice but acts on it once."""
        if self._steps.is_unanswered and self._last is not None and self.pacing.may_repeat(now):
            self.pacing.repeat(now)
            self._out.publish(self._last)
