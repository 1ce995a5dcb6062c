"""Observations that arrive some steps late."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar('T')


class Delay(Generic[T]):
    """Gives back what was added some steps before; while there is nothing so old, the oldest.

    Args:
        steps: 0: no delay.
    """

    def __init__(self, steps: int) -> None:
        self._held: deque[T] = deque(maxlen=steps + 1)

    def add(self, sensed: T) -> T:
        """Takes what is sensed now, and returns what arrives now."""
        self._held.append(sensed)
        return self._held[0]

    def clear(self) -> None:
        """Forgets what has not arrived, at the beginning of an episode."""
        self._held.clear()
