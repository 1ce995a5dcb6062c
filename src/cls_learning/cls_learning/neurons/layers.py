"""Layers of integrate-and-fire neurons, trained by surrogate gradients (Neftci, Mostafa and Zenke 2019).

A layer is a linear map and neurons that run for some ticks in every step of the robot. Its state is a dict of tensors,
one row for each of a batch: `initial` gives it, `forward` takes and returns it.

A step may last longer or shorter than the nominal one: `elapsed`, float32 (B,), is its duration in nominal steps. Each
tick then decays by decay^elapsed, and its input is held for as long. None is 1, to the last bit.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
import itertools
from typing import Any, cast

import torch
from torch import nn, Tensor
from torch.autograd.function import once_differentiable

from .decay import power, power_difference, power_sum
from .masked_linear import MaskedLinear
from .settings import NeuronSettings

# Derivatives that stand for that of the step function, by name; of x = membrane - threshold and a slope.
SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    'fast_sigmoid': lambda x, slope: (slope * x.abs() + 1.0).square().reciprocal(),
    'arctan': lambda x, slope: ((slope * x).square() + 1.0).reciprocal(),
    'triangle': lambda x, slope: (1.0 - slope * x.abs()).clamp(min=0.0),
}
# Bounds of what neurons learn: a decay of 1 never forgets, a threshold of 0 always fires.
DECAY, THRESHOLD = (0.0, 0.99), (0.1, 4.0)


class Integrate(torch.autograd.Function):
    """Integrates currents to spikes over ticks: m[t] = decay m[t-1] + current[t] - threshold s[t-1].

    s = 1 where m > threshold. The reset subtracts the threshold one tick after a spike, and no gradient flows through
    the s of the reset, as in snnTorch's `Leaky`. All ticks in one function: a tenth of the operations on the tape.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, membrane: Tensor, current: Tensor, decay: Tensor, threshold: Tensor, surrogate: str, slope: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Args: membrane (B, H), current (T, B, H), decay (H,) or (B, H), threshold (H,).

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
        decay_gradient = (gradient * before).sum((0, 1) if decay.dim() == 1 else 0)
        threshold_gradient = -(through_spikes + gradient * spikes_before).sum((0, 1))
        return later, gradient, decay_gradient, threshold_gradient, None, None


class LeakyLayer(nn.Module):
    """A linear layer and leaky integrate-and-fire neurons with a decay and a threshold each, learned within bounds.

    The state is `membrane`, float32 (B, H).
    """

    def __init__(self, inputs: int, units: int, own: NeuronSettings, *, is_masked: bool = False) -> None:
        super().__init__()
        self.units = units
        self.linear = (MaskedLinear if is_masked else nn.Linear)(inputs, units)
        self.decay_logit = nn.Parameter(torch.full((units,), _logit(own.decay, DECAY)))
        self.threshold_logit = nn.Parameter(torch.full((units,), _logit(own.threshold, THRESHOLD)))
        self._ticks, self._surrogate, self._slope = own.ticks, own.surrogate, own.slope

    @property
    def decay(self) -> Tensor:
        """Of each neuron, float32 (H,), within DECAY."""
        return _bounded(self.decay_logit, DECAY)

    @property
    def threshold(self) -> Tensor:
        """Of each neuron, float32 (H,), within THRESHOLD."""
        return _bounded(self.threshold_logit, THRESHOLD)

    def initial(self, batch: int) -> dict[str, Tensor]:
        """Returns the state at rest, each tensor float32 (B, H)."""
        return {'membrane': self.linear.weight.new_zeros(batch, self.units)}

    def forward(
        self, state: Mapping[str, Tensor], inputs: Tensor, elapsed: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Runs all ticks of one step.

        Args:
            state: of `initial` or of the step before.
            inputs: float32 (1, B, I), the same in every tick, or (T, B, I).
            elapsed: float32 (B,), duration of the step in nominal steps; None: 1.

        Returns:
            the state after the last tick, spikes (T, B, H).
        """
        after, _, spikes = self.integrate(state, self.linear(inputs), elapsed)
        return after, spikes

    def integrate(
        self, state: Mapping[str, Tensor], current: Tensor, elapsed: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Runs all ticks on the outputs of the linear layer, (1, B, H) or (T, B, H).

        Returns:
            the state after the last tick, membranes before the reset and spikes, (T, B, H) each.
        """
        decay = self.decay
        if elapsed is not None:
            current, decay = current * power_sum(decay, elapsed[:, None]), power(decay, elapsed[:, None])
        return self._fire(state['membrane'], current.expand(self._ticks, -1, -1), decay)

    def _fire(self, membrane: Tensor, current: Tensor, decay: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        membranes, spikes, last = Integrate.apply(  # type: ignore[no-untyped-call]
            membrane, current, decay, self.threshold, self._surrogate, self._slope
        )
        return {'membrane': last}, membranes, spikes


class SynapticLayer(LeakyLayer):
    """Second-order neurons: their input is a current that decays, i[t] = synapse i[t-1] + input[t].

    The state is `membrane` and `current`, float32 (B, H).
    """

    def __init__(self, inputs: int, units: int, own: NeuronSettings, *, is_masked: bool = False) -> None:
        super().__init__(inputs, units, own, is_masked=is_masked)
        self.synapse_logit = nn.Parameter(torch.full((units,), _logit(own.synapse, DECAY)))

    @property
    def synapse(self) -> Tensor:
        """Decay of the current of each neuron, float32 (H,), within DECAY."""
        return _bounded(self.synapse_logit, DECAY)

    def initial(self, batch: int) -> dict[str, Tensor]:
        return {**super().initial(batch), 'current': self.linear.weight.new_zeros(batch, self.units)}

    def integrate(
        self, state: Mapping[str, Tensor], current: Tensor, elapsed: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        currents, synapse, decay, given = [state['current']], self.synapse, self.decay, current
        if elapsed is not None:
            n = elapsed[:, None]
            # What current and held input add to a membrane meanwhile: the solution of both recursions for any n.
            by_current = synapse * power_difference(synapse, decay, n)
            by_input = (power_sum(decay, n) - by_current) / (1.0 - synapse)
            given, synapse, decay = current * power_sum(synapse, n), power(synapse, n), power(decay, n)
        for each in given.expand(self._ticks, -1, -1):
            currents.append(torch.addcmul(each, currents[-1], synapse))
        if elapsed is None:
            drive = torch.stack(currents[1:])
        else:
            drive = torch.addcmul(current * by_input, torch.stack(currents[:-1]), by_current)
        after, membranes, spikes = self._fire(state['membrane'], drive, decay)
        return {**after, 'current': currents[-1]}, membranes, spikes


LAYERS: dict[str, type[LeakyLayer]] = {'leaky': LeakyLayer, 'synaptic': SynapticLayer}


class SpikingNetwork(nn.Module):
    """Layers of neurons and a linear read-out of a leaky trace of the last layer's spikes over one step's ticks.

    Nothing but spikes passes from layer to layer, so most of the work is additions. The state holds each layer's, named
    `membrane.0`, `membrane.1` ...
    """

    shares: Tensor

    def __init__(self, sizes: tuple[int, ...], own: NeuronSettings, *, is_masked: bool = False) -> None:
        """Args: sizes: of inputs, of each layer of neurons, and of outputs. is_masked: see `masks`."""
        super().__init__()
        self.layers = nn.ModuleList(
            LAYERS[own.neuron](i, o, own, is_masked=is_masked and number > 0)
            for number, (i, o) in enumerate(itertools.pairwise(sizes[:-1]))
        )
        self.output = nn.Linear(sizes[-2], sizes[-1])
        # The trace of the read-out: later ticks count more, all of them 1 together.
        shares = own.decay ** torch.arange(own.ticks - 1, -1, -1, dtype=torch.float32)
        self.register_buffer('shares', shares / shares.sum(), persistent=False)

    def initial(self, batch: int) -> dict[str, Tensor]:
        """Returns the state at rest."""
        return {f'{name}.{i}': s for i, layer in self._enumerate() for name, s in layer.initial(batch).items()}

    def masks(self) -> dict[str, Tensor]:
        """Returns which weights between layers of neurons exist, bool, by the name of their parameter."""
        parts = ((name, part) for name, part in self.named_modules() if isinstance(part, MaskedLinear))
        return {f'{name}.weight': part.weight_mask for name, part in parts}

    def forward(
        self, state: Mapping[str, Tensor], inputs: Tensor, elapsed: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Runs one step.

        Args:
            state: of `initial` or of the step before, each tensor (B, H).
            inputs: float32 (B, I).
            elapsed: float32 (B,), duration of the step in nominal steps; None: 1.

        Returns:
            the next state, outputs (B, O), and the share of neurons that fire in a tick (B,).
        """
        signal, rates = inputs[None], []
        after: dict[str, Tensor] = {}
        for i, layer in self._enumerate():
            own = {name.partition('.')[0]: s for name, s in state.items() if name.endswith(f'.{i}')}
            own, signal = layer(own, signal, elapsed)  # signal: (T, B, H)
            after |= {f'{name}.{i}': s for name, s in own.items()}
            rates.append(signal.mean((0, 2)))
        out = self.output(torch.einsum('t,tbh->bh', self.shares, signal))  # (B, O)
        return after, out, torch.stack(rates).mean(0)

    def _enumerate(self) -> Iterator[tuple[int, LeakyLayer]]:
        return enumerate(cast(Iterable[LeakyLayer], self.layers))


def _bounded(logit: Tensor, bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.sigmoid(logit)


def _logit(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return float(torch.logit(torch.tensor((value - low) / (high - low))))
