"""Pictures as PNG: shown by a notebook, inline in a page, or as files."""

import base64
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


class Picture:
    """An image uint8 (H, W, 3) RGB; a notebook shows it where it is the last value of a cell."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image

    def _repr_png_(self) -> bytes:
        return png(self.image)


def show(image: NDArray[np.uint8], path: Path | None = None) -> Picture:
    """Returns an image for a notebook to show; writes it to a PNG file too, if `path` is given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
    return Picture(image)


def png(image: NDArray[np.uint8]) -> bytes:
    """Returns an image uint8 (H, W, 3) RGB as PNG."""
    _, data = cv2.imencode('.png', image[..., ::-1])
    return data.tobytes()


def data_uri(image: NDArray[np.uint8]) -> str:
    """Returns an image as a data URI, for a page without other files."""
    return 'data:image/png;base64,' + base64.b64encode(png(image)).decode()
