"""How little a place was visited: 1 / sqrt(1 + visits).

Bounded to [0, 1], needs no training, covers 2.7 times what random covers in 200 steps (learning probe, section 6).
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner
from ..space_change import SpaceChange
from .cells import Cells, make_cells
from .contract import Counting
from .imagined import Imagined
from .visits import Visits


class VisitCount(Counting):
    """Counts visits to cells."""

    def __init__(self, cells: Cells) -> None:
        self._visits = Visits(cells)

    def ahead(self, imagined: Imagined) -> Doubles:
        cells, chance = self._visits.ahead(imagined)
        worth: Doubles = chance / np.sqrt(1.0 + self._visits.reached[cells])
        return worth

    def lived(self, transition: Transition, error_before: float) -> float:
        cell = self._visits.live(transition)
        return float(1.0 / np.sqrt(self._visits.reached[cell]))

    def fold(self, change: SpaceChange) -> None:
        self._visits.fold(change)

    def begin_scene(self) -> None:
        self._visits.clear()

    def state(self) -> dict[str, Tensor]:
        return self._visits.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._visits.load(state)


def make(settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int) -> VisitCount:
    """Counts cells of joint angles where the robot has joints that its actions move, else of what it sees."""
    return VisitCount(make_cells(settings, robot, z_size, fast, seed, 'visit_count'))
