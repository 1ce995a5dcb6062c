"""The network that every method trains, and the settings that all of them share. PyTorch only, see `digits`."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import nn, Tensor

from cls_bench.continual.digits import CLASSES, PIXELS

HIDDEN: Final = 256
EPOCHS, BATCH, MEMORY = 5, 32, 200
# Of answers that can not be right; finite, so that differences of two of them are 0.
_NEVER = -1e9


class Network(nn.Sequential):
    """A multilayer perceptron, 64-256-10.

    Attributes:
        gradients: number of images of which a gradient was computed, or could have been.
    """

    def __init__(self, seed: int) -> None:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            super().__init__(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
        self.gradients = 0

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (B, 10) of images (B, 64)."""
        if torch.is_grad_enabled():
            self.gradients += len(x)
        logits: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return logits


def only(logits: Tensor, classes: Sequence[int]) -> Tensor:
    """Returns logits (B, 10) with which no other class can be the answer."""
    allowed = torch.full((CLASSES,), _NEVER)
    allowed[list(classes)] = 0.0
    return logits + allowed
