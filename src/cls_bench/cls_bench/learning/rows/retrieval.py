"""No network at all: the 5 most similar steps ever made, in both forms, and a line (learning probe, 7.7)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..judge import Figures
from ..metrics.pose import NEIGHBOURS
from ..metrics.skill import errors
from ..plan import Plan
from ..predictor import OneStep
from ..stream import Kept, Steps, steps_of_life
from .contract import budget, Row, Task, Values

_STEP_DEG = 10.0


class Neighbours(OneStep):
    """Answers with the mean change, or the mean outcome, of the nearest steps by embedding and action.

    Args:
        z, action, z_next: the library, (N, D) raw, (N, 2) degrees, (N, D) raw.
        weight: of a squared difference of 10 degrees against one as large as a step changes z on average.
        change: add their mean change to z; else their mean outcome is the answer.
    """

    def __init__(self, z: Tensor, action: Tensor, z_next: Tensor, weight: float, change: bool) -> None:
        self._scale = float(errors(z, z_next).mean().sqrt()) * z.shape[1] ** 0.5
        self._weight = weight**0.5 / _STEP_DEG
        self._answers, self._change = (z_next - z if change else z_next), change
        self._keys = self._key(z, action)

    def predict(self, z: Tensor, action: Tensor) -> Tensor:
        count = min(NEIGHBOURS, len(self._keys))
        nearest = torch.cdist(self._key(z, action), self._keys).topk(count, largest=False).indices
        answer = self._answers[nearest].mean(1)
        return z + answer if self._change else answer

    def _key(self, z: Tensor, action: Tensor) -> Tensor:
        return torch.cat([z / self._scale, action * self._weight], dim=1)


@dataclass(frozen=True)
class RetrievalRow(Row):
    """Nearest neighbours in the whole life, or in what the capped memory holds at its end."""

    name: str
    change: bool
    uses_memory: bool

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'weight': weight} for weight in (0.1, 0.3, 1.0, 3.0, 10.0))

    def depends_on(self, plan: Plan, share: float) -> Values:
        return {'window': plan.window, 'capacity': plan.capacity(share)} if self.uses_memory else {}

    def run(self, task: Task) -> Figures:
        steps = steps_of_life(task.world)
        chosen = _kept(steps, task) if self.uses_memory else torch.arange(len(steps))
        library = (steps.z[chosen], steps.action[chosen], steps.z_next[chosen])
        model = Neighbours(*library, task.values['weight'], self.change)
        return {**task.judge.final(model), **budget(steps=0, samples=0, stored=len(chosen))}


def _kept(steps: Steps, task: Task) -> Tensor:
    kept = Kept(task.plan.window, task.plan.capacity(task.share), task.seed)
    for index in range(len(steps)):
        kept.add(index, steps)
    return torch.from_numpy(kept.everything())


def rows() -> list[Row]:
    """Returns both forms, over everything and over what is kept."""
    return [
        RetrievalRow(f'retrieval_{form}{ending}', form == 'change', capped)
        for ending, capped in (('', False), ('_capped', True)) for form in ('change', 'absolute')
    ]  # fmt: skip
