"""Video files, written by OpenCV without a display."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError


class Video:
    """A video file (mp4) of RGB images of one size; a context manager. It appears when it is complete.

    Args:
        path: of the file, replaced if it exists. rate: images per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._partial = path.with_name(f'.{path.stem}.{os.getpid()}.mp4')
        self._writer: cv2.VideoWriter | None = None

    def __enter__(self) -> 'Video':
        return self

    def add(self, image: NDArray[np.uint8]) -> None:
        """Appends an image, uint8 (H, W, 3) RGB.

        Raises:
            UserError: the file can not be written.
        """
        if self._writer is None:
            height, width = image.shape[:2]
            fourcc = cv2.VideoWriter.fourcc(*'mp4v')
            self._writer = cv2.VideoWriter(str(self._partial), fourcc, self._rate, (width, height))
            if not self._writer.isOpened():
                raise UserError(f'video {self._path}', expected='a file to write, of a name that ends in .mp4')
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._writer is not None:
            self._writer.release()
        if kind is None and self._partial.exists():
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)
