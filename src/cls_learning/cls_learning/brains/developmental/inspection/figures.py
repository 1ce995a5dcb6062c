"""Figures of what the networks see, predict and attend to, as arrays for a page, a report or a notebook.

All are uint8 (height, width, 3), RGB. Pictures are given as float32 (..., 3, H, W) in 0..1; values outside are clipped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .attention import Breakdown

Figure = NDArray[np.uint8]

# Pixels between pictures, and width of the frame around a marked one.
GAP = 4
BACKGROUND = (40, 40, 40)
MARK = (80, 220, 100)
# From nothing to most, dark to light, also in print and to the colour-blind.
RAMP = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
# Last action, last frame, rest.
PARTS = ((249, 142, 9), (120, 94, 240), (90, 90, 90))


def image(picture: Tensor) -> Figure:
    """Returns one picture."""
    return (picture.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def side_by_side(pictures: Sequence[Tensor], marked: int | None = None) -> Figure:
    """Returns pictures of equal height from left to right.

    Args:
        marked: index of one that gets a frame.
    """
    images = [image(picture) for picture in pictures]
    height = images[0].shape[0] + 2 * GAP
    width = sum(each.shape[1] for each in images) + GAP * (len(images) + 1)
    figure = _filled(height, width, BACKGROUND)
    left = GAP
    for index, each in enumerate(images):
        right = left + each.shape[1]
        if index == marked:
            figure[:, left - GAP : right + GAP] = MARK
        figure[GAP:-GAP, left:right] = each
        left = right + GAP
    return figure


def reconstruction(picture: Tensor, drawn: Tensor) -> Figure:
    """Returns a picture, its reconstruction, and the absolute difference of the two."""
    return side_by_side([picture, drawn, (picture - drawn.clamp(0, 1)).abs()])


def prediction(last: Tensor, predicted: Tensor, actual: Tensor) -> Figure:
    """Returns the last picture, the prediction of the next, the next as it was, and the absolute error."""
    return side_by_side([last, predicted, actual, (actual - predicted.clamp(0, 1)).abs()])


def sweep(pictures: Tensor, taken: int | None = None) -> Figure:
    """Returns the pictures (K, 3, H, W) that are predicted for K actions; the action that was taken gets a frame."""
    return side_by_side(list(pictures), taken)


def heat_map(attention: Tensor, head: int = 0, sample: int = 0) -> Figure:
    """Returns attention (B, heads, S, S) of one head, S by S pixels: a row for each token, a column for what it reads.

    Colours are relative to the strongest of each row, since the mean falls with the length of the sequence.
    """
    rows = attention[sample, head].detach().float().cpu().numpy()
    return _coloured(rows / np.maximum(rows.max(axis=1, keepdims=True), 1e-8))


def attended(picture: Tensor, weights: Tensor) -> Figure:
    """Returns a picture, and how much its tokens are attended to, relative to the most attended one.

    Args:
        weights: (N,) in the order of the tokens, row by row; of a class token before them nothing is shown.
    """
    side = int(len(weights) ** 0.5)
    grid = weights[-side * side :].view(side, side).float().cpu().numpy()
    drawn = image(picture)
    rows, columns = (np.arange(size) * side // size for size in drawn.shape[:2])
    map_ = _coloured((grid / max(float(grid.max()), 1e-8))[rows][:, columns])
    gap = _filled(drawn.shape[0], GAP, BACKGROUND)
    return np.concatenate([drawn, gap, map_], axis=1)


def breakdown_chart(parts: Breakdown, height: int = 100, bar: int = 4) -> Figure:
    """Returns a stacked bar for each query, of full height: last action below, last frame, and the rest on top.

    Args:
        height: in pixels. bar: width of a bar in pixels.
    """
    action = parts.last_action
    above_frame = action + parts.last_frame
    share = (height - np.arange(height)[:, None] - 0.5) / height  # (height, 1), 1 at the top.
    kind = (share > action).astype(int) + (share > above_frame)  # (height, Q)
    chart: Figure = np.array(PARTS, np.uint8)[kind].repeat(bar, axis=1)
    return chart


def _coloured(levels: NDArray[np.floating]) -> Figure:
    """Returns the colours (H, W, 3) of levels (H, W) in 0..1."""
    stops = np.linspace(0, 1, len(RAMP))
    channels = [np.interp(levels, stops, [colour[channel] for colour in RAMP]) for channel in range(3)]
    figure: Figure = np.stack(channels, -1).round().astype(np.uint8)
    return figure


def _filled(height: int, width: int, colour: tuple[int, int, int]) -> Figure:
    figure = np.empty((height, width, 3), np.uint8)
    figure[:] = colour
    return figure
