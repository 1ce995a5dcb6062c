"""Discretises the state of the robot into cells that can be counted: of joint angles, or of embeddings."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
import torch

from cls_common.robot import Kind, RobotInfo
from cls_common.transition import Doubles, Floats, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner, learner_of
from ..randomness import derive
from ..space_change import SpaceChange
from .candidate_rollouts import CandidateRollouts
from .sim_hash import BITS, SimHash

# A motion that ends more than this share of a cell short of its goal was blocked; servos round and lag a little.
_STOPPED = 0.25


class Cells(Protocol):
    """Maps states to cell indices, 0 <= index < count.

    Attributes:
        count: number of cells.
    """

    count: int

    def cells_of(self, rollouts: CandidateRollouts) -> NDArray[np.int64]:
        """Returns the cell after each step of C candidate actions, int64 (C, H)."""

    def cell_of(self, z: Floats, joints: Doubles) -> int:
        """Returns the cell of a state: z float32 (D,) raw, joints float64 (J,) rad."""

    def blocked_cell(self, transition: Transition) -> int | None:
        """Returns the cell that an obstacle kept the robot from entering; None without an obstacle, or if unknown."""

    def fold(self, change: SpaceChange) -> None:
        """Keeps every state in its cell under a new snapshot of the normaliser."""

    def state(self) -> dict[str, torch.Tensor]:
        """Returns the state as named tensors."""

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restores the state."""


class JointCells:
    """Cells of joint angles, for robots whose relative actions move one joint each.

    Independent of noise in the images and of any network, so that a noisy screen attracts no visits.

    Args:
        cell_deg: width of a cell, degrees.
    """

    def __init__(self, robot: RobotInfo, cell_deg: float) -> None:
        self._low, self._high = np.array(robot.joint_low), np.array(robot.joint_high)
        self._robot = robot
        self._to_rad = np.array([np.pi / 180 if c.unit == 'deg' else 1.0 for c in robot.channels])
        self._cell = np.radians(cell_deg)
        self._shape = np.maximum(np.ceil(np.degrees(self._high - self._low) / cell_deg - 1e-9), 1).astype(np.int64)
        self.count = int(self._shape.prod())

    @staticmethod
    def fits(robot: RobotInfo) -> bool:
        """Whether every channel moves one joint by an angle."""
        return len(robot.joint_names) == len(robot.channels) > 0 and all(
            c.kind == Kind.RELATIVE and c.unit in ('deg', 'rad') for c in robot.channels
        )

    def cells_of(self, rollouts: CandidateRollouts) -> NDArray[np.int64]:
        values = self._robot.low + (rollouts.actions + 1.0) * 0.5 * (self._robot.high - self._robot.low)  # (C, A)
        steps = np.arange(1, rollouts.horizon + 1)[None, :, None]
        path = rollouts.joints + values[:, None, :] * self._to_rad * steps  # (C, H, J)
        return self._index(path)

    def cell_of(self, z: Floats, joints: Doubles) -> int:
        return int(self._index(joints))

    def blocked_cell(self, transition: Transition) -> int | None:
        start = transition.joints_next
        short = transition.joints + transition.action_commanded * self._to_rad - start
        short = np.where(np.abs(short) > self._cell * _STOPPED, short, 0.0)
        size = float(np.abs(short).max())
        if not 0.0 < size < np.inf:
            return None
        # The next cell on the rest of the way, within the width of one cell.
        here = self.cell_of(transition.z_next, start)
        rest = self._index(start + short / size * self._cell * np.linspace(0.1, 1.0, 10)[:, None])  # (10,)
        return next((int(cell) for cell in rest if cell != here), None)

    def fold(self, change: SpaceChange) -> None:
        pass

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        pass

    def _index(self, joints: Doubles) -> NDArray[np.int64]:
        # NaN counts as the lower limit; a joint that can't move has one cell. joints (..., J), index (...).
        inside = np.clip(np.where(np.isnan(joints), self._low, joints), self._low, self._high)
        share = (inside - self._low) / np.where(self._high > self._low, self._high - self._low, 1.0)
        cell = np.minimum((share * self._shape).astype(np.int64), self._shape - 1)
        index: NDArray[np.int64] = np.asarray(np.ravel_multi_index(np.moveaxis(cell, -1, 0), tuple(self._shape)))
        return index


class EmbeddingCells:
    """Cells of the embedding by the signs of random projections (SimHash counts, Tang et al. 2017).

    For robots without such joints; the cells of candidate actions come from Fast's predictions.
    """

    count = SimHash.count

    def __init__(self, fast: FastLearner, z_size: int, seed: int) -> None:
        self._hash = SimHash(z_size, derive(seed, 'seen_cells'))
        self._fast = fast

    def cells_of(self, rollouts: CandidateRollouts) -> NDArray[np.int64]:
        cells: NDArray[np.int64] = self._hash.cells(rollouts.path[:, 1:]).numpy()
        return cells

    def cell_of(self, z: Floats, joints: Doubles) -> int:
        seen = self._fast.normalizer.normalize(torch.from_numpy(z)[None])
        return int(self._hash.cells(seen)[0])

    def blocked_cell(self, transition: Transition) -> int | None:
        return None

    def fold(self, change: SpaceChange) -> None:
        # Only signs count, so the ratio of the scales moves the origin and has no other effect.
        inner = change.projected(self._hash.planes)
        self._hash.offset = ((self._hash.offset.double() + inner.shift) / inner.ratio).float()

    def state(self) -> dict[str, torch.Tensor]:
        return {'policy.seen_cells.offset': self._hash.offset.clone()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        # Absent in models of older versions.
        self._hash.offset = state.get('policy.seen_cells.offset', torch.zeros(BITS)).clone()


def make_cells(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int, reward: str
) -> Cells:
    """Returns cells of joint angles where the robot has joints that its actions move, else of embeddings.

    Args:
        reward: name of the reward that counts in them, for the error.

    Raises:
        UserError: cells of embeddings need a learner, and there is none.
    """
    if JointCells.fits(robot):
        return JointCells(robot, settings.policy.cell_deg)
    return EmbeddingCells(learner_of(fast, f'reward {reward!r}'), z_size, seed)
