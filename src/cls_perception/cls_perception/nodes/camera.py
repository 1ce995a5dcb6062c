"""The node `camera`: a device, a video file or a folder of images as camera topics."""

from collections.abc import Sequence
import sys
import time

from rclpy.guard_condition import GuardCondition
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage

from cls_common import comms, diagnostics, images
from cls_common.errors import UserError
from cls_common.nodes import conversions, parameters, qos
from cls_common.nodes.diagnostics import to_diagnostics
from cls_common.nodes.lifecycle import SelfStartingNode
from cls_common.nodes.runner import run
from cls_perception import cameras
from cls_perception.camera import Camera
from cls_perception.reader import Frame, Reader
from cls_perception.settings import CameraSettings

FRAME_ID = 'camera_link_optical'
_DIAGNOSTICS_PERIOD = 1.0  # s


class CameraNode(SelfStartingNode):
    """Publishes the newest frame as soon as it is there. An absent camera ends the start, a lost one does not.

    Parameters:
        source, frame_rate, width, height, loop, lock_exposure, warm_up, autostart: see
            cls_perception/settings.py. All are read at start.

    Publishers:
        camera/image_raw (sensor_msgs/Image): rgb8, stamp = when the frame was acquired.
        camera/camera_info (sensor_msgs/CameraInfo): size only; all zeros in K: not calibrated.
        camera/image_raw/compressed (sensor_msgs/CompressedImage): JPEG 90, only while someone subscribes.
        /diagnostics (diagnostic_msgs/DiagnosticArray): `camera: stream` after the namespace, 1 Hz.
    """

    def __init__(self) -> None:
        super().__init__('camera')
        self._settings = parameters.declare(self, CameraSettings)
        self._camera: Camera | None = None
        self._reader: Reader | None = None
        self._wake: GuardCondition | None = None
        self._timer: Timer | None = None
        self._said = (0, '')
        self._image = qos.publisher(self, comms.IMAGE)
        self._info = qos.publisher(self, comms.CAMERA_INFO)
        self._compressed = qos.publisher(self, comms.COMPRESSED)
        self._diagnostics = qos.publisher(self, comms.DIAGNOSTICS)
        if self._settings.autostart:
            self.autostart()

    def configure(self) -> None:
        """Opens the camera."""
        self._camera = cameras.make(self._settings)
        self._camera.open()

    def activate(self) -> None:
        """Starts to read and publish."""
        if self._camera is None:
            raise UserError('the camera is not open', do='Configure the node first.')
        self._wake = self.create_guard_condition(self._on_frame)
        self._timer = qos.steady_timer(self, _DIAGNOSTICS_PERIOD, self._on_diagnostics)
        self._reader = Reader(self._camera, lambda: self.get_clock().now().nanoseconds, self._wake.trigger)
        self._reader.start()

    def deactivate(self) -> None:
        """Stops reading; the camera stays open."""
        if self._reader is not None and not self._reader.stop():
            # Its thread still holds it, so it must be neither closed nor used: forget it.
            self._camera = None
            self.get_logger().error(f'the driver of camera {self._settings.source!r} does not return')
        if self._timer is not None:
            self.destroy_timer(self._timer)
        if self._wake is not None:
            self.destroy_guard_condition(self._wake)
        self._reader = self._timer = self._wake = None

    def cleanup(self) -> None:
        """Closes the camera."""
        self.deactivate()
        if self._camera is not None:
            self._camera.close()
        self._camera = None

    def close(self) -> None:
        """Ends reading before the process does."""
        self.cleanup()

    def _on_frame(self) -> None:
        frame = self._reader.take() if self._reader else None
        if frame is None:
            return
        message = conversions.to_image(frame.image, conversions.to_time(frame.stamp), FRAME_ID)
        self._image.publish(message)
        self._info.publish(CameraInfo(header=message.header, width=message.width, height=message.height))
        if self._compressed.get_subscription_count() > 0:
            self._compressed.publish(_to_compressed(frame))

    def _on_diagnostics(self) -> None:
        if self._reader is None or self._camera is None:
            return
        stream = self._reader.stream
        level, text = stream.health(time.monotonic())
        values = {
            'frames': stream.frames, 'rate [Hz]': round(stream.rate, 2), 'lost': stream.lost,
            'damaged': stream.damaged, 'repeated': stream.withheld, 'overwritten': stream.overwritten,
            'exposure locked': stream.is_locked,
        }  # fmt: skip
        health = diagnostics.Health(diagnostics.CAMERA, diagnostics.Level(level), text, values)
        message = to_diagnostics(
            self.get_namespace(), self._camera.label, [health], self.get_clock().now().to_msg()
        )  # fmt: skip
        self._diagnostics.publish(message)
        self._tell(level, stream.problem or ('' if level == 0 else text))

    def _tell(self, level: int, text: str) -> None:
        # Once for each change: the diagnostics repeat it, the log need not.
        if level == self._said[0]:
            return
        self._said = (level, text)
        if level == 0:
            self.get_logger().info('the stream is good')
        else:
            self.get_logger().warning(text)


def _to_compressed(frame: Frame) -> CompressedImage:
    message = CompressedImage(format='rgb8; jpeg compressed bgr8')
    message.header.stamp = conversions.to_time(frame.stamp)
    message.header.frame_id = FRAME_ID
    message.data = conversions.to_bytes(images.to_jpeg(frame.image))
    return message


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(CameraNode, args)


if __name__ == '__main__':
    sys.exit(main())
