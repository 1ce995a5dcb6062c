"""A spiking network behind the contract of world models: z_next = z + f(z, a)."""

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.errors import UserError

from ...neurons.layers import SpikingNetwork
from ...randomness import stream
from ...rtrl.pruning import prune, rewire
from ..contract import ModelState, WorldModel
from ..mlp import initialise
from . import SpikingModelSettings

# Share of the weights that `set` replaces each time, as in Mocanu et al. (2018).
_REPLACED = 0.3


class SpikingWorldModel(WorldModel):
    """The state is that of the network's neurons; gives `spike_rate` (B,), the share of neurons that fire in a tick.

    Raises:
        UserError: weights between layers of neurons are to be pruned, and there is one layer only.
    """

    context = 2

    def __init__(
        self, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, own: SpikingModelSettings
    ) -> None:
        super().__init__()
        if own.pruned and len(hidden) < 2:
            raise UserError(
                "parameter 'spiking.pruned'", expected='0, or two hidden layers or more', found=str(own.pruned)
            )
        self.network = SpikingNetwork((z_size + action_size, *hidden, z_size), own, is_masked=own.pruned > 0)
        self.residual = residual
        self._is_rewired = own.sparsity == 'set'

    def initial(self, batch: int) -> ModelState:
        return self.network.initial(batch)

    def predict(
        self, state: ModelState, z: Tensor, action: Tensor, elapsed: Tensor | None = None
    ) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        after, out, rate = self.network(state, torch.cat([z, action], dim=-1), elapsed)
        return after, z + out if self.residual else out, {'spike_rate': rate}

    def rewire(self, generator: np.random.Generator) -> int:
        return rewire(self.network, _REPLACED, generator) if self._is_rewired else 0


def make(
    *, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int, own: SpikingModelSettings
) -> SpikingWorldModel:
    """Makes an untrained network."""
    model = SpikingWorldModel(z_size, action_size, hidden, residual, own)
    initialise(model, seed)
    if residual:
        nn.init.zeros_(model.network.output.weight)
        nn.init.zeros_(model.network.output.bias)
    prune(model.network, own.pruned, stream(seed, 'pruned', 0))
    return model
