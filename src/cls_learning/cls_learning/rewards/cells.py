"""Where the robot is, as a cell that can be counted: of its joint angles, or of what it sees."""

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
from .imagined import Imagined

# A body that ends this share of a cell short of where it was sent was stopped; servos round, and lag a little.
_STOPPED = 0.25


class Cells(Protocol):
    """Numbers the cells that candidate actions lead through, and the one that a step led to.

    Attributes:
        count: number of cells.
    """

    count: int

    def ahead(self, imagined: Imagined) -> NDArray[np.int64]:
        """Returns the cell that each imagined step leads to, (C, H)."""

    def here(self, z: Floats, joints: Doubles) -> int:
        """Returns the cell of a place."""

    def kept_from(self, transition: Transition) -> int | None:
        """Returns the cell that something stopped the body from entering; None where nothing did, or it is unknown."""

    def fold(self, change: SpaceChange) -> None:
        """Keeps every place in its cell under a new snapshot of the normaliser."""

    def state(self) -> dict[str, torch.Tensor]:
        """Returns what was learned, by name."""

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Takes it back."""


class JointCells:
    """Cells of joint angles, for robots whose relative actions move one joint each.

    Blind to noise in the image and free of any network (learning probe, sections 6 and 11.4).
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

    def ahead(self, imagined: Imagined) -> NDArray[np.int64]:
        values = self._robot.low + (imagined.actions + 1.0) * 0.5 * (self._robot.high - self._robot.low)  # (C, A)
        steps = np.arange(1, imagined.horizon + 1)[None, :, None]
        path = imagined.joints + values[:, None, :] * self._to_rad * steps  # (C, H, J)
        return self._index(path)

    def here(self, z: Floats, joints: Doubles) -> int:
        return int(self._index(joints))

    def kept_from(self, transition: Transition) -> int | None:
        start = transition.joints_next
        short = transition.joints + transition.action_commanded * self._to_rad - start
        short = np.where(np.abs(short) > self._cell * _STOPPED, short, 0.0)
        size = float(np.abs(short).max())
        if not 0.0 < size < np.inf:
            return None
        # On the way that is left: the next cell, not further off than one width of a cell.
        here = self.here(transition.z_next, start)
        ahead = self._index(start + short / size * self._cell * np.linspace(0.1, 1.0, 10)[:, None])  # (10,)
        return next((int(cell) for cell in ahead if cell != here), None)

    def fold(self, change: SpaceChange) -> None:
        pass

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        pass

    def _index(self, joints: Doubles) -> NDArray[np.int64]:
        # What is no number counts as the lower limit; a joint that can't move has one cell.
        inside = np.clip(np.where(np.isnan(joints), self._low, joints), self._low, self._high)
        share = (inside - self._low) / np.where(self._high > self._low, self._high - self._low, 1.0)
        cell = np.minimum((share * self._shape).astype(np.int64), self._shape - 1)
        index: NDArray[np.int64] = np.asarray(np.ravel_multi_index(np.moveaxis(cell, -1, 0), tuple(self._shape)))
        return index


class SeenCells:
    """Cells of the embedding, by the signs of random projections (SimHash counts, Tang et al. 2017).

    For robots without such joints. What an action leads to is what Fast expects.
    """

    BITS = 10

    def __init__(self, fast: FastLearner, z_size: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(derive(seed, 'seen_cells'))
        self._planes = torch.randn(z_size, self.BITS, generator=generator)
        self._offset = torch.zeros(self.BITS)
        self._fast = fast
        self.count = 2**self.BITS

    def ahead(self, imagined: Imagined) -> NDArray[np.int64]:
        cells: NDArray[np.int64] = self._index(imagined.path[:, 1:]).numpy()
        return cells

    def here(self, z: Floats, joints: Doubles) -> int:
        return int(self._index(self._fast.normalizer.normalize(torch.from_numpy(z)[None]))[0])

    def kept_from(self, transition: Transition) -> int | None:
        return None

    def fold(self, change: SpaceChange) -> None:
        # Signs alone count, so the ratio of the scales moves the origin and nothing else.
        inner = change.projected(self._planes)
        self._offset = ((self._offset.double() + inner.shift) / inner.ratio).float()

    def state(self) -> dict[str, torch.Tensor]:
        return {'policy.seen_cells.offset': self._offset.clone()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        # Models of older versions have none.
        self._offset = state.get('policy.seen_cells.offset', torch.zeros(self.BITS)).clone()

    def _index(self, x: torch.Tensor) -> torch.Tensor:
        bits = (x @ self._planes + self._offset > 0).long()
        return (bits * 2 ** torch.arange(self.BITS)).sum(dim=-1)


def make_cells(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int, reward: str
) -> Cells:
    """Returns cells of joint angles where the robot has joints that its actions move, else of what it sees.

    Args:
        reward: who counts in them.

    Raises:
        UserError: there is nothing to count in without a learner.
    """
    if JointCells.fits(robot):
        return JointCells(robot, settings.policy.cell_deg)
    return SeenCells(learner_of(fast, f'reward {reward!r}'), z_size, seed)
