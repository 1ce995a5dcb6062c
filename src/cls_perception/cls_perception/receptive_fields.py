"""Wide, smooth receptive fields: their averages change smoothly with the camera's motion, so they are predictable."""

import torch
from torch import nn

from .threads import thread_count


class ReceptiveFields(nn.Module):
    """Averages maps over a grid of overlapping Gaussian windows.

    Args:
        side: of the square maps, pixels.
        count: windows in a row and in a column.
        width: standard deviation of a window in units of their distance. With the disjoint boxes of pooling an edge
            would jump from one to the next.
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
    """Maps few features isometrically to a longer embedding.

    A random projection would change distances by several per cent, and with them nearest neighbours.
    """

    def __init__(self, features: int, size: int) -> None:
        """Draws an orthonormal map from torch's generator; size >= features."""
        super().__init__()
        weight = torch.empty(size, features)
        if not weight.is_meta:
            # The decomposition rounds differently with more threads; the result must depend on the seed only.
            with thread_count(1):
                nn.init.orthogonal_(weight)
        self.weight = nn.Parameter(weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, features) -> (B, size)."""
        return features @ self.weight.T
