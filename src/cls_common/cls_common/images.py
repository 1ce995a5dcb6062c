"""Camera images between their wire form (encoding, rows of `step` bytes) and RGB arrays. No ROS here.

Where cv_bridge imports, nodes use it instead; both pass one contract suite.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import UserError

Image = NDArray[np.uint8]

# Encoding -> (channels, cv2 conversion to RGB or None).
_TO_RGB: Final[dict[str, tuple[int, int | None]]] = {
    'rgb8': (3, None),
    'bgr8': (3, cv2.COLOR_BGR2RGB),
    'rgba8': (4, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, cv2.COLOR_BGRA2RGB),
    'mono8': (1, cv2.COLOR_GRAY2RGB),
    '8UC1': (1, cv2.COLOR_GRAY2RGB),
    '8UC3': (3, cv2.COLOR_BGR2RGB),
}
JPEG_QUALITY: Final = 90  # of camera/image_raw/compressed


def to_rgb(data: bytes | memoryview, height: int, width: int, encoding: str, step: int) -> Image:
    """Decodes a raw image.

    Args:
        data: at least height * step bytes.
        height, width: pixels.
        encoding: a name of sensor_msgs/image_encodings, 8 bits a channel.
        step: bytes from one row to the next, padding included.

    Returns:
        uint8 (height, width, 3) RGB, a copy.

    Raises:
        UserError: unknown encoding, or sizes that do not fit.
    """
    if encoding not in _TO_RGB:
        raise UserError('image encoding', expected=' or '.join(sorted(_TO_RGB)), found=repr(encoding))
    channels, conversion = _TO_RGB[encoding]
    if height < 1 or width < 1 or step < width * channels or len(data) < height * step:
        raise UserError(
            f'{encoding} image of {width}x{height}', expected=f'rows of at least {width * channels} bytes',
            found=f'step {step}, {len(data)} bytes in all',
        )  # fmt: skip
    rows = np.frombuffer(data, np.uint8, height * step).reshape(height, step)
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    if conversion is None:
        return pixels.copy()
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), np.uint8)


def check_rgb(image: Image) -> Image:
    """Returns a contiguous uint8 (H, W, 3) array or raises UserError."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UserError('image', expected='uint8 (H, W, 3)', found=f'{image.dtype} {image.shape}')
    return np.ascontiguousarray(image)


def to_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """Encodes uint8 (H, W, 3) RGB as JPEG, quality 1 to 100."""
    done, buffer = cv2.imencode(
        '.jpg', cv2.cvtColor(check_rgb(image), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise UserError('image could not be encoded as JPEG', found=str(image.shape))
    return buffer.tobytes()


def from_jpeg(data: bytes) -> Image:
    """Decodes a JPEG or PNG to uint8 (H, W, 3) RGB; raises UserError where it is damaged."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # such as an empty buffer
        image = None
    if image is None:
        raise UserError('compressed image', expected='a whole JPEG or PNG', found=f'{len(data)} bytes')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
