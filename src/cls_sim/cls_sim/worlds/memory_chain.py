"""A cue to be remembered, as a Gymnasium environment (after the memory length task of bsuite, Osband et al. 2020)."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cls_common.settings import setting, Settings


@dataclass(frozen=True, kw_only=True)
class MemoryChainSettings(Settings):
    """Settings of the memory chain."""

    length: int = setting(16, 'actions between the observations of the cue and of the question', low=1, high=1000)


class MemoryChainEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Shows a cue once, and asks for it `length` actions later.

    Action: 0 or 1, of which only the answer to the question counts. Observation: float32 (3,): the cue, -1 or 1 in the
    first observation and 0 in all others; the question, 1 when it is asked, else 0; the position in the chain, 0 to
    1. Reward: 1 for the answer 0 to the cue -1 and 1 to the cue 1, -1 for the other; 0 before. The answer ends the
    episode.
    """

    metadata = {'render_modes': []}

    def __init__(self, settings: MemoryChainSettings | None = None, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        low, high = np.array([-1, 0, 0], np.float32), np.ones(3, np.float32)
        self.observation_space = gymnasium.spaces.Box(low, high)
        self.action_space = gymnasium.spaces.Discrete(2)
        self._length = (settings or MemoryChainSettings()).length
        self._cue = self._position = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins an episode with a random cue."""
        super().reset(seed=seed)
        self._cue, self._position = int(self.np_random.integers(2)), 0
        return np.array([2 * self._cue - 1, 0, 0], np.float32), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Goes on along the chain; at its end takes the answer."""
        if self._position == self._length:
            return np.array([0, 0, 1], np.float32), 1.0 if int(action) == self._cue else -1.0, True, False, {}
        self._position += 1
        is_question = self._position == self._length
        return np.array([0, is_question, self._position / self._length], np.float32), 0.0, False, False, {}
