"""Statistics of a dataset's columns, by which LeRobot's policies normalise observations and actions."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cls_common.images import Image

# Those of lerobot/datasets/compute_stats.py, computed exactly where lerobot estimates them from a histogram.
_QUANTILES: Final = {'q01': 0.01, 'q10': 0.10, 'q50': 0.50, 'q90': 0.90, 'q99': 0.99}
# Subsampled to this size, enough for the brightness.
_SAMPLED_SIDE = 150

Statistics = dict[str, list[Any]]


def of_vectors(values: NDArray[Any]) -> Statistics:
    """Returns min, max, mean, std and quantiles of each number, and the count.

    Args:
        values: (N, D), or (N,) for one number; rows with NaN or infinity are left out.

    Returns:
        lists of D (of 1 for one number), NaN where no row remains; `count` a list of 1.
    """
    rows = np.asarray(values, np.float64).reshape(len(values), -1)
    rows = rows[np.isfinite(rows).all(axis=1)]
    count = len(rows)
    if not count:
        rows = np.full((1, rows.shape[1]), np.nan)
    figures = {'min': rows.min(axis=0), 'max': rows.max(axis=0), 'mean': rows.mean(axis=0), 'std': rows.std(axis=0)}
    figures |= {name: np.quantile(rows, share, axis=0) for name, share in _QUANTILES.items()}
    return {**{name: figure.tolist() for name, figure in figures.items()}, 'count': [count]}


class ImageStatistics:
    """Brightness of images: a histogram for each colour channel, from which all statistics follow exactly."""

    def __init__(self) -> None:
        self._histograms = np.zeros((3, 256), np.int64)
        self._frames = 0

    def add(self, image: Image) -> None:
        """Counts an image, uint8 (H, W, 3), large ones by every n-th row and column."""
        stride = max(1, min(image.shape[:2]) // _SAMPLED_SIDE)
        for colour in range(3):
            values = image[::stride, ::stride, colour].reshape(-1)
            self._histograms[colour] += np.bincount(values, minlength=256)
        self._frames += 1

    def merge(self, other: 'ImageStatistics') -> None:
        """Adds the counts of `other`."""
        self._histograms += other._histograms
        self._frames += other._frames

    def figures(self) -> Statistics:
        """Returns the statistics of `of_vectors`, in [0, 1], each (3, 1, 1); `count` in images."""
        levels = np.arange(256) / 255.0
        counts = self._histograms.sum(axis=1, keepdims=True)
        shares = self._histograms / counts
        mean = shares @ levels
        found = self._histograms > 0
        figures = {
            'min': levels[found.argmax(axis=1)],
            'max': levels[255 - found[:, ::-1].argmax(axis=1)],
            'mean': mean,
            'std': np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1)),
        }
        below = np.cumsum(self._histograms, axis=1)
        figures |= {name: levels[(below >= share * counts).argmax(axis=1)] for name, share in _QUANTILES.items()}
        shaped: Statistics = {name: figure.reshape(3, 1, 1).tolist() for name, figure in figures.items()}
        return {**shaped, 'count': [self._frames]}
