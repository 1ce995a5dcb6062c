"""A spiking network behind the contract of world models: z_next = z + f(z, a)."""

import torch
from torch import nn, Tensor

from ...neurons.layers import SpikingNetwork
from ...neurons.settings import NeuronSettings
from ..contract import ModelState, WorldModel
from ..mlp import initialise


class SpikingWorldModel(WorldModel):
    """The state is that of the network's neurons; gives `spike_rate` (B,), the share of neurons that fire in a tick."""

    context = 2

    def __init__(
        self, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, own: NeuronSettings
    ) -> None:
        super().__init__()
        self.network = SpikingNetwork((z_size + action_size, *hidden, z_size), own)
        self.residual = residual

    def initial(self, batch: int) -> ModelState:
        return self.network.initial(batch)

    def predict(
        self, state: ModelState, z: Tensor, action: Tensor, elapsed: Tensor | None = None
    ) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        after, out, rate = self.network(state, torch.cat([z, action], dim=-1), elapsed)
        return after, z + out if self.residual else out, {'spike_rate': rate}


def make(
    *, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int, own: NeuronSettings
) -> SpikingWorldModel:
    """Makes an untrained network."""
    model = SpikingWorldModel(z_size, action_size, hidden, residual, own)
    initialise(model, seed)
    if residual:
        nn.init.zeros_(model.network.output.weight)
        nn.init.zeros_(model.network.output.bias)
    return model
