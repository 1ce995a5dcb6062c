"""Small networks on top of a fixed random view of the embedding: what learned rewards are made of.

One hidden layer each, apart from Fast and Slow and so without a gradient into them. The view is a random projection:
it keeps distances (Johnson and Lindenstrauss 1984), makes a head 40 times smaller than on the embedding, and stops 512
numbers from drowning the two of an action.
"""

from collections.abc import Mapping
import math

import torch
from torch import nn, Tensor

from ..space_change import SpaceChange

VIEW = 64
HIDDEN = 64


class View:
    """Projects normalised embeddings (..., D) to float32 (..., 64)."""

    def __init__(self, z_size: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._planes = torch.randn(z_size, VIEW, generator=generator) / math.sqrt(z_size)

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self._planes

    def change(self, change: SpaceChange) -> SpaceChange:
        """Returns how views change with the snapshot of the normaliser."""
        return change.projected(self._planes)


class Heads(nn.Module):
    """Several networks of one hidden layer, each with its own weights, computed together.

    Args:
        heads, inputs, outputs: how many networks, and numbers in and out of each.
    """

    def __init__(self, heads: int, inputs: int, outputs: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.into = _weights((heads, inputs, HIDDEN), inputs, generator)
        self.into_bias = _weights((heads, 1, HIDDEN), inputs, generator)
        self.out = _weights((heads, HIDDEN, outputs), HIDDEN, generator)
        self.out_bias = _weights((heads, 1, outputs), HIDDEN, generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns every head's answer to the same inputs: (heads, B, outputs) from (B, inputs)."""
        hidden = torch.relu(inputs @ self.into + self.into_bias)  # (heads, B, HIDDEN)
        return hidden @ self.out + self.out_bias

    def fold(
        self, weights: Mapping[str, Tensor], change: SpaceChange, *, answers_differences: bool
    ) -> dict[str, Tensor]:  # fmt: skip
        """Returns the weights that answer to new views as the given ones to old ones; see `space_change.Fold`.

        Args:
            answers_differences: answers are differences of views, and so in their units.
        """
        into, size = weights['into'], len(change.shift)
        ours, others = into[:, :size], into[:, size:]
        folded = {
            'into': torch.cat([change.ratio * ours, others], dim=1),
            'into_bias': weights['into_bias'] + change.shift[None] @ ours,  # (heads, 1, HIDDEN)
        }
        if answers_differences:
            folded |= {name: weights[name] / change.ratio for name in ('out', 'out_bias')}
        return {**weights, **folded}


def _weights(shape: tuple[int, ...], inputs: int, generator: torch.Generator) -> nn.Parameter:
    bound = 1.0 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))
