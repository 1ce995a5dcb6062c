"""Importance of weights by what they contributed to the fall of the loss while a task was learned."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from ..space_change import Fold, SpaceChange
from .contract import Divergence, folded, Named, named, Penalty
from .samples import Sample
from .si import SiSettings


class SynapticIntelligence(Penalty):
    """Synaptic intelligence: path integral of the task's gradient, divided by the squared change since the last anchor.

    It needs no samples, but `after_step` after every step of every optimiser.
    """

    settings: SiSettings

    def __init__(self, weights: Mapping[str, Tensor], settings: SiSettings) -> None:
        super().__init__(weights, settings)
        self.begin()

    def begin(self) -> None:
        """See Penalty; a new path begins."""
        self._start, self._before = self.values(), self.values()  # of the path, and before the next step
        self._path = {name: torch.zeros_like(value) for name, value in self._start.items()}

    @torch.no_grad()
    def after_step(self, clip: float = 1.0) -> None:
        """See Penalty. The gradient of the penalty itself is no part of the path."""
        own = self.gradient(self._before)
        for name, weight in self.weights.items():
            if weight.grad is not None:
                task = weight.grad / clip - own.get(name, 0.0)
                self._path[name] -= task * (weight - self._before[name])
            self._before[name].copy_(weight)

    def importance(self, samples: Iterable[Sample], generator: np.random.Generator) -> Named:
        """See Penalty; a weight whose changes raised the loss has importance 0."""
        moved = {name: now - self._start[name] for name, now in self.values().items()}
        return {
            name: (path / (moved[name].square() + self.settings.damping)).clamp_min(0.0)
            for name, path in self._path.items()
        }

    def anchor(self, samples: Iterable[Sample], generator: np.random.Generator) -> Divergence:
        """See Penalty; a new path begins."""
        moved = super().anchor(samples, generator)
        self.begin()
        return moved

    def fold(self, fold: Fold, change: SpaceChange) -> None:
        """See Penalty; the path keeps its share in the loss, weight by weight."""
        super().fold(fold, change)
        change = change.to(next(iter(self.weights.values())).device)
        self._path = {name: (path / change.ratio.square()).to(path.dtype) for name, path in self._path.items()}
        self._start, self._before = folded(self._start, fold, change), self.values()

    def state(self) -> Named:
        """See Penalty; never empty."""
        return super().state() | named({'start': self._start, 'path': self._path})

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See Penalty."""
        super().load(state)
        self._start, self._path = self.restored('start', state), self.restored('path', state)
        self._before = self.values()
