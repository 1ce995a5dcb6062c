"""Notices a sense that is stuck or gives noise, and heeds it again once it changes as usual."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...learners.optimisation import State
from .settings import SensesSettings

# Decay of the usual change of a sense, per step.
_DECAY = 0.99
# Steps before a usual change is known.
_FIRST = 50


class SensesWatch:
    """Decides which senses are heeded, by how much each changes from step to step.

    A sense is left out after `patience` steps in a row in which it either has not changed for longer than it did at
    first (slow senses repeat themselves), or its mean squared change is `threshold` times the usual one; unless all
    senses are alike, since that is the world. It is heeded again after as many usual steps in a row. No prediction is
    asked: a world that has become another one surprises the model too.

    Attributes:
        left_out: steps for which each sense has been left out, 0 where it is heeded; int64 (M,).
    """

    def __init__(self, names: tuple[str, ...], settings: SensesSettings) -> None:
        self.names, self._settings = names, settings
        self._usual = torch.zeros(len(names), dtype=torch.float64)
        self._steps = 0
        # Steps in a row without change: now, and most of the first steps.
        self._still = torch.zeros(len(names), dtype=torch.int64)
        self._longest = torch.zeros(len(names), dtype=torch.int64)
        self._bad = torch.zeros(len(names), dtype=torch.int64)
        self._good = torch.zeros(len(names), dtype=torch.int64)
        self.left_out = torch.zeros(len(names), dtype=torch.int64)

    def present(self) -> dict[str, Tensor]:
        """Returns by sense whether it is heeded, bool (1,)."""
        return {name: self.left_out[k : k + 1] == 0 for k, name in enumerate(self.names)}

    def add(self, before: Mapping[str, Tensor], after: Mapping[str, Tensor], disagrees: Tensor | None = None) -> None:
        """Takes one step, readings (1, S) by sense.

        Args:
            disagrees: bool (M,), senses that the others contradict; None: none.
        """
        if not self._settings.is_watched or len(self.names) < 2:
            return
        found = torch.stack([(after[name] - before[name]).double().square().mean() for name in self.names])
        self._still = torch.where(found == 0, self._still + 1, 0)
        is_known = self._steps >= _FIRST
        if not is_known:
            self._longest = torch.maximum(self._longest, self._still)
        still, wild = self._still > 2 * self._longest, found > self._settings.threshold * self._usual
        is_bad = ((still & ~still.all()) | (wild & ~wild.all())) & is_known
        if disagrees is not None:
            is_bad |= disagrees & ~disagrees.all()
        self._bad = torch.where(is_bad, self._bad + 1, 0)
        self._good = torch.where(is_bad, 0, self._good + 1)
        patience = self._settings.patience
        is_out = torch.where(self.left_out > 0, self._good < patience, self._bad >= patience)
        self.left_out = torch.where(is_out, self.left_out + 1, 0)
        self._steps += 1
        share = max(1 - _DECAY, 1 / self._steps)
        self._usual = torch.where(is_bad | is_out, self._usual, self._usual + share * (found - self._usual))

    def state(self) -> State:
        """Returns everything by name."""
        return {
            'watch.usual': self._usual.clone(),
            'watch.counts': torch.stack([self._still, self._longest, self._bad, self._good, self.left_out]),
            'watch.steps': torch.tensor(self._steps),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores everything."""
        self._usual = state['watch.usual'].clone()
        counts = (each.clone() for each in state['watch.counts'])
        self._still, self._longest, self._bad, self._good, self.left_out = counts
        self._steps = int(state['watch.steps'])
