"""A camera image in a terminal: two pixels per character, as coloured half blocks."""

from typing import TYPE_CHECKING

import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:  # OpenCV takes its time to import, and `--help` needs none of it
    from cls_common.images import Image

COLUMNS = 48
_UPPER_HALF = '▀'


def picture(rgb: 'Image', columns: int = COLUMNS) -> Text:
    """Returns uint8 (H, W, 3) RGB as text, `columns` wide at most and of the image's shape."""
    height, width, _ = rgb.shape
    columns = min(columns, width)
    rows = max(2, round(columns * height / width / 2) * 2)
    y = (np.arange(rows) + 0.5) * height // rows
    x = (np.arange(columns) + 0.5) * width // columns
    small = rgb[y.astype(int)[:, None], x.astype(int)]  # (rows, columns, 3)
    text = Text(no_wrap=True)
    for upper, lower in zip(small[::2].tolist(), small[1::2].tolist()):
        for above, below in zip(upper, lower):
            text.append(_UPPER_HALF, Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        text.append('\n')
    return text
