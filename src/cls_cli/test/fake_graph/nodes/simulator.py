"""Publishes its description, answers actions as applied, and stops."""

import sys

from rclpy.node import Node
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.nodes import conversions, runner
from cls_common.nodes.qos import publisher, subscription
from cls_common.robot import Channel, Kind, RobotInfo
from cls_interfaces.msg import AppliedAction, RobotAction, RobotState

INFO = RobotInfo(
    'fake',
    ('camera',),
    tuple(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in ('pan', 'tilt')),
    ('pan', 'tilt'),
    (-1.5, -0.7),
    (1.5, 0.7),
)


class FakeSimulator(Node):
    """A robot whose action has no effect."""

    def __init__(self) -> None:
        super().__init__('simulator')
        self._info = publisher(self, comms.ROBOT_INFO)
        self._info.publish(conversions.to_robot_info(INFO, self.get_clock().now().to_msg()))
        self._state = publisher(self, comms.ROBOT_STATE)
        self._say(RobotState.READY, RobotState.NONE, '')
        self._applied = publisher(self, comms.APPLIED_ACTION)
        subscription(self, comms.ROBOT_ACTION, self._apply)
        self.create_service(Trigger, comms.EMERGENCY_STOP.name, self._stop)
        self.create_service(Trigger, comms.REARM.name, self._rearm)

    def _apply(self, action: RobotAction) -> None:
        print('applied', action.source, list(action.values), flush=True)
        message = AppliedAction(source=action.source, sequence=action.sequence)
        message.commanded = message.applied = action.values
        self._applied.publish(message)

    def _say(self, state: int, code: int, text: str) -> None:
        self._state.publish(RobotState(state=state, error_code=code, error_msg=text))

    def _stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._say(RobotState.STOPPED, RobotState.EMERGENCY_STOP, 'stopped by emergency_stop; rearm to go on')
        response.success, response.message = True, 'stopped'
        return response

    def _rearm(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._say(RobotState.READY, RobotState.NONE, '')
        response.success, response.message = True, 'ready'
        return response


def main() -> int:
    """Runs the node."""
    return runner.run(FakeSimulator)


if __name__ == '__main__':
    sys.exit(main())
