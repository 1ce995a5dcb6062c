"""The actions of a robot as the networks see them: one number for each value of a discrete channel, else [-1, 1]."""

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.errors import UserError
from cls_common.robot import Kind, RobotInfo
from cls_common.transition import Floats

# Values of a discrete channel: each is an output of the actor.
_MOST_VALUES = 256
# Standard deviations of continuous channels.
_STD_LOW, _STD_HIGH = 0.1, 1.0


class ActionSpace:
    """Codes actions, and gives the distribution that an actor's outputs mean.

    A discrete channel is a categorical distribution, another one a normal distribution whose mean is the tanh of an
    output and whose standard deviation is between 0.1 and 1. Its samples may lie outside of [-1, 1]: their probability
    is that before they are clipped, or actors would be drawn to the limits.

    Attributes:
        size: numbers of a code, E. outputs: numbers that an actor gives, P.
    """

    def __init__(self, robot: RobotInfo) -> None:
        self._robot = robot
        self._values: list[int] = []  # of each channel; 0: continuous
        for channel in robot.channels:
            values = int(channel.high) - int(channel.low) + 1 if channel.kind == Kind.DISCRETE else 0
            if values > _MOST_VALUES:
                raise UserError(
                    f"action channel {channel.name!r} for the brain 'spiking'",
                    expected=f'at most {_MOST_VALUES} discrete values', found=str(values),
                )  # fmt: skip
            self._values.append(values)
        self.size = sum(values or 1 for values in self._values)
        self.outputs = sum(values or 2 for values in self._values)

    def to_code(self, action: Floats) -> Floats:
        """Returns the code, float32 (E,), of an action, float32 (A,) in robot units."""
        unit = self._robot.to_unit(action)
        parts = [
            np.eye(values, dtype=np.float32)[min(max(round(float(value - low)), 0), values - 1)] if values else [u]
            for values, value, low, u in zip(self._values, action, self._robot.low, unit)
        ]
        return np.concatenate(parts).astype(np.float32)

    def to_action(self, code: Floats) -> Floats:
        """Returns the action, float32 (A,) in robot units within its limits, of a code, float32 (E,)."""
        units, at = [], 0
        for values in self._values:
            part = code[at : at + (values or 1)]
            at += values or 1
            units.append(2.0 * int(part.argmax()) / max(values - 1, 1) - 1.0 if values else float(part[0]))
        return self._robot.to_units(units)

    def noise(self, shape: tuple[int, ...], generator: np.random.Generator) -> Tensor:
        """Draws what `sample` needs: uniform in [0, 1), float32 (*shape, A)."""
        return torch.from_numpy(generator.random((*shape, len(self._values)), np.float32))

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Returns codes (..., E) drawn by noise (..., A) from the distributions of an actor's outputs (..., P)."""
        parts = []
        for channel, (values, part) in enumerate(self._split(outputs)):
            uniform = noise[..., channel : channel + 1]
            if values:
                above = part.softmax(-1).cumsum(-1) < uniform
                index = above.sum(-1).clamp(max=values - 1)
                parts.append(nn.functional.one_hot(index, values).to(part.dtype))
            else:
                mean, std = _normal(part)
                drawn = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
                parts.append(mean + std * drawn)
        return torch.cat(parts, -1)

    def best(self, outputs: Tensor) -> Tensor:
        """Returns the most likely codes (..., E) for outputs (..., P)."""
        parts = [
            nn.functional.one_hot(part.argmax(-1), values).to(part.dtype) if values else _normal(part)[0]
            for values, part in self._split(outputs)
        ]
        return torch.cat(parts, -1)

    def log_probability(self, outputs: Tensor, code: Tensor) -> Tensor:
        """Returns log probabilities (or densities), (...), of codes (..., E) under outputs (..., P)."""
        total, at = outputs.new_zeros(outputs.shape[:-1]), 0
        for values, part in self._split(outputs):
            own = code[..., at : at + (values or 1)]
            at += values or 1
            if values:
                total = total + (part.log_softmax(-1) * own).sum(-1)
            else:
                mean, std = _normal(part)
                total = total - (0.5 * ((own - mean) / std).square() + std.log() + 0.9189385).sum(-1)
        return total

    def entropy(self, outputs: Tensor) -> Tensor:
        """Returns the entropy, nats, (...), of the distributions given by outputs (..., P)."""
        total = outputs.new_zeros(outputs.shape[:-1])
        for values, part in self._split(outputs):
            if values:
                total = total - (part.softmax(-1) * part.log_softmax(-1)).sum(-1)
            else:
                total = total + (_normal(part)[1].log() + 1.4189385).sum(-1)
        return total

    def _split(self, outputs: Tensor) -> list[tuple[int, Tensor]]:
        parts = torch.split(outputs, [values or 2 for values in self._values], -1)
        return list(zip(self._values, parts))


def _normal(part: Tensor) -> tuple[Tensor, Tensor]:
    mean, spread = part.chunk(2, -1)
    return mean.tanh(), (_STD_HIGH - _STD_LOW) * torch.sigmoid(spread + 2.0) + _STD_LOW
