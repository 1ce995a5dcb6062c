"""A white dot on a black torus that moves to the right or stays: pure functions, and a Gymnasium environment.

The picture is that of the simulated robot of `ih/developmental-robot-movement`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_common.errors import UserError
from cls_common.settings import setting, Settings

from ..noise import Image
from .pan_tilt import SIDE

Integers = NDArray[np.int64]
STAY, RIGHT = 0, 1


@dataclass(frozen=True, kw_only=True)
class ToroidalDotSettings(Settings):
    """Settings of the dot. Episodes start in the rows row_low, row_low + row_step ... up to row_high."""

    radius: int = setting(5, 'radius of the dot', unit='pixels', low=0, high=SIDE // 2 - 1)
    move: int = setting(27, 'pixels to the right by the action 1', unit='pixels', low=1, high=SIDE - 1)
    episode: int = setting(
        20, 'actions of an episode, which is then truncated; the next starts at a random place; 0: endless', low=0
    )
    row_low: int = setting(0, 'first row in which an episode may start', low=0, high=SIDE - 1)
    row_high: int = setting(SIDE - 1, 'last row in which an episode may start', low=0, high=SIDE - 1)
    row_step: int = setting(1, 'distance of the rows in which an episode may start', low=1, high=SIDE)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.row_high < self.row_low:
            expected = f'at least row_low, {self.row_low}'
            raise UserError("parameter 'row_high'", expected=expected, found=str(self.row_high))


def start_rows(settings: ToroidalDotSettings) -> Integers:
    """Returns the rows in which episodes start, in order."""
    return np.arange(settings.row_low, settings.row_high + 1, settings.row_step)


def held_out_rows(settings: ToroidalDotSettings) -> Integers:
    """Returns the rows in which no episode starts, in order; the dot never changes its row."""
    return np.setdiff1d(np.arange(SIDE), start_rows(settings))


def advance(x: ArrayLike, action: ArrayLike, move: int = 27) -> Integers:
    """Returns the column of the dot after an action, 0 stay or 1 right, or after each of several."""
    return np.asarray((np.asarray(x, np.int64) + move * np.asarray(action, np.int64)) % SIDE, np.int64)


def render(x: ArrayLike, y: ArrayLike, radius: int = 5) -> Image:
    """Draws a dot that wraps at all edges.

    Args:
        x, y: column and row of its middle, whole numbers, one or arrays of one shape (...); taken modulo 224.
        radius: pixels; those whose middle is at most this far away are white.

    Returns:
        uint8 (..., 224, 224, 3) RGB, 0 or 255.
    """
    right, down = _disc(radius)
    columns, rows = np.broadcast_arrays(np.asarray(x, np.int64), np.asarray(y, np.int64))
    image = np.zeros((columns.size, SIDE, SIDE, 3), np.uint8)
    where = (rows.reshape(-1, 1) + down) % SIDE, (columns.reshape(-1, 1) + right) % SIDE
    image[np.arange(columns.size)[:, None], *where] = 255
    return image.reshape(*columns.shape, SIDE, SIDE, 3)


@lru_cache
def _disc(radius: int) -> tuple[Integers, Integers]:
    """Returns the pixels of a dot, to the right of and below its middle."""
    down, right = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = right**2 + down**2 <= radius**2
    return right[inside], down[inside]


class ToroidalDotEnv(gymnasium.Env[Image, np.int64]):
    """One dot. Action: 0 stay, 1 right. Observation: as `render`. Reward: 0. Episodes have no terminal state.

    `reset(options={'position': (x, y)})` starts at a place. `info['position']` and `position`: (x, y), pixels.
    """

    metadata = {'render_modes': ['rgb_array'], 'render_fps': 30}
    position: tuple[int, int]

    def __init__(self, settings: ToroidalDotSettings | None = None, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.settings = settings or ToroidalDotSettings()
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.position, self._actions = (0, self.settings.row_low), 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Begins an episode, at a random place of `start_rows` unless one is given."""
        super().reset(seed=seed)
        self._actions = 0
        x, y = (options or {}).get('position') or self._random_position()
        self.position = int(x) % SIDE, int(y) % SIDE
        return self.render(), {'position': self.position}

    def step(self, action: np.int64) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Moves the dot."""
        x, y = self.position
        self.position = int(advance(x, action, self.settings.move)), y
        self._actions += 1
        is_over = 0 < self.settings.episode <= self._actions
        return self.render(), 0.0, False, is_over, {'position': self.position}

    def render(self) -> Image:  # type: ignore[override]
        """Returns the picture of the present position."""
        return render(*self.position, self.settings.radius)

    def _random_position(self) -> tuple[int, int]:
        rows = start_rows(self.settings)
        return int(self.np_random.integers(SIDE)), int(rows[self.np_random.integers(len(rows))])
