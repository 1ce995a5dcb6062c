"""Networks of actor and critic. All return outputs and the share of neurons that fire in a tick, NaN without spikes."""

import itertools

import torch
from torch import nn, Tensor

from ...neurons.layers import SpikingNetwork
from ...world_models.mlp import initialise
from .settings import AgentSettings


class MlpNetwork(nn.Module):
    """Linear layers with layer normalisation and SiLU (Hafner et al. 2023)."""

    def __init__(self, inputs: int, outputs: int, settings: AgentSettings) -> None:
        super().__init__()
        sizes = (inputs, *(settings.hidden,) * settings.layers)
        layers: list[nn.Module] = []
        for size, width in itertools.pairwise(sizes):
            layers += [nn.Linear(size, width), nn.LayerNorm(width), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(settings.hidden, outputs)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Args: inputs: (..., I). Returns: outputs (..., O), NaN (...)."""
        return self.output(self.layers(inputs)), inputs.new_full(inputs.shape[:-1], torch.nan)


class SpikingActor(nn.Module):
    """Layers of neurons that are at rest before each step, and a read-out of their spikes."""

    def __init__(self, inputs: int, outputs: int, settings: AgentSettings) -> None:
        super().__init__()
        self.network = SpikingNetwork((inputs, *(settings.hidden,) * settings.layers, outputs), settings.neurons)

    @property
    def output(self) -> nn.Linear:
        """The read-out."""
        return self.network.output

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Args: inputs: (..., I). Returns: outputs (..., O), rates of spikes (...)."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        _, out, rate = self.network(self.network.initial(len(flat)), flat)
        return out.view(*inputs.shape[:-1], -1), rate.view(inputs.shape[:-1])


def make_actor(inputs: int, outputs: int, settings: AgentSettings, seed: int) -> MlpNetwork | SpikingActor:
    """Makes an untrained actor whose output is 0 for every input."""
    actor = (SpikingActor if settings.network == 'spiking' else MlpNetwork)(inputs, outputs, settings)
    _start_at_zero(actor, seed)
    return actor


def make_critic(inputs: int, outputs: int, settings: AgentSettings, seed: int) -> MlpNetwork:
    """Makes an untrained critic whose output is 0 for every input; it is needed asleep only, so it has no spikes."""
    critic = MlpNetwork(inputs, outputs, settings)
    _start_at_zero(critic, seed)
    return critic


def _start_at_zero(network: MlpNetwork | SpikingActor, seed: int) -> None:
    initialise(network, seed)
    nn.init.zeros_(network.output.weight)
    nn.init.zeros_(network.output.bias)
