"""Pictures of any common form as camera images."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError

from ..noise import Image
from ..worlds.pan_tilt import SIDE
from .foreign import describe

EXPECTED = 'grey, RGB or RGBA of whole numbers 0..255 or floats 0..1 or 0..255'
# Floats that were drawn or resized may pass 1 by rounding.
_SLACK = 1e-3


class Pictures:
    """Converts the pictures of one environment.

    Floats do not say whether white is 1 or 255. The first picture with anything in it decides: none that reaches
    beyond 1 is one of 0..255. A later one that contradicts is refused, not learned from.

    Args:
        robot: name of the robot. source: what gives the pictures, such as 'render()'.
        white: value of white in floats where it is known, 1 or 255; 0: not known.
    """

    def __init__(self, robot: str, source: str, white: float = 0.0) -> None:
        self._robot, self._source, self._white = robot, source, white

    def read(self, drawn: Any) -> Image:
        """Returns a picture as uint8 (224, 224, 3) RGB.

        Args:
            drawn: (H, W), (H, W, 1), (H, W, 3), (H, W, 4) or, channels first, (1, H, W) or (3, H, W); of a list of
                pictures the last one counts. Transparent parts become black.

        Raises:
            UserError: anything else.
        """
        if isinstance(drawn, list | tuple) and drawn and isinstance(drawn[-1], np.ndarray) and drawn[-1].ndim >= 2:
            drawn = drawn[-1]
        try:
            picture = _channels_last(np.asarray(drawn))
        except ValueError:  # a list of rows of different length
            picture = None
        grey_levels = None if picture is None or not picture.size else self._grey_levels(picture)
        if picture is None or grey_levels is None:
            raise UserError(
                f'robot {self._robot!r}: {self._source} gave no picture', expected=EXPECTED, found=describe(drawn)
            )
        image = np.ascontiguousarray(_rgb(grey_levels))
        return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)

    def _grey_levels(self, picture: NDArray[Any]) -> Image | None:
        if picture.dtype == np.bool_:
            return picture.astype(np.uint8) * np.uint8(255)
        if picture.dtype == np.uint8:
            return picture
        if picture.dtype.kind not in 'uif':
            return None
        low, high = float(picture.min()), float(picture.max())
        if not (low >= -_SLACK and high <= 255.0 + _SLACK):  # NaN too
            return None
        if picture.dtype.kind == 'f':
            if not self._white and high > 0.0:
                self._white = 1.0 if high <= 1.0 + _SLACK else 255.0
            if self._white == 1.0 and high > 1.0 + _SLACK:
                return None
            picture = picture * (255.0 / (self._white or 255.0))
            picture = np.floor(picture + 0.5)
        return np.asarray(np.clip(picture, 0, 255), np.uint8)


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
