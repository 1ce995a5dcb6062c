"""The node `servo_driver`."""

from collections.abc import Sequence
import sys
import time

from cls_common.driver.link import Link
from cls_common.driver.safety import StopLatch
from cls_common.nodes import qos
from cls_common.nodes.driver_node import DriverNode
from cls_common.nodes.parameters import declare
from cls_common.nodes.runner import run

from ..board import Board
from ..description import describe, report
from ..driver import Driver, DriverStatus
from ..ports import choose_port, find_ports, SerialPort
from ..settings import ServoDriverSettings
from ..transport import SerialTransport
from .servo_publishers import ServoPublishers

_DIAGNOSTICS_PERIOD = 1.0


class ServoDriver(DriverNode):
    """Drives a pan-tilt robot: two servos on a serial board.

    | Parameters | fields of `ServoDriverSettings`: port, limits, timeouts, torque policies |
    | --- | --- |

    | Publishers | what |
    | --- | --- |
    | `robot/info` | 'pan_tilt': channels and joints pan and tilt, limits, settle time |
    | `robot/state` | ready, moving, stopped, fault; published when it changes |
    | `robot/applied_action` | result of each action received, including refused ones |
    | `joint_states` | pan and tilt, rad, as last acknowledged; not published while unknown |
    | `/diagnostics` | 1 Hz: `robot: link`, `robot: joint pan`, `robot: joint tilt`, after the namespace |

    | Subscribers | what |
    | --- | --- |
    | `robot/action` | change of pan and tilt, degrees; repeated ones are answered again, not carried out again |

    | Services | what |
    | --- | --- |
    | `emergency_stop` | latches; torque off at once; success: confirmed by the board |
    | `rearm` | ends the emergency stop |
    """

    # Torque has to be off within 50 ms; the service reports the board's confirmation within 100 ms.
    STOP_WAIT = 0.06
    STOPPED = 'torque is off; call rearm to continue'
    NOT_CONFIRMED = 'latched, but the board has not confirmed that torque is off: cut its power to be sure'
    ARMED = 'armed; the next action switches torque on'

    def __init__(self) -> None:
        super().__init__('servo_driver')
        self._settings = declare(self, ServoDriverSettings)
        self._port: SerialPort | None = None
        self._link: Link[DriverStatus] | None = None
        self._publish: ServoPublishers = ServoPublishers(self)
        if self._settings.autostart:
            self.autostart()

    def configure(self) -> None:
        """Opens the port and reads the angles. Nothing moves."""
        driver = Driver(
            self._connect,
            self._settings,
            on_moving=self._change.trigger,
            stamp=lambda: int(self.get_clock().now().nanoseconds),
            clock=time.monotonic,
        )
        link = Link(
            driver,
            self._settings.reconnect,
            self._change.trigger,
            time.monotonic,
            off_on_exit=self._settings.torque_off_on_exit,
        )
        driver.connect()
        self._link = link

    def activate(self) -> None:
        """Accepts actions and keeps the board alive; the first action switches torque on."""
        assert self._link is not None
        self._link.start()
        self._is_active = True
        self._publish.info(describe(self._settings))
        self._accept([
            qos.steady_timer(self, 1.0 / self._settings.joint_rate, self._publish_joints),
            qos.steady_timer(self, _DIAGNOSTICS_PERIOD, self._publish_diagnostics),
        ])  # fmt: skip

    def deactivate(self) -> None:
        """Stops accepting actions; switches torque off unless `torque_off_on_exit` is false."""
        self._refuse()
        if self._link is not None:
            self._publish_end('the servo driver is not active')

    def cleanup(self) -> None:
        """Closes the port."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        """Switches torque off and closes the port."""
        self.deactivate()
        self.cleanup()

    def _connect(self, latch: StopLatch) -> Board:
        settings = self._settings
        port = choose_port(settings.port, find_ports(), self._port)
        transport = SerialTransport(port.device, settings.baud)
        board = Board(
            transport,
            latch,
            open_wait=settings.open_wait,
            reply_timeout=settings.reply_timeout,
            timeout=settings.firmware_timeout,
        )
        # Set after it has answered as a servo board.
        self._port = port
        self.get_logger().info(f'servo board on {port}, angles {board.angles} deg')
        if not board.has_timeout:
            self.get_logger().warning('this firmware has no timeout: torque stays on when this process is killed')
        return board

    def _publish_joints(self) -> None:
        if self._link is not None:
            self._publish.joints(self._link.status().angles)

    def _publish_diagnostics(self) -> None:
        if self._link is not None:
            hardware_id = self._port.serial_number or self._port.device if self._port else self._settings.port
            self._publish.diagnostics(hardware_id, report(self._link.status(), self._settings))


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node; returns the exit status."""
    return run(ServoDriver, args)


if __name__ == '__main__':
    sys.exit(main())
