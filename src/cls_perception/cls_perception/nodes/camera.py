"""The node `camera`: publishes a device, a video file or a folder of images."""

from collections.abc import Sequence
import sys

from rclpy.guard_condition import GuardCondition
from rclpy.timer import Timer

from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import parameters, qos
from cls_common.nodes.diagnostics import to_diagnostics
from cls_common.nodes.lifecycle import AutostartLifecycleNode
from cls_common.nodes.runner import run
from cls_perception import cameras
from cls_perception.camera import Camera
from cls_perception.camera_reader import CameraReader
from cls_perception.nodes.image_publishers import ImagePublishers, stream_health
from cls_perception.settings import CameraSettings

_DIAGNOSTICS_PERIOD = 1.0  # s


class CameraNode(AutostartLifecycleNode):
    """Publishes each new frame at once. A missing camera fails the start, a camera lost later does not.

    Parameters:
        source, frame_rate, width, height, loop, lock_exposure, warm_up, autostart: see
            cls_perception/settings.py. All are read at start.

    Publishers:
        camera/image_raw (sensor_msgs/Image): rgb8, stamp: time of acquisition.
        camera/camera_info (sensor_msgs/CameraInfo): size only; all zeros in K: not calibrated.
        camera/image_raw/compressed (sensor_msgs/CompressedImage): JPEG 90, only while there are subscribers.
        /diagnostics (diagnostic_msgs/DiagnosticArray): `camera: stream` after the namespace, 1 Hz.
    """

    def __init__(self) -> None:
        super().__init__('camera')
        self._settings = parameters.declare(self, CameraSettings)
        self._camera: Camera | None = None
        self._reader: CameraReader | None = None
        self._frame_ready: GuardCondition | None = None
        self._timer: Timer | None = None
        self._logged = (0, '')
        self._images = ImagePublishers(self)
        self._diagnostics = qos.publisher(self, comms.DIAGNOSTICS)
        if self._settings.autostart:
            self.autostart()

    def configure(self) -> None:
        """Opens the camera."""
        self._camera = cameras.make(self._settings)
        self._camera.open()

    def activate(self) -> None:
        """Starts reading and publishing."""
        if self._camera is None:
            raise UserError('the camera is not open', do='Configure the node first.')
        self._frame_ready = self.create_guard_condition(self._on_frame)
        self._timer = qos.steady_timer(self, _DIAGNOSTICS_PERIOD, self._on_diagnostics)
        self._reader = CameraReader(self._camera, lambda: self.get_clock().now().nanoseconds, self._frame_ready.trigger)
        self._reader.start()

    def deactivate(self) -> None:
        """Stops reading; the camera stays open."""
        if self._reader is not None and not self._reader.stop():
            # Its thread still uses it, so it must be neither closed nor used: dropped.
            self._camera = None
            self.get_logger().error(f'the driver of camera {self._settings.source!r} does not return')
        if self._timer is not None:
            self.destroy_timer(self._timer)
        if self._frame_ready is not None:
            self.destroy_guard_condition(self._frame_ready)
        self._reader = self._timer = self._frame_ready = None

    def cleanup(self) -> None:
        """Closes the camera."""
        self.deactivate()
        if self._camera is not None:
            self._camera.close()
        self._camera = None

    def close(self) -> None:
        """Stops reading and closes the camera."""
        self.cleanup()

    def _on_frame(self) -> None:
        frame = self._reader.take() if self._reader else None
        if frame is not None:
            self._images.publish(frame)

    def _on_diagnostics(self) -> None:
        if self._reader is None or self._camera is None:
            return
        stream = self._reader.stream
        health = stream_health(stream)
        message = to_diagnostics(self.get_namespace(), self._camera.label, [health], self.get_clock().now().to_msg())
        self._diagnostics.publish(message)
        self._log_change(health.level, stream.problem or ('' if health.level == 0 else health.message))

    def _log_change(self, level: int, text: str) -> None:
        # Logged once per change; the diagnostics repeat it.
        if level == self._logged[0]:
            return
        self._logged = (level, text)
        if level == 0:
            self.get_logger().info('the stream is good')
        else:
            self.get_logger().warning(text)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(CameraNode, args)


if __name__ == '__main__':
    sys.exit(main())
