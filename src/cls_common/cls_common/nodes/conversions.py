"""Conversions between ROS messages and the plain types of this package."""

import array
import json
from typing import Any

from builtin_interfaces.msg import Time
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sensor_msgs.msg import Image as ImageMessage

from cls_interfaces.msg import ActionChannel
from cls_interfaces.msg import RobotInfo as RobotInfoMessage
from cls_interfaces.srv import GetEncoder

from .. import images
from ..robot import from_message, RobotInfo
from ..stamps import split
from ..stamps import to_nanoseconds as to_nanoseconds  # nodes find both ways in one place


def _cv_bridge() -> Any:
    """Returns cv_bridge's converter, or None where it is absent or fails.

    It is not on PyPI for ROS 2. With another major version of numpy than it was built for it imports and fails with the
    first image, so one image is converted here.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        bridge.imgmsg_to_cv2(ImageMessage(height=1, width=1, encoding='bgr8', step=3, data=bytes(3)), 'rgb8')
    except Exception:
        return None
    return bridge


BRIDGE = _cv_bridge()


def to_time(nanoseconds: int) -> Time:
    """Returns a stamp from ns since the epoch of its clock."""
    seconds, rest = split(nanoseconds)
    return Time(sec=seconds, nanosec=rest)


def to_floats(values: ArrayLike, kind: str = 'f') -> 'array.array[float]':
    """Returns one buffer copy of values (N,) for a float32[] ('f') or float64[] ('d') field."""
    return array.array(kind, np.ascontiguousarray(values, np.float32 if kind == 'f' else np.float64).tobytes())


def to_bytes(data: bytes) -> 'array.array[int]':
    """Returns one buffer copy for a uint8[] field; a list takes a hundred times as long."""
    return array.array('B', data)


def to_array(values: Any, dtype: Any = np.float32) -> NDArray[Any]:
    """Returns a numeric array field as (N,), without a copy where it is a buffer of `dtype`."""
    return np.asarray(values, dtype)


def to_image(rgb: images.Image, stamp: Time, frame_id: str) -> ImageMessage:
    """Makes an rgb8 message from uint8 (H, W, 3)."""
    rgb = images.check_rgb(rgb)
    height, width, _ = rgb.shape
    message = ImageMessage(height=height, width=width, encoding='rgb8', step=3 * width, is_bigendian=0)
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.data = array.array('B', rgb.tobytes())
    return message


def from_image(message: ImageMessage) -> images.Image:
    """Returns uint8 (H, W, 3) RGB of an image message; raises UserError where it cannot be converted."""
    if BRIDGE is not None and _is_plain(message):
        return np.array(BRIDGE.imgmsg_to_cv2(message, 'rgb8'), np.uint8, order='C')
    return images.to_rgb(memoryview(message.data), message.height, message.width, message.encoding, message.step)


def _is_plain(message: ImageMessage) -> bool:
    # cv_bridge counts rows in whole pixels: padding of a fraction of one would shear the image.
    channels = {'rgb8': 3, 'bgr8': 3, 'mono8': 1}.get(message.encoding, 0)
    plain = channels * message.width * message.height > 0 and message.step == channels * message.width
    return plain and len(message.data) >= message.step * message.height


def to_robot_info(info: RobotInfo, stamp: Time) -> RobotInfoMessage:
    """Returns the message of a robot's description."""
    message = RobotInfoMessage(
        name=info.name,
        modalities=list(info.modalities),
        channels=[
            ActionChannel(name=c.name, kind=int(c.kind), unit=c.unit, low=float(c.low), high=float(c.high))
            for c in info.channels
        ],
        joint_names=list(info.joint_names),
        joint_low=to_floats(info.joint_low, 'd'),
        joint_high=to_floats(info.joint_high, 'd'),
        settle_time=float(info.settle_time),
        lock_step=info.lock_step,
        has_reward=info.has_reward,
    )
    message.header.stamp = stamp
    return message


def from_robot_info(message: RobotInfoMessage) -> RobotInfo:
    """Reads a robot's description; raises UserError where it contradicts itself."""
    return from_message(message)


def encoder_config(answer: GetEncoder.Response) -> dict[str, Any]:
    """Returns the config of an encoder with its `id`, `size` and `version`, as in a model's config.json."""
    about = {'id': answer.encoder_id, 'size': answer.size, 'version': answer.version}
    return {**json.loads(answer.config), **about}
