"""Nearest-neighbour prediction from the 5 most similar steps, without a network."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..evaluator import Metrics
from ..metrics.pose import NEIGHBOURS
from ..metrics.skill import errors
from ..predictor import OneStepPredictor
from ..protocol import StreamProtocol
from ..stream_data import CappedMemory, stream_steps, StreamSteps
from .contract import Baseline, budget, Task, Values

_STEP_DEG = 10.0


class NearestNeighbours(OneStepPredictor):
    """Predicts the mean change, or the mean outcome, of the nearest steps by embedding and action.

    Args:
        z, action, z_next: the library, (N, D) raw, (N, 2) degrees, (N, D) raw.
        weight: of a squared action difference of 10 degrees, against the mean squared change of z in a step.
        change: predict z + mean change; else the mean outcome.
    """

    def __init__(self, z: Tensor, action: Tensor, z_next: Tensor, weight: float, change: bool) -> None:
        self._scale = float(errors(z, z_next).mean().sqrt()) * z.shape[1] ** 0.5
        self._weight = weight**0.5 / _STEP_DEG
        self._targets, self._change = (z_next - z if change else z_next), change
        self._keys = self._key(z, action)

    def predict(self, z: Tensor, action: Tensor) -> Tensor:
        count = min(NEIGHBOURS, len(self._keys))
        nearest = torch.cdist(self._key(z, action), self._keys).topk(count, largest=False).indices
        mean = self._targets[nearest].mean(1)
        return z + mean if self._change else mean

    def _key(self, z: Tensor, action: Tensor) -> Tensor:
        return torch.cat([z / self._scale, action * self._weight], dim=1)


@dataclass(frozen=True)
class RetrievalBaseline(Baseline):
    """Nearest neighbours in the whole stream, or in the capped memory at its end."""

    name: str
    change: bool
    uses_memory: bool

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'weight': weight} for weight in (0.1, 0.3, 1.0, 3.0, 10.0))

    def depends_on(self, protocol: StreamProtocol, share: float) -> Values:
        return {'window': protocol.window, 'capacity': protocol.capacity(share)} if self.uses_memory else {}

    def run(self, task: Task) -> Metrics:
        steps = stream_steps(task.environment)
        chosen = _kept(steps, task) if self.uses_memory else torch.arange(len(steps))
        library = (steps.z[chosen], steps.action[chosen], steps.z_next[chosen])
        model = NearestNeighbours(*library, task.values['weight'], self.change)
        return {**task.evaluator.final_metrics(model), **budget(steps=0, samples=0, stored=len(chosen))}


def _kept(steps: StreamSteps, task: Task) -> Tensor:
    memory = CappedMemory(task.protocol.window, task.protocol.capacity(task.share), task.seed)
    for index in range(len(steps)):
        memory.add(index, steps)
    return torch.from_numpy(memory.everything())


def baselines() -> list[Baseline]:
    """Returns both forms, over all steps and over the capped memory."""
    return [
        RetrievalBaseline(f'retrieval_{form}{ending}', form == 'change', capped)
        for ending, capped in (('', False), ('_capped', True))
        for form in ('change', 'absolute')
    ]
