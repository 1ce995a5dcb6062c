"""Detects a camera that repeats its last frame."""

from typing import Final

import numpy as np

from cls_common.images import Image

# Sensor noise makes all frames different. Two equal ones are a frame that a driver repeated to keep its rate.
LIMIT: Final = 3


class RepeatedFrames:
    """Counts consecutive frames that are equal in every pixel."""

    def __init__(self) -> None:
        self.count = 0
        self._last: Image | None = None

    def add(self, image: Image) -> bool:
        """Adds a frame, uint8 (H, W, 3); returns whether it is at least the third consecutive equal one."""
        is_equal = self._last is not None and np.array_equal(image, self._last)
        self.count = self.count + 1 if is_equal else 1
        self._last = image
        return self.count >= LIMIT
