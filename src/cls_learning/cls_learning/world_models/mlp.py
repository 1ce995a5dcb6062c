"""Multi-layer perceptron of the original system: [z, a] -> z_next."""

from collections.abc import Mapping
import itertools
import math

import torch
from torch import nn, Tensor

from ..space_change import fold_ends, SpaceChange
from .contract import ModelState, WorldModel


class MlpWorldModel(WorldModel):
    """ReLU layers over the concatenation of embedding and action, linear output.

    With `residual` the output is added to z, and its layer starts at zero: untrained it predicts no change.
    """

    can_fold = True

    def __init__(self, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool) -> None:
        super().__init__()
        sizes = (z_size + action_size, *hidden)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], z_size))
        self.residual = residual

    def predict(
        self, state: ModelState, z: Tensor, action: Tensor, elapsed: Tensor | None = None
    ) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        out = self.layers(torch.cat([z, action], dim=-1))  # (B, D)
        return state, z + out if self.residual else out, {}

    def fold(self, weights: Mapping[str, Tensor], change: SpaceChange) -> dict[str, Tensor]:
        last = f'layers.{len(self.layers) - 1}'
        return fold_ends(weights, 'layers.0', last, change, is_difference=self.residual)


def initialise(module: nn.Module, seed: int) -> None:
    """Initialises every Linear of a module like PyTorch's default, from a seed instead of global state."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                bound = 1.0 / math.sqrt(layer.in_features)
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)


def make(*, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int) -> MlpWorldModel:
    """Makes an untrained network."""
    model = MlpWorldModel(z_size, action_size, hidden, residual)
    initialise(model, seed)
    if residual:
        output = model.layers[-1]
        assert isinstance(output, nn.Linear)
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
    return model
