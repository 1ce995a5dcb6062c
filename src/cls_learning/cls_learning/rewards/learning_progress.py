"""Learning progress by cell: how fast the prediction error falls (Oudeyer, Kaplan and Hafner 2007).

Each cell has two running averages of Fast's error, a slow and a fast one; their difference is the progress. The slow
one starts at 1 and the fast one at 0, so that a cell without visits has the largest progress. An error that does not
fall, as in front of a noisy screen, gives none.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner, learner_of
from ..space_change import SpaceChange
from .candidate_rollouts import CandidateRollouts
from .cells import Cells, make_cells
from .contract import CountReward
from .visits import Visits

# Rates of both averages. A cell has some ten visits in a cycle, so they must adapt within five and two visits.
_SLOW, _FAST = 0.2, 0.5


class LearningProgress(CountReward):
    """An error e counts as e / (e + change of z), so that it lies in [0, 1]."""

    def __init__(self, cells: Cells) -> None:
        self._visits = Visits(cells, 'policy.progress')
        self._slow, self._fast = np.ones(cells.count), np.zeros(cells.count)

    def score(self, rollouts: CandidateRollouts) -> Doubles:
        cells, chance = self._visits.reachable(rollouts)
        return chance * self._progress(cells)

    def observe(self, transition: Transition, error_before: float) -> float:
        cell = self._visits.count(transition)
        reward = float(self._progress(np.array(cell)))
        # In double precision, since the square of a large float32 overflows.
        change = float(np.square(transition.z_next.astype(np.float64) - transition.z).mean())
        error = 1.0 / (1.0 + change / error_before) if error_before > 0 else 0.0
        self._slow[cell] += _SLOW * (error - self._slow[cell])
        self._fast[cell] += _FAST * (error - self._fast[cell])
        return reward

    def _progress(self, cells: NDArray[np.int64]) -> Doubles:
        return np.asarray(np.clip(self._slow[cells] - self._fast[cells], 0.0, 1.0))

    def fold(self, change: SpaceChange) -> None:
        self._visits.fold(change)

    def begin_scene(self) -> None:
        self._visits.clear()
        self._slow[:], self._fast[:] = 1.0, 0.0

    def state(self) -> dict[str, Tensor]:
        return {
            **self._visits.state(),
            'policy.progress.slow': torch.from_numpy(self._slow.copy()),
            'policy.progress.fast': torch.from_numpy(self._fast.copy()),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._visits.load(state)
        slow, fast = (state[f'policy.progress.{name}'].numpy() for name in ('slow', 'fast'))
        if not slow.shape == fast.shape == self._slow.shape:
            raise ValueError(f'{slow.size} cells instead of {self._slow.size}')
        self._slow, self._fast = slow.copy(), fast.copy()


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> LearningProgress:
    """Makes the reward, with the cells of `visit_count`; raises UserError without a learner."""
    learner_of(fast, "reward 'learning_progress'")
    return LearningProgress(make_cells(settings, robot, z_size, fast, seed, 'learning_progress'))
