"""A square in a corridor with bends, as a Gymnasium environment."""

from typing import Any

import gymnasium
import numpy as np

from ..noise import Image
from .corridor_map import CorridorMap, CorridorSettings, MOVES, Place
from .pan_tilt import SIDE


class CorridorEnv(gymnasium.Env[Image, np.int64]):
    """Walks from a random start; the goal is not in the picture.

    Action: 0 stay, 1 left, 2 right, 3 up, 4 down, by one cell; walls stop it. Observation: uint8 (224, 224, 3) RGB, as
    `CorridorMap.render`. Reward: 0. Episodes have no terminal state. `info`: place and goal, (column, row), and
    distance, steps from one to the other. `reset(options={'place': ..., 'goal': ...})` takes both as given.

    Attributes:
        map: of the corridor; `map.render(goal)` is the goal's picture.
        place, goal: as in `info`.
    """

    metadata = {'render_modes': ['rgb_array'], 'render_fps': 30}

    def __init__(self, settings: CorridorSettings | None = None, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.settings = settings or CorridorSettings()
        self.map = CorridorMap(self.settings)
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES))
        self.place: Place = self.map.places[0]
        self.goal: Place = self.place
        self._actions = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Begins an episode at a random pair of start and goal, unless they are given.

        Raises:
            UserError: a given place is not free.
        """
        super().reset(seed=seed)
        self._actions = 0
        start, goal = self.map.draw_pair(self.np_random)
        given = options or {}
        self.place, self.goal = given.get('place', start), given.get('goal', goal)
        return self.render(), self._info()

    def step(self, action: np.int64) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Moves by one cell."""
        self.place = self.map.advance(self.place, int(action))
        self._actions += 1
        is_over = 0 < self.settings.episode <= self._actions
        return self.render(), 0.0, False, is_over, self._info()

    def render(self) -> Image:  # type: ignore[override]
        """Returns the picture of walls and agent."""
        return self.map.render(self.place)

    def _info(self) -> dict[str, Any]:
        return {'place': self.place, 'goal': self.goal, 'distance': self.map.distance(self.place, self.goal)}
