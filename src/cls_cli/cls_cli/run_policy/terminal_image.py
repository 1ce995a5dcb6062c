"""A camera image in a terminal: two pixels per character, as coloured half blocks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.color import Color
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:  # OpenCV takes its time to import, and `--help` needs none of it
    from cls_common.images import Image

COLUMNS = 48
_UPPER_HALF = '▀'


def picture(rgb: 'Image', columns: int = COLUMNS) -> Text:
    """Returns uint8 (H, W, 3) RGB as text, `columns` wide at most and of the image's shape."""
    text = Text(no_wrap=True)
    for upper, lower in _lines(rgb, columns):
        for above, below in zip(upper.tolist(), lower.tolist()):
            text.append(_UPPER_HALF, Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        text.append('\n')
    return text


def escapes(rgb: 'Image', columns: int, *, has_all_colours: bool) -> list[str]:
    """Returns the same as lines of ANSI escape sequences, fast enough for 30 images a second.

    Args:
        has_all_colours: whether the terminal shows 24 bits of colour; otherwise the 216 of the colour cube.
    """
    return [
        ''.join(
            f'\x1b[38;{above};48;{below}m{_UPPER_HALF}'
            for above, below in zip(_codes(upper, has_all_colours), _codes(lower, has_all_colours))
        )
        + '\x1b[0m'
        for upper, lower in _lines(rgb, columns)
    ]


def _lines(rgb: 'Image', columns: int) -> 'Iterator[tuple[Image, Image]]':
    """Yields the upper and lower pixels of each line of text, (columns, 3) each."""
    from cls_common.images import resize

    height, width, _ = rgb.shape
    columns = min(columns, width)
    rows = max(2, round(columns * height / width / 2) * 2)
    # Averaged: of a small dot nothing may be left at single points.
    small = resize(rgb, (rows, columns))
    return zip(small[::2], small[1::2])


def _codes(pixels: 'Image', has_all_colours: bool) -> list[str]:
    if has_all_colours:
        return [f'2;{red};{green};{blue}' for red, green, blue in pixels.tolist()]
    levels = (pixels.astype(int) + 25) // 51
    return [f'5;{code}' for code in (16 + levels @ (36, 6, 1)).tolist()]
