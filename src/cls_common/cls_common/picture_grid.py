"""Named pictures of one size in one image: three in a row, each with its name above it."""

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np

from .images import Image

COLUMNS: Final = 3
# Height of a name, and width below which pictures are enlarged, so that names can be read; pixels.
BAND, LEAST_WIDTH = 16, 160
_GREY, _WHITE = 40, (255, 255, 255)


def join(pictures: Mapping[str, Image]) -> Image:
    """Returns pictures uint8 (H, W, 3), one at least, as one; small ones are enlarged by a whole number."""
    height, width, _ = next(iter(pictures.values())).shape
    scale = -(-LEAST_WIDTH // width)
    height, width = scale * height, scale * width
    rows = -(-len(pictures) // COLUMNS)
    grid = np.full((rows * (BAND + height), min(COLUMNS, len(pictures)) * width, 3), _GREY, np.uint8)
    for (top, left), (name, picture) in zip(_places(len(pictures), height, width), pictures.items()):
        label = np.ascontiguousarray(grid[top - BAND : top, left : left + width])
        cv2.putText(label, name, (3, BAND - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _WHITE, 1, cv2.LINE_AA)
        grid[top - BAND : top, left : left + width] = label
        grid[top : top + height, left : left + width] = picture.repeat(scale, 0).repeat(scale, 1)
    return grid


def split(grid: Image, count: int) -> list[Image]:
    """Returns the pictures of a grid of `count`, without their names; raises ValueError for another image."""
    rows, columns = -(-count // COLUMNS), min(COLUMNS, count)
    if count < 1 or grid.shape[0] % rows or grid.shape[1] % columns or grid.shape[0] // rows <= BAND:
        raise ValueError(f'no grid of {count} pictures: {grid.shape}')
    height, width = grid.shape[0] // rows - BAND, grid.shape[1] // columns
    return [grid[top : top + height, left : left + width] for top, left in _places(count, height, width)]


def _places(count: int, height: int, width: int) -> list[tuple[int, int]]:
    """Returns top and left of each picture."""
    return [(i // COLUMNS * (BAND + height) + BAND, i % COLUMNS * width) for i in range(count)]
