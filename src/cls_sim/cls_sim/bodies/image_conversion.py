"""Conversion of images of any common form to camera images."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError

from ..noise import Image
from ..worlds.pan_tilt import SIDE
from .environment_errors import describe

EXPECTED = 'grey, RGB or RGBA of whole numbers 0..255 or floats 0..1 or 0..255'
# Rendered or resized floats may exceed 1 by rounding.
_SLACK = 1e-3


class ImageConverter:
    """Converts the images of one environment.

    The white of floats may be 1 or 255. The first image that is not black decides: values beyond 1 mean 0..255. A
    later image that contradicts is refused, not learned from.

    Args:
        robot: name of the robot. source: of the images, such as 'render()'.
        white: value of white in floats if it is known, 1 or 255; 0: unknown.
    """

    def __init__(self, robot: str, source: str, white: float = 0.0) -> None:
        self._robot, self._source, self._white = robot, source, white

    def read(self, drawn: Any) -> Image:
        """Returns an image as uint8 (224, 224, 3) RGB.

        Args:
            drawn: (H, W), (H, W, 1), (H, W, 3), (H, W, 4) or, channels first, (1, H, W) or (3, H, W); of a list of
                images the last one is used. Transparent parts become black.

        Raises:
            UserError: anything else.
        """
        if isinstance(drawn, list | tuple) and drawn and isinstance(drawn[-1], np.ndarray) and drawn[-1].ndim >= 2:
            drawn = drawn[-1]
        try:
            array = _channels_last(np.asarray(drawn))
        except ValueError:  # a list of rows of different length
            array = None
        grey_levels = None if array is None or not array.size else self._grey_levels(array)
        if array is None or grey_levels is None:
            raise UserError(
                f'robot {self._robot!r}: {self._source} gave no picture', expected=EXPECTED, found=describe(drawn)
            )
        image = np.ascontiguousarray(_rgb(grey_levels))
        return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)

    def _grey_levels(self, array: NDArray[Any]) -> Image | None:
        if array.dtype == np.bool_:
            return array.astype(np.uint8) * np.uint8(255)
        if array.dtype == np.uint8:
            return array
        if array.dtype.kind not in 'uif':
            return None
        low, high = float(array.min()), float(array.max())
        if not (low >= -_SLACK and high <= 255.0 + _SLACK):  # NaN too
            return None
        if array.dtype.kind == 'f':
            if not self._white and high > 0.0:
                self._white = 1.0 if high <= 1.0 + _SLACK else 255.0
            if self._white == 1.0 and high > 1.0 + _SLACK:
                return None
            array = array * (255.0 / (self._white or 255.0))
            array = np.floor(array + 0.5)
        return np.asarray(np.clip(array, 0, 255), np.uint8)


def _channels_last(array: NDArray[Any]) -> NDArray[Any] | None:
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim != 3:
        return None
    if array.shape[2] in (1, 3, 4):
        return array
    return np.moveaxis(array, 0, 2) if array.shape[0] in (1, 3) else None


def _rgb(image: Image) -> Image:
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    if image.shape[2] == 3:
        return image
    opacity = image[:, :, 3:].astype(np.uint16)
    return np.asarray((image[:, :, :3] * opacity + 127) // 255, np.uint8)
