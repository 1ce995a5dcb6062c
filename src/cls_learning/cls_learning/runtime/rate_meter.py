"""Events a second, over the last few seconds."""

from collections import deque


class RateMeter:
    """Counts events by steady time in s."""

    def __init__(self, window: float = 5.0) -> None:
        self._window = window
        self._times: deque[float] = deque()

    def tick(self, now: float) -> None:
        """Counts one event."""
        self._times.append(now)
        self._drop(now)

    def value(self, now: float) -> float:
        """Returns events a second, Hz."""
        self._drop(now)
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(now - self._times[0], 1e-9)

    def pause(self) -> None:
        """Forgets: what follows is counted anew, so that a pause does not count as slowness."""
        self._times.clear()

    def _drop(self, now: float) -> None:
        while self._times and now - self._times[0] > self._window:
            self._times.popleft()
