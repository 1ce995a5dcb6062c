"""A camera image in a terminal: two pixels per character, as coloured half blocks."""

from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style

if TYPE_CHECKING:  # OpenCV takes its time to import, and `--help` needs none of it
    from cls_common.images import Image

COLUMNS = 48
_UPPER_HALF = '▀'


def picture(rgb: 'Image', columns: int = COLUMNS) -> Segments:
    """Returns uint8 (H, W, 3) RGB as a renderable, `columns` wide at most and of the image's shape."""
    small = _small(rgb, columns)
    return Segments(_segments(small.tobytes(), small.shape[1]))


# Views draw the same images many times.
@lru_cache(maxsize=64)
def _segments(data: bytes, columns: int) -> tuple[Segment, ...]:
    """Returns the lines of an image's bytes; neighbours of the same colours are one segment."""
    pixels = [tuple(data[i : i + 3]) for i in range(0, len(data), 3)]
    segments = []
    for top in range(0, len(pixels), 2 * columns):
        cells = zip(pixels[top : top + columns], pixels[top + columns : top + 2 * columns])
        for (above, below), run in groupby(cells):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            segments.append(Segment(_UPPER_HALF * len(list(run)), style))
        segments.append(Segment.line())
    return tuple(segments)


def escapes(rgb: 'Image', columns: int, *, has_all_colours: bool) -> list[str]:
    """Returns the same as lines of ANSI escape sequences, fast enough for 30 images a second.

    Args:
        has_all_colours: whether the terminal shows 24 bits of colour; otherwise the 216 of the colour cube.
    """
    small = _small(rgb, columns)
    return [
        ''.join(
            f'\x1b[38;{above};48;{below}m{_UPPER_HALF}'
            for above, below in zip(_codes(upper, has_all_colours), _codes(lower, has_all_colours))
        )
        + '\x1b[0m'
        for upper, lower in zip(small[::2], small[1::2])
    ]


def _small(rgb: 'Image', columns: int) -> 'Image':
    """Returns an image of `columns` at most and an even number of rows, averaged: points may miss a dot."""
    from cls_common.images import resize

    height, width, _ = rgb.shape
    columns = min(columns, width)
    return resize(rgb, (max(2, round(columns * height / width / 2) * 2), columns))


def _codes(pixels: 'Image', has_all_colours: bool) -> list[str]:
    if has_all_colours:
        return [f'2;{red};{green};{blue}' for red, green, blue in pixels.tolist()]
    levels = (pixels.astype(int) + 25) // 51
    return [f'5;{code}' for code in (16 + levels @ (36, 6, 1)).tolist()]
