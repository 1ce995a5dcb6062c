"""A linear layer of which some weights are 0 and stay so."""

import torch
from torch import nn, Tensor


class MaskedLinear(nn.Linear):
    """A linear layer with `weight_mask`, bool (O, I): where it is False the weight is 0 and receives no gradient."""

    weight_mask: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer('weight_mask', torch.ones(outputs, inputs, dtype=torch.bool))

    def forward(self, x: Tensor) -> Tensor:
        """Args: x: float32 (..., I). Returns: (..., O)."""
        return nn.functional.linear(x, self.weight * self.weight_mask, self.bias)
