"""Recurrent trace units: complex diagonal recurrence, whose exact RTRL costs as much as a step (Elelimy et al. 2024).

    c[t] = lambda c[t-1] + sqrt(1 - |lambda|^2) (W_re + i W_im) x[t],  lambda = exp(-exp(nu_log) + i exp(theta_log))
    h[t] = tanh([Re c[t], Im c[t]])

The recurrence is linear and the activation follows it. The factor of the input keeps the size of c near that of W x.
"""

from typing import ClassVar

import torch
from torch import nn, Tensor

from ..neurons.decay import power, power_sum
from ..randomness import derive
from .cell import CellState, Linearisation, RecurrentCell

# Of |lambda| and of the angle of lambda, before learning. A decay of 0.999 remembers 1,000 steps.
_RADIUS, _ANGLE = (0.5, 0.999), (0.001, 0.3)


class TraceUnitsCell(RecurrentCell):
    """Trace units with the state `trace` (B, H, 2), real and imaginary part, and output (B, 2 H).

    Args:
        seed: of the weights; equal seeds give equal weights.
    """

    is_diagonal: ClassVar[bool] = True

    def __init__(self, inputs: int, units: int, *, seed: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(inputs, units, 2 * units)
        generator = torch.Generator().manual_seed(derive(seed, 'trace_units'))

        def draw(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

        bound = inputs**-0.5
        self.weight_ih = nn.Parameter(draw(-bound, bound, 2 * units, inputs).to(dtype))
        # Uniform in the area of the ring (Orvieto et al. 2023).
        radius = draw(_RADIUS[0] ** 2, _RADIUS[1] ** 2, units).sqrt()
        self.nu_log = nn.Parameter(radius.log().neg().log().to(dtype))
        self.theta_log = nn.Parameter(draw(*_ANGLE, units).log().to(dtype))
        coefficient = torch.cat([torch.tensor([0, 1]).repeat_interleave(inputs), torch.tensor([2, 3])])
        source = torch.cat([torch.arange(inputs).repeat(2), torch.full((2,), inputs)])
        self.register_buffer('column_coefficient', coefficient, persistent=False)
        self.register_buffer('column_source', source, persistent=False)

    def initial(self, batch: int) -> CellState:
        """See RecurrentCell."""
        return {'trace': self.weight_ih.new_zeros(batch, self.units, 2)}

    def forward(self, state: CellState, x: Tensor, elapsed: Tensor | None = None) -> tuple[CellState, Tensor]:
        """See RecurrentCell."""
        decay, gain = self._decay()
        if elapsed is not None:
            gain, decay = gain * power_sum(decay, elapsed[:, None]), power(decay, elapsed[:, None])
        trace = torch.view_as_real(decay * torch.view_as_complex(state['trace']) + gain * self._drive(x))
        return {'trace': trace}, _output(trace)

    @torch.no_grad()
    def linearise(self, state: CellState, x: Tensor) -> tuple[CellState, Tensor, Linearisation]:
        """See RecurrentCell."""
        decay, gain = self._decay()
        before, drive = torch.view_as_complex(state['trace']), self._drive(x)
        trace = torch.view_as_real(decay * before + gain * drive)
        rate, angle = self.nu_log.exp(), self.theta_log.exp()
        by_nu = -rate * decay * before + (decay.abs().square() * rate / gain) * drive
        by_theta = 1j * angle * decay * before
        by_weights = torch.stack([gain, 1j * gain], -1).expand(len(x), -1, -1)
        step = Linearisation(
            own=decay.expand(len(x), -1),
            coefficients=torch.cat([by_weights, by_nu[..., None], by_theta[..., None]], -1),
            sources=torch.cat([x, torch.ones_like(x[:, :1])], 1),
        )
        return {'trace': trace}, _output(trace), step

    @torch.no_grad()
    def pull_back(self, state: CellState, output_gradient: Tensor) -> tuple[Tensor, None]:
        """See RecurrentCell."""
        output = _output(state['trace'])
        to_trace = output_gradient * (1.0 - output * output)
        return torch.complex(*to_trace.chunk(2, 1)), None

    def _decay(self) -> tuple[Tensor, Tensor]:
        """Returns lambda, complex (H,), and the factor of the input (H,)."""
        radius = torch.exp(-self.nu_log.exp())
        return torch.polar(radius, self.theta_log.exp()), (1.0 - radius * radius).sqrt()

    def _drive(self, x: Tensor) -> Tensor:
        """Returns (W_re + i W_im) x, complex (B, H)."""
        return torch.complex(*nn.functional.linear(x, self.weight_ih).chunk(2, 1))


def _output(trace: Tensor) -> Tensor:
    return torch.tanh(torch.cat([trace[..., 0], trace[..., 1]], 1))
