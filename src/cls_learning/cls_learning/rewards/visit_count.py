"""How little a place was visited: 1 / sqrt(1 + visits).

Bounded to [0, 1], needs no training, covers 2.7 times what random covers in 200 steps (learning probe, section 6).
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cls_common.robot import RobotInfo

from ..config import LearningSettings
from ..learners.fast import FastLearner
from ..types import Doubles, Transition
from .cells import Cells, make_cells
from .contract import Counting
from .imagined import Imagined


class VisitCount(Counting):
    """Counts visits to cells."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._visits = np.zeros(cells.count, np.int64)

    def ahead(self, imagined: Imagined) -> Doubles:
        worth: Doubles = 1.0 / np.sqrt(1.0 + self._visits[self._cells.ahead(imagined)])
        return worth

    def lived(self, transition: Transition, error_before: float) -> float:
        cell = self._cells.here(transition.z_next, transition.joints_next)
        worth = 1.0 / np.sqrt(1.0 + self._visits[cell])
        self._visits[cell] += 1
        return float(worth)

    def coverage(self) -> float:
        """Returns the share of cells visited, 0 to 1."""
        return float((self._visits > 0).mean())

    def state(self) -> dict[str, Tensor]:
        return {'policy.visits': torch.from_numpy(self._visits.copy())}

    def load(self, state: Mapping[str, Tensor]) -> None:
        visits = state['policy.visits'].numpy()
        if visits.shape != self._visits.shape:
            raise ValueError(f'{visits.size} cells instead of {self._visits.size}')
        self._visits = visits.copy()


def make(settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int) -> VisitCount:
    """Counts cells of joint angles where the robot has joints that its actions move, else of what it sees."""
    return VisitCount(make_cells(settings, robot, z_size, fast, seed, 'visit_count'))
