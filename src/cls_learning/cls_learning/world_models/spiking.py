"""A world model of leaky integrate-and-fire neurons: z_next = z + f(z, a), trained by surrogate gradients.

Two or more layers of neurons run for some ticks in every step of the robot. Their membranes are the model's state. The
output is read from a leaky trace of the last layer's spikes over the ticks of one step. Nothing but spikes passes from
layer to layer, so most of the work is additions (Neftci, Mostafa and Zenke 2019).
"""

from collections.abc import Callable
from dataclasses import dataclass
import itertools
from typing import Any

import torch
from torch import nn, Tensor
from torch.autograd.function import once_differentiable

from cls_common.settings import setting, Settings

from .contract import ModelState, WorldModel
from .mlp import initialise

# Derivatives that stand for that of the step function, by name; of x = membrane - threshold and a slope.
SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    'fast_sigmoid': lambda x, slope: (slope * x.abs() + 1.0).square().reciprocal(),
    'arctan': lambda x, slope: ((slope * x).square() + 1.0).reciprocal(),
    'triangle': lambda x, slope: (1.0 - slope * x.abs()).clamp(min=0.0),
}
# Bounds of what neurons learn: a decay of 1 never forgets, a threshold of 0 always fires.
DECAY, THRESHOLD = (0.0, 0.99), (0.1, 4.0)


@dataclass(frozen=True, kw_only=True)
class SpikingSettings(Settings):
    ticks: int = setting(4, 'Simulation steps of the neurons in each step of the robot.', low=1, high=64)
    surrogate: str = setting('fast_sigmoid', 'Derivative in place of that of a spike.', choices=tuple(SURROGATES))
    slope: float = setting(5.0, 'Of the surrogate: the larger, the narrower.', low=0.1)
    decay: float = setting(0.7, 'Share of a membrane that is left after a tick, before learning.', low=0.01, high=0.98)
    threshold: float = setting(1.0, 'Membrane at which a neuron fires, before learning.', low=0.11, high=3.9)


SETTINGS = SpikingSettings


class Integrate(torch.autograd.Function):
    """Integrates currents to spikes over ticks: m[t] = decay m[t-1] + current[t] - threshold s[t-1].

    s = 1 where m > threshold. The reset subtracts the threshold one tick after a spike, and no gradient flows through
    the s of the reset, as in snnTorch's `Leaky`. All ticks in one function: a tenth of the operations on the tape.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, membrane: Tensor, current: Tensor, decay: Tensor, threshold: Tensor, surrogate: str, slope: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Args: membrane (B, H), current (T, B, H), decay and threshold (H,).

        Returns:
            membranes (T, B, H) before the reset, spikes (T, B, H), and the last membrane (B, H).
        """
        membranes, spikes = torch.empty_like(current), torch.empty_like(current)
        first, m = membrane, membrane
        spike = (m > threshold).to(m.dtype)
        first_spike = spike
        for t in range(len(current)):
            m = torch.addcmul(current[t], m, decay, out=membranes[t]).addcmul_(spike, threshold, value=-1)
            spike = spikes[t].copy_(m > threshold)
        ctx.save_for_backward(first, first_spike, membranes, spikes, decay, threshold)
        ctx.surrogate, ctx.slope = surrogate, slope
        ctx.mark_non_differentiable(membranes)
        return membranes, spikes, membranes[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, _: Tensor, spikes_gradient: Tensor, last_gradient: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        """Runs back through the ticks."""
        first, first_spike, membranes, spikes, decay, threshold = ctx.saved_tensors
        through_spikes = SURROGATES[ctx.surrogate](membranes - threshold, ctx.slope).mul_(spikes_gradient)
        gradient = torch.empty_like(membranes)
        later = last_gradient
        for t in range(len(membranes) - 1, -1, -1):
            torch.add(through_spikes[t], later, out=gradient[t])
            later = gradient[t] * decay
        before = torch.cat([first[None], membranes[:-1]])
        spikes_before = torch.cat([first_spike[None], spikes[:-1]])
        decay_gradient = (gradient * before).sum((0, 1))
        threshold_gradient = -(through_spikes + gradient * spikes_before).sum((0, 1))
        return later, gradient, decay_gradient, threshold_gradient, None, None


class LeakyLayer(nn.Module):
    """A linear layer and leaky integrate-and-fire neurons with a decay and a threshold each, learned within bounds."""

    def __init__(self, inputs: int, units: int, own: SpikingSettings) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units)
        self.decay_logit = nn.Parameter(torch.full((units,), _logit(own.decay, DECAY)))
        self.threshold_logit = nn.Parameter(torch.full((units,), _logit(own.threshold, THRESHOLD)))
        self._surrogate, self._slope = own.surrogate, own.slope

    @property
    def decay(self) -> Tensor:
        """Of each neuron, float32 (H,), within DECAY."""
        return _bounded(self.decay_logit, DECAY)

    @property
    def threshold(self) -> Tensor:
        """Of each neuron, float32 (H,), within THRESHOLD."""
        return _bounded(self.threshold_logit, THRESHOLD)

    def forward(self, membrane: Tensor, inputs: Tensor, ticks: int) -> tuple[Tensor, Tensor]:
        """Runs `ticks` ticks.

        Args:
            membrane: float32 (B, H). inputs: float32 (1, B, I), the same in every tick, or (T, B, I).

        Returns:
            membrane (B, H) after the last tick, spikes (T, B, H).
        """
        current = self.linear(inputs).expand(ticks, -1, -1)
        _, spikes, last = Integrate.apply(  # type: ignore[no-untyped-call]
            membrane, current, self.decay, self.threshold, self._surrogate, self._slope
        )
        return last, spikes


class SpikingWorldModel(WorldModel):
    """Layers of leaky integrate-and-fire neurons, with the state `membrane.I` float32 (B, H) of each layer.

    Gives `spike_rate` (B,): the share of neurons that fire in a tick.
    """

    context = 2

    def __init__(
        self, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, own: SpikingSettings
    ) -> None:
        super().__init__()
        sizes = (z_size + action_size, *hidden)
        self.layers = nn.ModuleList(LeakyLayer(i, o, own) for i, o in itertools.pairwise(sizes))
        self.output = nn.Linear(hidden[-1], z_size)
        self.residual = residual
        self._hidden, self._ticks = hidden, own.ticks
        # The trace of the read-out: later ticks count more, all of them 1 together.
        shares = own.decay ** torch.arange(own.ticks - 1, -1, -1, dtype=torch.float32)
        self.register_buffer('shares', shares / shares.sum(), persistent=False)

    def initial(self, batch: int) -> ModelState:
        return {f'membrane.{i}': self.output.weight.new_zeros(batch, units) for i, units in enumerate(self._hidden)}

    def predict(self, state: ModelState, z: Tensor, action: Tensor) -> tuple[ModelState, Tensor, dict[str, Tensor]]:
        signal = torch.cat([z, action], dim=-1)[None]  # (1, B, D + A)
        after, rates = {}, []
        for i, layer in enumerate(self.layers):
            name = f'membrane.{i}'
            after[name], signal = layer(state[name], signal, self._ticks)  # (B, H), (T, B, H)
            rates.append(signal.mean((0, 2)))
        out = self.output(torch.einsum('t,tbh->bh', self.shares, signal))  # (B, D)
        info = {'spike_rate': torch.stack(rates).mean(0)}
        return after, z + out if self.residual else out, info


def _bounded(logit: Tensor, bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.sigmoid(logit)


def _logit(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return float(torch.logit(torch.tensor((value - low) / (high - low))))


def make(
    *, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int, own: SpikingSettings
) -> SpikingWorldModel:
    """Makes an untrained network."""
    model = SpikingWorldModel(z_size, action_size, hidden, residual, own)
    initialise(model, seed)
    if residual:
        nn.init.zeros_(model.output.weight)
        nn.init.zeros_(model.output.bias)
    return model
