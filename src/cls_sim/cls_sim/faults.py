"""Faults of a simulated robot, deterministic in the seed."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from .delay import Delay
from .noise import generator, Image
from .settings import FaultSettings

# Streams of `noise.generator`, one per kind, so that enabling one does not change the others.
_DUPLICATE, _BLACK, _LATE, _LOST = 101, 102, 103, 104


class Faults:
    """Chooses faulty frames and actions by their number. Keeps the last frames, for repeated and lagging ones."""

    def __init__(self, settings: FaultSettings, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._last: Image | None = None
        self._lag: Delay[Image] = Delay(settings.image_lag)
        self._waiting: deque[NDArray[np.float32]] = deque()

    def apply_to_image(self, image: Image, frame: int) -> Image:
        """Returns `image`, uint8 (H, W, 3), with the faults of frame number `frame`, from 0."""
        image = self._lag.add(image)
        frozen = 0 <= self._settings.frozen_from <= frame
        if self._last is not None and (frozen or self._hit(self._settings.duplicate, _DUPLICATE, frame)):
            return self._last.copy()
        if self._hit(self._settings.black, _BLACK, frame):
            image = image * 0
        self._last = image.copy()
        return image

    def delay(self, frame: int) -> float:
        """Returns the delay of this frame, s."""
        return self._settings.late_by if self._hit(self._settings.late, _LATE, frame) else 0.0

    def begin_episode(self, rest: NDArray[np.float32]) -> None:
        """Forgets the actions that wait; the first `action_lag` actions of the episode find `rest` in their place."""
        self._waiting = deque([rest] * self._settings.action_lag)

    def due_action(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes an action, float32 (A,), and returns the one that the body carries out now: `action_lag` before it."""
        self._waiting.append(action)
        return self._waiting.popleft()

    def is_lost(self, action: int) -> bool:
        """Whether the action of this number, from 0, is lost."""
        return self._hit(self._settings.lost_action, _LOST, action)

    def stuck_joint(self, action: int) -> int:
        """Index of the joint that does not move in this action, or -1."""
        return self._settings.stuck_joint if action >= self._settings.stuck_from else -1

    def _hit(self, chance: float, stream: int, index: int) -> bool:
        return chance > 0.0 and generator(self._seed, stream, index).random() < chance
