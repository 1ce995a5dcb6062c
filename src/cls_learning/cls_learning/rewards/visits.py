"""How often each cell was reached, and how often it was aimed at in vain: a map of where one can't go."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.transition import Doubles, Transition

from ..space_change import SpaceChange
from .cells import Cells
from .imagined import Imagined


class Visits:
    """Counts by cell.

    Without the second count whoever seeks new places pushes against every wall for ever: what is behind stays new.

    Args:
        prefix: of its state.

    Attributes:
        reached: int64 (cells,), steps that led there.
    """

    def __init__(self, cells: Cells, prefix: str = 'policy') -> None:
        self._cells, self._prefix = cells, prefix
        self.reached = np.zeros(cells.count, np.int64)
        self._missed = np.zeros(cells.count, np.int64)

    def ahead(self, imagined: Imagined) -> tuple[NDArray[np.int64], Doubles]:
        """Returns the cell of each imagined step and the chance to get that far, both (C, H).

        The chance to enter a cell is (1 + reached) / (1 + reached + missed), and a way is as good as all cells on it.
        """
        cells = self._cells.ahead(imagined)
        enter = (1.0 + self.reached[cells]) / (1.0 + self.reached[cells] + self._missed[cells])
        return cells, np.cumprod(enter, axis=1, dtype=np.float64)

    def live(self, transition: Transition) -> int:
        """Counts a step and returns the cell that it led to."""
        cell, wanted = self._cells.here(transition.z_next, transition.joints_next), self._cells.kept_from(transition)
        self.reached[cell] += 1
        if wanted is not None:
            self._missed[wanted] += 1
        return cell

    def clear(self) -> None:
        """Sets all visits to 0; what was aimed at in vain is of the body, and stays."""
        self.reached[:] = 0

    def fold(self, change: SpaceChange) -> None:
        """Keeps every place in its cell under a new snapshot of the normaliser."""
        self._cells.fold(change)

    def state(self) -> dict[str, Tensor]:
        """Returns copies of both counts, and of what the cells hold."""
        counts = {'visits': self.reached, 'missed': self._missed}
        named = {f'{self._prefix}.{name}': torch.from_numpy(count.copy()) for name, count in counts.items()}
        return named | self._cells.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes both counts back; a model that is older than the second has missed nothing."""
        reached = state[f'{self._prefix}.visits']
        missed = state.get(f'{self._prefix}.missed', torch.zeros_like(reached))
        if not reached.shape == missed.shape == self.reached.shape:
            raise ValueError(f'{reached.numel()} cells instead of {self.reached.size}')
        self.reached, self._missed = reached.numpy().copy(), missed.numpy().copy()
        self._cells.load(state)
