"""Counts steps, obeys set_mode and manual_action."""

import os
import sys

from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import runner
from cls_common.nodes.experience_messages import to_metrics
from cls_common.nodes.qos import interface, publisher, steady_timer, subscription
from cls_interfaces.msg import LearnerStatus, RobotAction
from cls_interfaces.srv import SetMode


class FakeFastLearner(Node):
    """Publishes fast_learner/status; a step each 20 ms where a mode acts by itself, else one a manual action."""

    def __init__(self) -> None:
        super().__init__('fast_learner')
        self._max_steps = self.declare_parameter('max_steps', 0).value
        self._status = LearnerStatus(
            node='fast_learner', phase='wake', mode=self.declare_parameter('mode', 'random').value, model='fake',
            loaded=True, wake_steps_per_cycle=500, rate_hz=50.0, frame_rate=30.0,
            metrics=to_metrics({'fast_loss': 0.25, 'skill': float('nan')}, {'skill': True}), joints=[0.1, -0.2],
        )  # fmt: skip
        if self.declare_parameter('prints_pid', False).value:
            self._status.metrics = to_metrics({'pid': os.getpid()})
        self._publisher = publisher(self, comms.FAST_STATUS)
        self.create_service(interface(comms.SET_MODE.type), comms.SET_MODE.name, self._set_mode)
        subscription(self, comms.MANUAL_ACTION, self._on_manual)
        steady_timer(self, 0.02, self._tick)
        if not self.declare_parameter('silent', False).value:
            steady_timer(self, 0.1, lambda: self._publisher.publish(self._status))

    def _tick(self) -> None:
        if self._status.mode != 'manual' and self._status.phase != 'done':
            self._step()

    def _step(self) -> None:
        self._status.steps += 1
        self._status.total_steps += 1
        self._status.wake_steps_in_cycle = self._status.steps % 500
        if self._status.steps == self._max_steps:
            self._status.phase = 'done'
            self._publisher.publish(self._status)

    def _on_manual(self, message: RobotAction) -> None:
        self._status.fault = f'{message.source} {list(message.values)}'
        self._step()

    def _set_mode(self, request: SetMode.Request, response: SetMode.Response) -> SetMode.Response:
        response.success = request.mode in comms.MODES
        if response.success:
            self._status.mode = request.mode
        response.mode = self._status.mode
        response.message = f'mode {self._status.mode}' if response.success else f'unknown mode {request.mode!r}'
        return response


def main() -> int:
    """Runs the node."""
    return runner.run(FakeFastLearner)


if __name__ == '__main__':
    sys.exit(main())
