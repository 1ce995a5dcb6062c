"""A robot that stands for two motors and a camera where only the loop around it is tested."""

from typing import Any

import gymnasium
import numpy as np

from ..noise import Image
from .pan_tilt import SIDE

# Speed of a motor by choice; 0 is rest, as for every robot.
SPEEDS = (0.0, -0.15, 0.15)
DURATION = 0.1  # of an action, s
_SQUARE, _COLOUR = slice(97, 127), (200, 80, 80)  # rows and columns


class StubEnv(gymnasium.Env[Image, dict[str, Any]]):
    """Random pictures with a square in the middle, which no action changes.

    Action: `motor_left` and `motor_right`, each 0, 1 or 2, for the speeds of SPEEDS; so there are exactly 9 actions.
    Observation: uint8 (224, 224, 3) RGB. Reward: 0. `info['speeds']`: speeds of both motors. Episodes do not end.
    """

    metadata = {'render_modes': ['rgb_array'], 'render_fps': round(1.0 / DURATION)}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        choice = gymnasium.spaces.Discrete(len(SPEEDS))
        self.action_space = gymnasium.spaces.Dict({'motor_left': choice, 'motor_right': choice})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Begins an episode with a new picture."""
        super().reset(seed=seed)
        return self._picture(), {'speeds': (0.0, 0.0)}

    def step(self, action: dict[str, Any]) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Shows the next picture."""
        speeds = tuple(SPEEDS[int(action[motor])] for motor in ('motor_left', 'motor_right'))
        return self._picture(), 0.0, False, False, {'speeds': speeds}

    def render(self) -> Image:  # type: ignore[override]
        """Returns the picture that was observed last."""
        return self._last.copy()

    def _picture(self) -> Image:
        self._last = self.np_random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        self._last[_SQUARE, _SQUARE] = _COLOUR
        return self._last.copy()
