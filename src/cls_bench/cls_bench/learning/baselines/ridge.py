"""Ridge regression from embedding and action to the change of the embedding."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..evaluator import Metrics
from ..metrics.skill import errors
from ..predictor import OneStepPredictor
from ..stream_data import stream_steps
from .contract import Baseline, budget, Task, Values

_STEP_DEG = 10.0


class RidgeRegression(OneStepPredictor):
    """Predicts z + W [z - mean, action / 10, 1], fitted on all steps of a stream.

    Args:
        z, action, z_next: (N, D) raw, (N, 2) degrees, (N, D) raw.
        weight: penalty of the squared size of W, for each sample, in units of the variance of a step.
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
class RidgeBaseline(Baseline):
    """Ridge regression over the whole stream."""

    name: str = 'ridge'
    uses_memory: bool = False

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'weight': weight} for weight in (1e-3, 1e-2, 1e-1, 1.0, 10.0))

    def run(self, task: Task) -> Metrics:
        steps = stream_steps(task.environment)
        model = RidgeRegression(steps.z, steps.action, steps.z_next, task.values['weight'])
        return {**task.evaluator.final_metrics(model), **budget(steps=0, samples=0, stored=len(steps))}


def baselines() -> list[Baseline]:
    """Returns the baseline."""
    return [RidgeBaseline()]
