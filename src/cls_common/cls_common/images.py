"""Conversion of camera images between message fields (encoding, rows of `step` bytes) and RGB arrays.

Nodes use cv_bridge instead where it can be imported; both pass the same contract tests.
"""

from typing import Final
import zlib

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
_PNG, _PNG_DEPTH = b'\x89PNG\r\n\x1a\n', 24
_JPEG, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_NO_FRAME: Final = (0xC4, 0xC8, 0xCC)  # markers in the range of start-of-frame that start no frame
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
    channels, conversion = check_raw(len(data), height, width, encoding, step)
    rows = np.frombuffer(data, np.uint8, height * step).reshape(height, step)
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    if conversion is None:
        return pixels.copy()
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), np.uint8)


def check_raw(size: int, height: int, width: int, encoding: str, step: int) -> tuple[int, int | None]:
    """Checks the declared size and encoding of a raw image against its data.

    Args:
        size: length of the data, bytes. The others: as in `to_rgb`.

    Returns:
        channels, and the cv2 conversion to RGB, None for RGB.

    Raises:
        UserError: unknown encoding, or sizes that do not fit.
    """
    if encoding not in _TO_RGB:
        raise UserError('image encoding', expected=' or '.join(sorted(_TO_RGB)), found=repr(encoding))
    channels, conversion = _TO_RGB[encoding]
    if height < 1 or width < 1 or step < width * channels or size < height * step:
        raise UserError(
            f'{encoding} image of {width}x{height}',
            expected=f'rows of at least {width * channels} bytes',
            found=f'step {step}, {size} bytes in all',
        )
    return channels, conversion


def check_rgb(image: Image) -> Image:
    """Returns a contiguous uint8 (H, W, 3) array or raises UserError."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UserError('image', expected='uint8 (H, W, 3)', found=f'{image.dtype} {image.shape}')
    return np.ascontiguousarray(image)


def resize(image: Image, size: tuple[int, int]) -> Image:
    """Brings uint8 (H, W, 3) to (height, width) pixels, averaging where it shrinks."""
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA), np.uint8)


def to_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """Encodes uint8 (H, W, 3) RGB as JPEG, quality 1 to 100."""
    done, buffer = cv2.imencode(
        '.jpg', cv2.cvtColor(check_rgb(image), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise UserError('image could not be encoded as JPEG', found=str(image.shape))
    return buffer.tobytes()


def from_jpeg(data: bytes) -> Image:
    """Decodes a JPEG or PNG to uint8 (H, W, 3) RGB; raises UserError as `check_compressed` does."""
    check_compressed(data)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise UserError('compressed image', expected='a whole JPEG or PNG', found=f'{len(data)} bytes')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def check_compressed(data: bytes) -> None:
    """Checks that a JPEG or PNG is complete, without decoding it: older versions of cv2 fill missing rows with grey.

    Raises:
        UserError: empty, cut off, or a PNG of 16 bits a channel, whose value range is unknown.
    """
    if data.startswith(_PNG):
        if data[_PNG_DEPTH : _PNG_DEPTH + 1] == b'\x10':
            raise UserError('compressed image', expected='8 bits a channel', found='a PNG of 16 bits a channel')
        is_whole = _is_whole_png(data)
    elif data.startswith(_JPEG):
        is_whole = _is_whole_jpeg(data)
    else:
        is_whole = bool(data)  # cv2 decodes other formats
    if not is_whole:
        raise UserError('compressed image', expected='a whole JPEG or PNG', found=f'{len(data)} bytes')


def _is_whole_png(data: bytes) -> bool:
    """Whether a PNG has all chunks, with valid checksums, up to its end."""
    position = len(_PNG)
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], 'big')
        if end > len(data) or zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], 'big'):
            return False
        if data[position + 4 : position + 8] == b'IEND':
            return True
        position = end
    return False


def _is_whole_jpeg(data: bytes) -> bool:
    """Whether a JPEG has a frame, a scan and their end. An end inside a segment, as of a thumbnail, does not count."""
    position, has_frame = len(_JPEG), False
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill
            position += 1
            continue
        has_frame = has_frame or (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME)
        position += 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
        if marker == 0xDA:  # start of scan: from here on the end marker is unambiguous
            return has_frame and data.find(_JPEG_END, position) >= 0
    return False
