"""What a node with a camera publishes: images, and the health of their stream."""

import time

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage

from cls_common import comms, diagnostics, images
from cls_common.nodes import conversions, qos
from cls_perception.camera_reader import CameraFrame, StreamStatus

FRAME_ID = 'camera_link_optical'


class ImagePublishers:
    """Publishers of `camera/image_raw`, `camera/camera_info`, and the compressed image while there are subscribers."""

    def __init__(self, node: Node) -> None:
        self._image = qos.publisher(node, comms.IMAGE)
        self._info = qos.publisher(node, comms.CAMERA_INFO)
        self._compressed = qos.publisher(node, comms.COMPRESSED)

    def publish(self, frame: CameraFrame) -> None:
        """Publishes one frame."""
        message = conversions.to_image(frame.image, conversions.to_time(frame.stamp), FRAME_ID)
        self._image.publish(message)
        self._info.publish(CameraInfo(header=message.header, width=message.width, height=message.height))
        if self._compressed.get_subscription_count() > 0:
            self._compressed.publish(_to_compressed(frame))


def stream_health(stream: StreamStatus) -> diagnostics.Health:
    """Returns the health of a camera's stream now."""
    level, text = stream.health(time.monotonic())
    values = {
        'frames': stream.frames,
        'rate [Hz]': round(stream.rate, 2),
        'lost': stream.lost,
        'damaged': stream.damaged,
        'repeated': stream.withheld,
        'overwritten': stream.overwritten,
        'exposure locked': stream.is_locked,
    }
    return diagnostics.Health(diagnostics.CAMERA, diagnostics.Level(level), text, values)


def _to_compressed(frame: CameraFrame) -> CompressedImage:
    message = CompressedImage(format='rgb8; jpeg compressed bgr8')
    message.header.stamp = conversions.to_time(frame.stamp)
    message.header.frame_id = FRAME_ID
    message.data = conversions.to_bytes(images.to_jpeg(frame.image))
    return message
