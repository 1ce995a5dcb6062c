"""A gated recurrent unit whose units speak only by events (EGRU, Subramoney et al. 2023).

The gates are those of `torch.nn.GRUCell`, with its parameter names. A unit gives its membrane c as output where c
passes a threshold, and 0 else; after that the threshold is subtracted from the membrane:

    v = c[t-1] - o[t-1] threshold,  h[t-1] = o[t-1] c[t-1]
    r, z = sigmoid(W x + V h[t-1]),  n = tanh(W x + r (V h[t-1]))
    c[t] = (1 - z) n + z v,  o[t] = step(c[t] - threshold)
"""

from typing import Any

import torch
from torch import nn, Tensor
from torch.autograd.function import once_differentiable

from ..randomness import derive
from .cell import CellState, Coupling, Linearisation, RecurrentCell

_GATES = 3
# Rows of the coefficients: of the gates' inputs, of their recurrent inputs, of the threshold.
_COEFFICIENTS = 2 * _GATES + 1


def surrogate(x: Tensor, gamma: float, width: float) -> Tensor:
    """Returns what stands for the derivative of step(x): gamma max(0, 1 - |x| / width)."""
    return gamma * (1.0 - x.abs() / width).clamp(min=0.0)


class Event(torch.autograd.Function):
    """step(x): 1 where x > 0; its gradient is that of `surrogate`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: float, width: float) -> Tensor:  # type: ignore[override]
        """Returns 0 or 1, in the shape of x."""
        ctx.save_for_backward(x)
        ctx.gamma, ctx.width = gamma, width
        return (x > 0).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """Multiplies by the surrogate."""
        (x,) = ctx.saved_tensors
        return gradient * surrogate(x, ctx.gamma, ctx.width), None, None


class EventGruCell(RecurrentCell):
    """An event-based GRU with the state `membrane` (B, H) and output h (B, H), most of it zeros.

    Args:
        seed: of the weights; equal seeds give equal weights.
        threshold: of every unit before learning, in (0, 1); it stays there.
        gamma, width: of the surrogate; a wider one propagates more gradient, and through more units.
        reset_gradient: whether gradients flow through the event of the reset. RTRL and BPTT both obey.
    """

    weight_ih_mask: Tensor
    weight_hh_mask: Tensor

    def __init__(
        self, inputs: int, units: int, *, seed: int, threshold: float = 0.3, gamma: float = 0.7, width: float = 1.0,
        reset_gradient: bool = True, dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        super().__init__(inputs, units, units)
        self._gamma, self._width, self._reset_gradient = gamma, width, reset_gradient
        generator = torch.Generator().manual_seed(derive(seed, 'event_gru'))
        bound = units**-0.5

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter((2 * bound * torch.rand(*shape, generator=generator) - bound).to(dtype))

        self.weight_ih, self.weight_hh = draw(_GATES * units, inputs), draw(_GATES * units, units)
        self.bias_ih, self.bias_hh = draw(_GATES * units), draw(_GATES * units)
        logit = torch.logit(torch.tensor(threshold, dtype=torch.float64))
        self.threshold_logit = nn.Parameter(torch.full((units,), float(logit), dtype=dtype))
        for name in ('weight_ih', 'weight_hh'):
            self.register_buffer(f'{name}_mask', torch.ones_like(getattr(self, name), dtype=torch.bool))
        columns = _columns(inputs, units)
        self.register_buffer('column_coefficient', columns[0], persistent=False)
        self.register_buffer('column_source', columns[1], persistent=False)

    @property
    def threshold(self) -> Tensor:
        """Of each unit, (H,), in [0, 1]."""
        return self.threshold_logit.sigmoid()

    def masks(self) -> dict[str, Tensor]:
        """See RecurrentCell."""
        return {'weight_ih': self.weight_ih_mask, 'weight_hh': self.weight_hh_mask}

    def connections(self) -> Tensor:
        """See RecurrentCell."""
        return self.weight_hh_mask.view(_GATES, self.units, self.units).any(0)

    def initial(self, batch: int) -> CellState:
        """See RecurrentCell."""
        return {'membrane': self.weight_ih.new_zeros(batch, self.units)}

    def events(self, state: CellState) -> Tensor:
        """See RecurrentCell; with the gradient of the surrogate."""
        return self._event(state['membrane'] - self.threshold)

    def forward(self, state: CellState, x: Tensor, elapsed: Tensor | None = None) -> tuple[CellState, Tensor]:
        """See RecurrentCell."""
        before, threshold = state['membrane'], self.threshold
        event = self._event(before - threshold)
        reset = event if self._reset_gradient else event.detach()
        _, z, n, _ = self._gates(x, event * before)
        if elapsed is not None:
            z = z ** elapsed[:, None]
        membrane = (1.0 - z) * n + z * (before - reset * threshold)
        return {'membrane': membrane}, self._event(membrane - threshold) * membrane

    @torch.no_grad()
    def linearise(self, state: CellState, x: Tensor) -> tuple[CellState, Tensor, Linearisation]:
        """See RecurrentCell."""
        before, threshold = state['membrane'], self.threshold
        to_logit = threshold * (1.0 - threshold)
        event = (before > threshold).to(before.dtype)
        bump = surrogate(before - threshold, self._gamma, self._width)
        h, left = event * before, before - event * threshold
        r, z, n, received = self._gates(x, h)
        membrane = (1.0 - z) * n + z * left
        by_n = (1.0 - z) * (1.0 - n * n)
        by_r, by_z = by_n * received * r * (1.0 - r), (left - n) * z * (1.0 - z)
        through_reset = threshold * bump if self._reset_gradient else torch.zeros_like(bump)
        by_threshold = -z * (event - through_reset) * to_logit
        step = Linearisation(
            own=z * (1.0 - through_reset),
            coefficients=torch.stack([by_r, by_z, by_n, by_r, by_z, by_n * r, by_threshold], -1),
            sources=torch.cat([x, h, torch.ones_like(x[:, :1])], 1),
            coupling=Coupling(
                gates=torch.stack([by_r, by_z, by_n * r], 1),
                weight=(self.weight_hh * self.weight_hh_mask).view(_GATES, self.units, self.units),
                slope=event + before * bump,
                direct=-before * bump * to_logit,
            ),
        )
        return {'membrane': membrane}, (membrane > threshold).to(membrane.dtype) * membrane, step

    @torch.no_grad()
    def pull_back(self, state: CellState, output_gradient: Tensor) -> tuple[Tensor, Tensor]:
        """See RecurrentCell."""
        membrane, threshold = state['membrane'], self.threshold
        through_event = membrane * surrogate(membrane - threshold, self._gamma, self._width)
        event = (membrane > threshold).to(membrane.dtype)
        direct = -through_event * threshold * (1.0 - threshold)
        return output_gradient * (event + through_event), output_gradient * direct

    def _event(self, x: Tensor) -> Tensor:
        event: Tensor = Event.apply(x, self._gamma, self._width)  # type: ignore[no-untyped-call]
        return event

    def _gates(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns r, z, n and what n received of other units, (B, H) each."""
        given = nn.functional.linear(x, self.weight_ih * self.weight_ih_mask, self.bias_ih).chunk(_GATES, 1)
        received = nn.functional.linear(h, self.weight_hh * self.weight_hh_mask, self.bias_hh).chunk(_GATES, 1)
        r, z = torch.sigmoid(given[0] + received[0]), torch.sigmoid(given[1] + received[1])
        return r, z, torch.tanh(given[2] + r * received[2]), received[2]


def _columns(inputs: int, units: int) -> tuple[Tensor, Tensor]:
    """Returns column_coefficient and column_source in the order of the parameters."""
    gates, one = torch.arange(_GATES), inputs + units
    coefficient = [
        gates.repeat_interleave(inputs), _GATES + gates.repeat_interleave(units), gates, _GATES + gates,
        torch.tensor([_COEFFICIENTS - 1]),
    ]  # fmt: skip
    source = [
        torch.arange(inputs).repeat(_GATES), (inputs + torch.arange(units)).repeat(_GATES),
        torch.full((2 * _GATES + 1,), one),
    ]  # fmt: skip
    return torch.cat(coefficient), torch.cat(source)
