"""The node that owns the servo board."""

from collections.abc import Sequence
import sys
import time

from rclpy.timer import Timer
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_robot_info
from cls_common.nodes.diagnostics import to_diagnostics
from cls_common.nodes.lifecycle import SelfStartingNode
from cls_common.nodes.parameters import declare
from cls_common.nodes.runner import run
from cls_interfaces.msg import RobotAction

from ..board import Board
from ..description import describe, report
from ..driver import Driver
from ..link import Link
from ..ports import choose_port, find_ports, Port
from ..safety import Code, Refusal, State, StopLatch
from ..settings import ServoDriverSettings
from ..transport import SerialTransport
from . import messages

_DIAGNOSTICS_PERIOD = 1.0
# Torque has to be off within 50 ms; the service says whether the board confirmed it, and answers within 100 ms.
_STOP_WAIT = 0.06


class ServoDriver(SelfStartingNode):
    """Moves a pan-tilt robot: two servos on a serial board (rows 000-065 to 000-068, 000-097 to 000-101).

    | Parameters | as `ServoDriverSettings` says: port, limits, timeouts, torque policies |
    | --- | --- |

    | Publishers | what |
    | --- | --- |
    | `robot/info` | 'pan_tilt': channels and joints pan and tilt, limits, settle time |
    | `robot/state` | ready, moving, stopped, fault; published when it changes |
    | `robot/applied_action` | what was done with each action heard, a refused one too |
    | `joint_states` | pan and tilt, rad, as last acknowledged; silent while unknown |
    | `/diagnostics` | 1 Hz: `robot: link`, `robot: joint pan`, `robot: joint tilt`, after the namespace |

    | Subscribers | what |
    | --- | --- |
    | `robot/action` | change of pan and tilt, degrees; repeated ones are answered again, not done again |

    | Services | what |
    | --- | --- |
    | `emergency_stop` | latches; torque off at once; success says that the board confirmed it |
    | `rearm` | ends the emergency stop |
    """

    def __init__(self) -> None:
        super().__init__('servo_driver')
        self._settings = declare(self, ServoDriverSettings)
        self._port: Port | None = None
        self._link: Link | None = None
        self._is_active = False
        self._told: tuple[State, Refusal] | None = None
        self._clockwork: list[Timer] = []
        self._endpoints: list[tuple[str, object]] = []
        self._info_publisher = qos.publisher(self, comms.ROBOT_INFO)
        self._state_publisher = qos.publisher(self, comms.ROBOT_STATE)
        self._applied_publisher = qos.publisher(self, comms.APPLIED_ACTION)
        self._joints_publisher = qos.publisher(self, comms.JOINT_STATES)
        self._diagnostics_publisher = qos.publisher(self, comms.DIAGNOSTICS)
        # The link's thread only triggers it: everything is published from the executor's thread.
        self._change = self.create_guard_condition(self._tell)
        if self._settings.autostart:
            self.autostart()

    def configure(self) -> None:
        """Opens the port and learns where the servos are. Nothing moves."""
        driver = Driver(
            self._connect, self._settings, on_moving=self._change.trigger,
            stamp=lambda: int(self.get_clock().now().nanoseconds), clock=time.monotonic,
        )  # fmt: skip
        link = Link(driver, self._settings, self._change.trigger, time.monotonic)
        driver.connect()
        self._link = link

    def activate(self) -> None:
        """Takes actions and keeps the board alive; torque comes with the first action."""
        assert self._link is not None
        self._link.start()
        self._is_active = True
        self._info_publisher.publish(to_robot_info(describe(self._settings), self.get_clock().now().to_msg()))
        self._endpoints = [
            ('subscription', qos.subscription(self, comms.ROBOT_ACTION, self._take_action)),
            ('service', self.create_service(Trigger, comms.EMERGENCY_STOP.name, self._emergency_stop)),
            ('service', self.create_service(Trigger, comms.REARM.name, self._rearm)),
        ]
        self._clockwork = [
            qos.steady_timer(self, 1.0 / self._settings.joint_rate, self._tell_joints),
            qos.steady_timer(self, _DIAGNOSTICS_PERIOD, self._tell_health),
        ]
        self._tell()

    def deactivate(self) -> None:
        """Takes no more actions; torque goes off unless `torque_off_on_exit` is false."""
        for timer in self._clockwork:
            self.destroy_timer(timer)
        for kind, endpoint in self._endpoints:
            getattr(self, f'destroy_{kind}')(endpoint)
        self._clockwork, self._endpoints = [], []
        if self._link is not None:
            self._link.stop()
            self._tell()
            # The link's last trigger may still come, and must not say ready after this.
            self._is_active = False
            self._tell_state(State.FAULT, Refusal(Code.POSITION_UNKNOWN, 'the servo driver is not active'))

    def cleanup(self) -> None:
        """Gives the port back."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        """Ends in order: torque off, port closed."""
        self.deactivate()
        self.cleanup()

    def _connect(self, latch: StopLatch) -> Board:
        settings = self._settings
        port = choose_port(settings.port, find_ports(), self._port)
        transport = SerialTransport(port.device, settings.baud)
        board = Board(
            transport, latch, open_wait=settings.open_wait, reply_timeout=settings.reply_timeout,
            timeout=settings.firmware_timeout,
        )  # fmt: skip
        # Known once it has answered as a servo board.
        self._port = port
        self.get_logger().info(f'servo board on {port}, angles {board.angles} deg')
        if not board.has_timeout:
            self.get_logger().warning('this firmware has no timeout: torque stays on when this process is killed')
        return board

    def _take_action(self, message: RobotAction) -> None:
        if self._link is not None:
            now = self.get_clock().now().nanoseconds
            self._link.submit(messages.from_action(message, now, time.monotonic()))

    def _emergency_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._link is not None and self._link.emergency_stop(_STOP_WAIT)
        response.message = (
            'torque is off; call rearm to go on' if response.success
            else 'latched, but the board has not confirmed that torque is off: cut its power to be sure'
        )  # fmt: skip
        return response

    def _rearm(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        hindrance = self._link.rearm() if self._link is not None else 'the driver is not active'
        response.success = not hindrance
        response.message = hindrance or 'armed; torque comes with the next action'
        return response

    def _tell(self) -> None:
        if self._link is None or not self._is_active:
            return
        for answer in self._link.take_answers():
            self._applied_publisher.publish(messages.to_applied(answer))
            if answer.after is not None:
                self._joints_publisher.publish(messages.to_joint_state(answer.after, self.get_clock().now().to_msg()))
        snapshot = self._link.snapshot()
        self._tell_state(snapshot.state, snapshot.reason)

    def _tell_state(self, state: State, reason: Refusal) -> None:
        if (state, reason) == self._told:
            return
        self._told = state, reason
        self._state_publisher.publish(messages.to_state(state, reason, self.get_clock().now().to_msg()))
        if reason.code in (Code.STATE_LINK_LOST, Code.EMERGENCY_STOP):
            self.get_logger().error(reason.text)

    def _tell_joints(self) -> None:
        angles = self._link.snapshot().angles if self._link is not None else None
        if angles is not None:
            self._joints_publisher.publish(messages.to_joint_state(angles, self.get_clock().now().to_msg()))

    def _tell_health(self) -> None:
        if self._link is not None:
            health = report(self._link.snapshot(), self._settings)
            hardware_id = self._port.serial_number or self._port.device if self._port else self._settings.port
            self._diagnostics_publisher.publish(
                to_diagnostics(self.get_namespace(), hardware_id, health, self.get_clock().now().to_msg())
            )


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node; returns the exit status."""
    return run(ServoDriver, args)


if __name__ == '__main__':
    sys.exit(main())
