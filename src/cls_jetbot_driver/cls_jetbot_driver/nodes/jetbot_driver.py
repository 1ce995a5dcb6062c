"""The node `jetbot_driver`."""

from collections.abc import Sequence
import sys
import time

from rclpy.guard_condition import GuardCondition

from cls_common.driver.link import Link
from cls_common.errors import UserError
from cls_common.nodes import qos
from cls_common.nodes.driver_node import DriverNode
from cls_common.nodes.driver_publishers import DriverPublishers
from cls_common.nodes.parameters import declare
from cls_common.nodes.runner import run
from cls_perception.camera_reader import CameraReader
from cls_perception.nodes.image_publishers import ImagePublishers, stream_health

from ..camera import JetBotCamera
from ..connection import Connection
from ..controller import JetBotController, JetBotStatus
from ..description import describe, report
from ..jetbot import JetBot
from ..settings import JetBotDriverSettings

_DIAGNOSTICS_PERIOD, _WATCH_PERIOD = 1.0, 0.1


class JetBotDriver(DriverNode):
    """Drives a JetBot and publishes its camera.

    | Parameters | fields of `JetBotDriverSettings`: host, motor values, duration, timeouts |
    | --- | --- |

    | Publishers | what |
    | --- | --- |
    | `robot/info` | 'jetbot': one discrete channel, the number of an action; settle time |
    | `robot/state` | ready, moving, stopped, fault; published when it changes |
    | `robot/applied_action` | result of each action received, including refused ones |
    | `camera/image_raw`, `camera/camera_info`, `camera/image_raw/compressed` | as those of the node `camera` |
    | `/diagnostics` | 1 Hz: `robot: link`, `camera: stream`, after the namespace |

    | Subscribers | what |
    | --- | --- |
    | `robot/action` | number of an action; repeated ones are answered again, not carried out again |

    | Services | what |
    | --- | --- |
    | `emergency_stop` | latches; motors to 0 at once; success: confirmed by the robot |
    | `rearm` | ends the emergency stop |
    """

    STOP_WAIT = 0.2
    STOPPED = 'motors are at 0; call rearm to continue'
    NOT_CONFIRMED = 'latched, but the robot has not confirmed that its motors are at 0: switch it off to be sure'
    ARMED = 'armed; the next action moves the robot'

    def __init__(self) -> None:
        super().__init__('jetbot_driver')
        self._settings = declare(self, JetBotDriverSettings)
        self._address = self._settings.address()
        self._driver: JetBotController | None = None
        self._link: Link[JetBotStatus] | None = None
        self._camera: JetBotCamera | None = None
        self._reader: CameraReader | None = None
        self._publish = DriverPublishers(self)
        self._images = ImagePublishers(self)
        # Triggered by the camera's thread; images are published from the executor's thread.
        self._frame_ready: GuardCondition = self.create_guard_condition(self._publish_frame)
        if self._settings.autostart:
            self.autostart()

    def configure(self) -> None:
        """Connects to the robot: motors to 0."""
        settings = self._settings
        driver = JetBotController(
            self._connect, settings, on_moving=self._change.trigger,
            stamp=lambda: int(self.get_clock().now().nanoseconds), camera_problem=self._camera_problem,
        )  # fmt: skip
        driver.connect()
        self._driver = driver
        self._link = Link(driver, settings.reconnect, self._change.trigger, time.monotonic)
        self._camera = JetBotCamera(self._address, frame_rate=settings.frame_rate, timeout=settings.request_timeout)
        self.get_logger().info(f'JetBot at {self._camera.label}, {len(settings.actions())} actions, motors at 0')

    def activate(self) -> None:
        """Opens the camera and publishes its images; accepts actions."""
        assert self._link is not None and self._camera is not None
        self._camera.open()
        self._reader = CameraReader(self._camera, lambda: self.get_clock().now().nanoseconds, self._frame_ready.trigger)
        self._reader.start()
        self._link.start()
        self._is_active = True
        self._publish.info(describe(self._settings))
        self._accept([
            qos.steady_timer(self, _DIAGNOSTICS_PERIOD, self._publish_diagnostics),
            qos.steady_timer(self, _WATCH_PERIOD, self._check_lost),
        ])  # fmt: skip

    def deactivate(self) -> None:
        """Stops accepting actions; motors to 0."""
        self._refuse()
        if self._reader is not None and self._camera is not None:
            self._camera.abort()
            self._reader.stop()
            self._reader = None
        if self._link is not None and self._is_active:
            self._publish_end('the JetBot driver is not active')

    def cleanup(self) -> None:
        """Closes both connections."""
        if self._link is not None:
            self._link.close()
        if self._camera is not None:
            self._camera.close()
        self._driver = self._link = self._camera = None

    def close(self) -> None:
        """Sets the motors to 0 and closes the connections."""
        self.deactivate()
        self.cleanup()

    def _connect(self) -> JetBot:
        return JetBot(Connection(self._address, self._settings.motor_timeout), self._settings.max_motor)

    def _camera_problem(self) -> str:
        reader = self._reader
        level, text = reader.stream.health(time.monotonic()) if reader is not None else (0, '')
        return text if level == 2 else ''

    def _check_lost(self) -> None:
        give_up = self._settings.give_up
        if self._driver is not None and 0 < give_up < (status := self._driver.status()).lost_for:
            raise UserError(f'the JetBot was lost for {give_up:g} s: {status.reason.text}')

    def _publish_frame(self) -> None:
        frame = self._reader.take() if self._reader is not None else None
        if frame is not None:
            self._images.publish(frame)

    def _publish_diagnostics(self) -> None:
        if self._link is not None and self._reader is not None and self._camera is not None:
            health = [report(self._link.status()), stream_health(self._reader.stream)]
            self._publish.diagnostics(self._camera.label, health)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node; returns the exit status."""
    return run(JetBotDriver, args)


if __name__ == '__main__':
    sys.exit(main())
