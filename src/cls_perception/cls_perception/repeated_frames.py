"""Finds a camera that gives its last frame again and again."""

from typing import Final

import numpy as np

from cls_common.images import Image

# Sensor noise changes every frame. Two alike are a frame that a driver gave twice to keep up its rate.
LIMIT: Final = 3


class RepeatedFrames:
    """Counts how often the newest frame came in a row, equal in every pixel."""

    def __init__(self) -> None:
        self.count = 0
        self._last: Image | None = None

    def add(self, image: Image) -> bool:
        """Takes the next frame, uint8 (H, W, 3); returns whether it is at least the third of equal ones in a row."""
        is_equal = self._last is not None and np.array_equal(image, self._last)
        self.count = self.count + 1 if is_equal else 1
        self._last = image
        return self.count >= LIMIT
