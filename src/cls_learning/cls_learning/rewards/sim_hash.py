"""Cells of vectors by the signs of random projections (SimHash, Tang et al. 2017)."""

import torch
from torch import Tensor

BITS = 10


class SimHash:
    """Maps vectors to one of 2**BITS cells; similar ones often share a cell.

    Args:
        size: length of a vector, D. seed: of the projections.

    Attributes:
        planes: (D, BITS). offset: by which a model may move the projections off the origin, (BITS,), initially 0.
        count: number of cells.
    """

    count = 2**BITS

    def __init__(self, size: int, seed: int) -> None:
        self.planes = torch.randn(size, BITS, generator=torch.Generator().manual_seed(seed))
        self.offset = torch.zeros(BITS)

    def cells(self, x: Tensor) -> Tensor:
        """Returns the cells of vectors (..., D), int64 (...)."""
        bits = (x @ self.planes + self.offset > 0).long()
        return (bits * 2 ** torch.arange(BITS)).sum(dim=-1)
