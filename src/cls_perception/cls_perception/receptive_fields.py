"""Wide, smooth receptive fields: what lies in them changes smoothly when the camera turns, so it can be predicted."""

import torch
from torch import nn

from .threads import lent_threads


class ReceptiveFields(nn.Module):
    """Averages maps over a grid of overlapping Gaussian windows.

    Args:
        side: of the square maps, pixels.
        count: windows in a row and in a column.
        width: standard deviation of a window in units of their distance. Boxes that do not overlap, as pooling has
            them, let an edge jump from one to the next.
    """

    weight: torch.Tensor

    def __init__(self, side: int, count: int, width: float) -> None:
        super().__init__()
        centres = (torch.arange(count) + 0.5) * side / count - 0.5
        offsets = (torch.arange(side)[None] - centres[:, None]) / (width * side / count)
        weight = torch.exp(-0.5 * offsets.square())
        self.register_buffer('weight', weight / weight.sum(1, keepdim=True))  # (count, side)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, side, side) -> (B, C, count, count)."""
        return self.weight @ maps @ self.weight.T


class Isometry(nn.Module):
    """Turns few features into an embedding of another length without changing any distance.

    A random projection changes distances by several per cent, which the nearest neighbours feel.
    """

    def __init__(self, features: int, size: int) -> None:
        """Draws an orthonormal map from torch's generator; size >= features."""
        super().__init__()
        weight = torch.empty(size, features)
        if not weight.is_meta:
            # Its decomposition rounds differently on more threads, and a seed must mean the same everywhere.
            with lent_threads(1):
                nn.init.orthogonal_(weight)
        self.weight = nn.Parameter(weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, features) -> (B, size)."""
        return features @ self.weight.T
