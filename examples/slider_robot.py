"""A robot: a camera on a rail, one-dimensional, in front of a striped wall, as a Gymnasium environment.

    ./cls train --robot slider --set sim.slider.length=2

The environment works with Gymnasium alone; the last lines make a robot of it. One with joints, or one whose
motion takes time, implements `cls_sim.bodies.body.Body` itself.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cls_common.settings import setting, Settings
from cls_sim.bodies.body import Body
from cls_sim.bodies.gym_body import GymBody
from cls_sim.settings import SimulatorSettings

SIDE = 224  # of the image, pixels
VIEW = 0.5  # width of what the camera sees, m


@dataclass(frozen=True, kw_only=True)
class SliderSettings(Settings):
    length: float = setting(1.0, 'Length of the rail.', unit='m', low=0.1, high=100.0)
    speed: float = setting(0.1, 'Longest way of one action.', unit='m', low=0.001, high=10.0)
    episode: int = setting(500, 'Actions after which the camera starts from another place.', low=1)


SETTINGS = SliderSettings


class SliderEnv(gymnasium.Env[NDArray[np.uint8], NDArray[np.float32]]):
    """Observation: uint8 (224, 224, 3) RGB. Action: float32 (1,), m, at most `speed` to either side. Reward: 0."""

    def __init__(self, own: SliderSettings, seed: int) -> None:
        self._own = own
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.action_space = gymnasium.spaces.Box(-own.speed, own.speed, (1,), np.float32)
        # Stripes of 1 cm, smoothed, so that near places look alike.
        stripes = np.random.default_rng(seed).normal(size=(round((own.length + VIEW) * 100) + 10, 3))
        smooth = np.stack([np.convolve(column, np.hanning(9), 'same') for column in stripes.T], axis=1)
        self._wall = np.clip(128.0 + 60.0 * smooth, 0.0, 255.0)  # (N, 3)
        self._position = own.length / 2
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Starts from a random place."""
        super().reset(seed=seed)
        self._position, self._steps = float(self.np_random.uniform(0.0, self._own.length)), 0
        return self._image(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Moves by `action` metres, up to the ends of the rail."""
        self._position = float(np.clip(self._position + float(action[0]), 0.0, self._own.length))
        self._steps += 1
        return self._image(), 0.0, False, self._steps >= self._own.episode, {}

    def _image(self) -> NDArray[np.uint8]:
        places = (self._position + np.linspace(0.0, VIEW, SIDE)) * 100.0  # cm
        at = np.arange(len(self._wall))
        row = np.stack([np.interp(places, at, channel) for channel in self._wall.T], axis=1)  # (SIDE, 3)
        return np.broadcast_to(row.astype(np.uint8), (SIDE, SIDE, 3)).copy()


def make(name: str, settings: SimulatorSettings) -> Body:
    """Makes the robot; `settings.plugins` holds its own settings."""
    return GymBody(name, SliderEnv(settings.plugins.of(SliderSettings), settings.seed), settings)
