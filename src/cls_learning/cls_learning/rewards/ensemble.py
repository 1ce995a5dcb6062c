"""Ensemble of small networks on a fixed random projection of the embedding, for learned rewards.

The networks have one hidden layer each and share no weights with Fast and Slow, so that no gradient reaches those. A
random projection preserves distances (Johnson and Lindenstrauss 1984), makes a network 40 times smaller than on the
embedding, and balances 512 inputs of an image against two of an action.
"""

from collections.abc import Mapping
import math

import torch
from torch import nn, Tensor

from ..space_change import SpaceChange

PROJECTED = 64
HIDDEN = 64


class RandomProjection:
    """Projects normalised embeddings float32 (..., D) to float32 (..., PROJECTED)."""

    def __init__(self, z_size: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._planes = torch.randn(z_size, PROJECTED, generator=generator) / math.sqrt(z_size)

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self._planes

    def change(self, change: SpaceChange) -> SpaceChange:
        """Returns how projections change with the snapshot of the normaliser."""
        return change.projected(self._planes)


class Ensemble(nn.Module):
    """Several networks of one hidden layer with separate weights, computed in one pass.

    Args:
        members, inputs, outputs: number of networks, and length of their input and output.
    """

    def __init__(self, members: int, inputs: int, outputs: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.into = _weights((members, inputs, HIDDEN), inputs, generator)
        self.into_bias = _weights((members, 1, HIDDEN), inputs, generator)
        self.out = _weights((members, HIDDEN, outputs), HIDDEN, generator)
        self.out_bias = _weights((members, 1, outputs), HIDDEN, generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the output of every member for the same inputs: (members, B, outputs) from (B, inputs)."""
        hidden = torch.relu(inputs @ self.into + self.into_bias)  # (members, B, HIDDEN)
        return hidden @ self.out + self.out_bias

    def fold(
        self, weights: Mapping[str, Tensor], change: SpaceChange, *, predicts_differences: bool
    ) -> dict[str, Tensor]:
        """Returns the weights that compute on new projections what the given ones compute on old ones; see `Fold`.

        Args:
            predicts_differences: outputs are differences of projections, and so in their units.
        """
        into, size = weights['into'], len(change.shift)
        ours, others = into[:, :size], into[:, size:]
        folded = {
            'into': torch.cat([change.ratio * ours, others], dim=1),
            'into_bias': weights['into_bias'] + change.shift[None] @ ours,  # (members, 1, HIDDEN)
        }
        if predicts_differences:
            folded |= {name: weights[name] / change.ratio for name in ('out', 'out_bias')}
        return {**weights, **folded}


def _weights(shape: tuple[int, ...], inputs: int, generator: torch.Generator) -> nn.Parameter:
    bound = 1.0 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))
