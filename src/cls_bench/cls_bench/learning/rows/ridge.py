"""A line: what ridge regression from embedding and action to the change can say."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..judge import Figures
from ..metrics.skill import errors
from ..predictor import OneStep
from ..stream import steps_of_life
from .contract import budget, Row, Task, Values

_STEP_DEG = 10.0


class Line(OneStep):
    """z + W [z - mean, action / 10, 1], fitted on all steps of a life.

    Args:
        weight: of the squared size of W, in units of the variance of a step, for each sample.
    """

    def __init__(self, z: Tensor, action: Tensor, z_next: Tensor, weight: float) -> None:
        self._mean = z.mean(0)
        self._scale = float(errors(z, self._mean).mean().sqrt())
        inputs = self._inputs(z, action).double()
        penalty = weight * len(z) * torch.eye(inputs.shape[1], dtype=torch.float64)
        moments = inputs.T @ (z_next - z).double()
        self._weights: Tensor = torch.linalg.solve(inputs.T @ inputs + penalty, moments).float()

    def predict(self, z: Tensor, action: Tensor) -> Tensor:
        return z + self._inputs(z, action) @ self._weights

    def _inputs(self, z: Tensor, action: Tensor) -> Tensor:
        one = torch.ones(len(z), 1)
        return torch.cat([(z - self._mean) / self._scale, action / _STEP_DEG, one], dim=1)


@dataclass(frozen=True)
class RidgeRow(Row):
    """The line, over the whole life."""

    name: str = 'ridge'
    uses_memory: bool = False

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'weight': weight} for weight in (1e-3, 1e-2, 1e-1, 1.0, 10.0))

    def run(self, task: Task) -> Figures:
        steps = steps_of_life(task.world)
        model = Line(steps.z, steps.action, steps.z_next, task.values['weight'])
        return {**task.judge.final(model), **budget(steps=0, samples=0, stored=len(steps))}


def rows() -> list[Row]:
    """Returns the row."""
    return [RidgeRow()]
