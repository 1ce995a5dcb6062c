"""The last images as one input for a clip encoder."""

from collections import deque

import numpy as np

from cls_common.images import Image


class Clip:
    """Keeps the newest `frames` images of one stream. With 1 it returns each image alone."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._images: deque[Image] = deque(maxlen=frames)
        self._stamp = 0

    def add(self, image: Image, stamp: int) -> Image:
        """Adds an image and returns the encoder's input.

        A decreasing stamp or another image size begins a new clip: the images before are of another stream.

        Args:
            image: uint8 (H, W, 3).
            stamp: ns.

        Returns:
            uint8 (1, H, W, 3), or (1, T, H, W, 3) with T <= frames, oldest first, for clips.
        """
        if self._images and (stamp < self._stamp or image.shape != self._images[-1].shape):
            self._images.clear()
        self._images.append(image)
        self._stamp = stamp
        return image[None] if self._frames == 1 else np.stack(self._images)[None]
