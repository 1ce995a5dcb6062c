"""Named pictures beside each other in a terminal, as large as they fit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from .run_policy.terminal_image import picture

if TYPE_CHECKING:
    from cls_common.images import Image

# Columns of the smallest picture in which something can be seen, of the largest, and between two.
_LEAST, _MOST, _GAP = 12, 48, 1


def picture_table(pictures: 'Mapping[str, Image]', columns: int, rows: int) -> Table:
    """Returns pictures with their names above, in lines; the last ones are left out where they do not fit.

    Args:
        columns, rows: the space, in characters.
    """
    count, in_line, width = _fit(pictures, columns, rows)
    table = Table.grid(padding=(0, _GAP, 0, 0))
    shown = [
        Group(Text(name, style='dim', no_wrap=True, overflow='ellipsis'), picture(image, width))
        for name, image in list(pictures.items())[:count]
    ]
    for _ in range(in_line):
        table.add_column(width=width)
    for begin in range(0, count, max(in_line, 1)):
        table.add_row(*shown[begin : begin + in_line])
    return table


def _fit(pictures: 'Mapping[str, Image]', columns: int, rows: int) -> tuple[int, int, int]:
    """Returns how many pictures fit, how many in a line, and the columns of each."""
    if not pictures:
        return 0, 0, 0
    height, width, _ = next(iter(pictures.values())).shape
    for count in range(len(pictures), 0, -1):
        fits = []
        for in_line in range(1, count + 1):
            # Each line has a name, and two pixels in each row of characters.
            free = 2 * (rows // -(-count // in_line) - 1) * width // height
            fits.append((min((columns + _GAP) // in_line - _GAP, free, _MOST), in_line))
        best, in_line = max(fits)
        if best >= _LEAST:
            return count, in_line, best
    return 0, 0, 0
