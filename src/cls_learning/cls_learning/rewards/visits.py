"""Counts by cell: visits, and failed attempts to enter, which mark obstacles."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.transition import Doubles, Transition

from ..space_change import SpaceChange
from .candidate_rollouts import CandidateRollouts
from .cells import Cells


class Visits:
    """Visits and failed attempts by cell.

    Failed attempts are counted too; otherwise cells behind a wall keep the maximal bonus and the policy pushes against
    the wall forever.

    Args:
        prefix: of the names in its state.

    Attributes:
        reached: int64 (cells,), steps that ended in each cell.
    """

    def __init__(self, cells: Cells, prefix: str = 'policy') -> None:
        self._cells, self._prefix = cells, prefix
        self.reached = np.zeros(cells.count, np.int64)
        self._missed = np.zeros(cells.count, np.int64)

    def reachable(self, rollouts: CandidateRollouts) -> tuple[NDArray[np.int64], Doubles]:
        """Returns the cell after each step, int64 (C, H), and the probability to get there, float64 (C, H).

        The probability to enter a cell is (1 + reached) / (1 + reached + missed); that of a path is their product.
        """
        cells = self._cells.cells_of(rollouts)
        enter = (1.0 + self.reached[cells]) / (1.0 + self.reached[cells] + self._missed[cells])
        return cells, np.cumprod(enter, axis=1, dtype=np.float64)

    def count(self, transition: Transition) -> int:
        """Counts a step and returns the cell in which it ended."""
        cell = self._cells.cell_of(transition.z_next, transition.joints_next)
        blocked = self._cells.blocked_cell(transition)
        self.reached[cell] += 1
        if blocked is not None:
            self._missed[blocked] += 1
        return cell

    def clear(self) -> None:
        """Sets all visits to 0; failed attempts depend on the body, not on the scene, and stay."""
        self.reached[:] = 0

    def fold(self, change: SpaceChange) -> None:
        """Keeps every state in its cell under a new snapshot of the normaliser."""
        self._cells.fold(change)

    def state(self) -> dict[str, Tensor]:
        """Returns copies of both counts and the state of the cells."""
        counts = {'visits': self.reached, 'missed': self._missed}
        named = {f'{self._prefix}.{name}': torch.from_numpy(count.copy()) for name, count in counts.items()}
        return named | self._cells.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores both counts and the cells; failed attempts are 0 for a state of an older version."""
        reached = state[f'{self._prefix}.visits']
        missed = state.get(f'{self._prefix}.missed', torch.zeros_like(reached))
        if not reached.shape == missed.shape == self.reached.shape:
            raise ValueError(f'{reached.numel()} cells instead of {self.reached.size}')
        self.reached, self._missed = reached.numpy().copy(), missed.numpy().copy()
        self._cells.load(state)
