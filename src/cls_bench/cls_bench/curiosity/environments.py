"""Environments to explore: limits of a pan-tilt camera, its start, a noisy screen and a wall.

Poses lie on a grid of 2.5 degrees, so that every view can be encoded once. They keep half a step from the edges of the
10-degree cells in which coverage is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cls_common.robot import RobotInfo
from cls_learning.randomness import stream
from cls_sim.worlds.pan_tilt import LIMITS_DEG, STEP_LIMIT_DEG
from cls_sim.worlds.room import VIEW_DEG

from ..learning.environment import robot

RESOLUTION_DEG: Final = 2.5
CELL_DEG: Final = 10.0
PER_CELL: Final = round(CELL_DEG / RESOLUTION_DEG)
# The corner is left where pan and tilt are this far from their limits, of 90 and 40 degrees.
AWAY_DEG: Final = (70.0, 25.0)
# A noisy screen of this size fills at least half of the view from 6 % of the poses.
SCREEN_DEG: Final = (50.0, 40.0)

Index = NDArray[np.int64]  # (..., 2): place of a pose on the grid


@dataclass(frozen=True, kw_only=True)
class GridEnvironment:
    """One environment; its scenes differ in texture and position of the screen.

    Attributes:
        limits_deg: of pan and tilt, either way; whole cells.
        steps: of a walk.
        start: 'middle', 'corner', 'left' of the wall, 'screen': in front of it, or 'anywhere' else.
        has_screen: whether a screen shows noise, new in each frame.
        has_wall: whether a wall two cells wide divides it, with a gap of one cell.
    """

    name: str
    limits_deg: tuple[float, float]
    steps: int
    start: str
    has_screen: bool = False
    has_wall: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Number of poses of pan and of tilt."""
        return (round(2 * self.limits_deg[0] / RESOLUTION_DEG), round(2 * self.limits_deg[1] / RESOLUTION_DEG))

    @cached_property
    def is_free(self) -> NDArray[np.bool_]:
        """Cells that can be entered, bool (cells of pan, cells of tilt)."""
        free = np.ones((self.shape[0] // PER_CELL, self.shape[1] // PER_CELL), bool)
        if self.has_wall:
            middle, gap = free.shape[0] // 2, free.shape[1] // 2
            free[middle - 1 : middle + 1] = False
            free[:, gap] = True
        return free

    def degrees(self, index: Index) -> NDArray[np.float64]:
        """Returns pan and tilt, float64 degrees (..., 2), from grid indices (..., 2)."""
        return np.asarray((index + 0.5) * RESOLUTION_DEG - np.array(self.limits_deg))

    def robot(self) -> RobotInfo:
        """Returns the default robot with this environment's limits."""
        limits = tuple(float(np.radians(limit)) for limit in self.limits_deg)
        return replace(robot(), joint_low=tuple(-limit for limit in limits), joint_high=limits)

    def move(self, index: Index, action: NDArray[np.float32]) -> Index:
        """Returns the pose (2,) after an action, float32 (2,) deg, from pose `index` (2,): straight up to a wall."""
        wanted = np.clip(action.astype(np.float64), -STEP_LIMIT_DEG, STEP_LIMIT_DEG) / RESOLUTION_DEG
        end = np.clip(np.rint(index + wanted), 0, np.array(self.shape) - 1).astype(np.int64)
        if not self.has_wall:
            return end
        parts = int(np.abs(end - index).max())
        reached = index
        for part in range(1, parts + 1):
            at = np.rint(index + (end - index) * part / parts).astype(np.int64)
            if not self.is_free[tuple(at // PER_CELL)]:
                break
            reached = at
        return reached

    def starts_at(self, number: int, seed: int) -> Index:
        """Returns the first pose (2,) of walk `number` in the scene of a seed."""
        last = np.array(self.shape) - 1
        if self.start == 'middle':
            return (last + 1) // 2
        if self.start == 'corner':
            return np.asarray(last * np.array([number % 2, number // 2 % 2]))
        draws = stream(seed, f'bench.curiosity.start.{self.name}', number)
        while True:
            index = draws.integers(0, last + 1)
            left = self.start != 'left' or index[0] < self.shape[0] // 2 - PER_CELL
            if left and self.on_screen(index, seed) == (self.start == 'screen'):
                return np.asarray(index)

    def screen_deg(self, seed: int) -> NDArray[np.float64]:
        """Returns the middle of the screen of a scene, degrees (2,), such that all poses in front of it exist."""
        side, up = stream(seed, 'bench.curiosity.screen', 0).uniform(-1.0, 1.0, 2)
        return np.array([np.copysign(30.0 + 30.0 * abs(side), side), 20.0 * up])

    def on_screen(self, index: Index, seed: int) -> NDArray[np.bool_]:
        """Whether at least half of the view from poses (..., 2) is noise, (...)."""
        return np.asarray(self._overlap(index, seed) >= VIEW_DEG[0] * VIEW_DEG[1] / 2)

    def sees_screen(self, index: Index, seed: int) -> NDArray[np.bool_]:
        """Whether any of the screen is in view from poses (..., 2), (...)."""
        return np.asarray(self._overlap(index, seed) > 0)

    def _overlap(self, index: Index, seed: int) -> NDArray[np.float64]:
        if not self.has_screen:
            return np.zeros(index.shape[:-1])
        view, screen = np.array(VIEW_DEG), np.array(SCREEN_DEG)
        apart = np.abs(self.degrees(index) - self.screen_deg(seed))
        overlap = np.clip((view + screen) / 2 - apart, 0.0, np.minimum(view, screen))
        return np.asarray(overlap.prod(axis=-1))

    def poses(self) -> Index:
        """Returns all poses, (pan, tilt, 2)."""
        return np.moveaxis(np.indices(self.shape), 0, -1)


_ROOM: Final = (float(LIMITS_DEG[0]), float(LIMITS_DEG[1]))
ENVIRONMENTS: Final[Mapping[str, GridEnvironment]] = {
    environment.name: environment
    for environment in (
        GridEnvironment(name='room', limits_deg=_ROOM, steps=500, start='middle'),
        GridEnvironment(name='noise', limits_deg=_ROOM, steps=2000, start='anywhere', has_screen=True),
        GridEnvironment(name='screen', limits_deg=_ROOM, steps=500, start='screen', has_screen=True),
        GridEnvironment(name='corner', limits_deg=_ROOM, steps=300, start='corner'),
        GridEnvironment(name='passage', limits_deg=_ROOM, steps=1000, start='left', has_wall=True),
        GridEnvironment(name='large', limits_deg=(270.0, 100.0), steps=1000, start='anywhere'),
    )
}
