"""A perceptron whose hidden units are scaled by the action (FiLM, Perez et al. 2018): z_next = z + f(z, a).

An action determines how far an image changes, so it multiplies; as two inputs beside 512 it would have little effect.
The last scaling is initially proportional to the action: no action, no change. Changes without an action are learned by
the bias of that scaling.
"""

from collections.abc import Mapping
import itertools

import torch
from torch import nn, Tensor

from ..space_change import fold_ends, SpaceChange
from .contract import ModelState, WorldModel
from .mlp import initialise


class FilmWorldModel(WorldModel):
    """Layers over embedding and action; the action scales the first before its ReLU and the last after it.

    Args:
        residual: the output is added to z, and its layer starts at zero: untrained it predicts no change.
    """

    can_fold = True

    def __init__(self, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool) -> None:
        super().__init__()
        sizes = (z_size + action_size, *hidden)
        self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in itertools.pairwise(sizes))
        self.scale = nn.Linear(action_size, hidden[0])
        self.drive = nn.Linear(action_size, hidden[-1])
        self.output = nn.Linear(hidden[-1], z_size)
        self.residual = residual

    def predict(
        self, state: ModelState, z: Tensor, action: Tensor, elapsed: Tensor | None = None
    ) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        first, *others = self.layers
        hidden = torch.relu(first(torch.cat([z, action], dim=-1)) * (1.0 + self.scale(action)))  # (B, H)
        for layer in others:
            hidden = torch.relu(layer(hidden))
        out = self.output(hidden * self.drive(action))  # (B, D)
        return state, z + out if self.residual else out, {}

    def fold(self, weights: Mapping[str, Tensor], change: SpaceChange) -> dict[str, Tensor]:
        return fold_ends(weights, 'layers.0', 'output', change, is_difference=self.residual)


def make(*, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int) -> FilmWorldModel:
    """Makes an untrained network."""
    model = FilmWorldModel(z_size, action_size, hidden, residual)
    initialise(model, seed)
    initialise_film(model, seed)
    return model


def initialise_film(model: FilmWorldModel, seed: int) -> None:
    """Initialises the scalings from a seed, without bias; a residual output starts at zero."""
    generator = torch.Generator().manual_seed(seed + 1)
    for modulation in (model.scale, model.drive):
        with torch.no_grad():
            modulation.weight.normal_(generator=generator)
        nn.init.zeros_(modulation.bias)
    if model.residual:
        nn.init.zeros_(model.output.weight)
        nn.init.zeros_(model.output.bias)
