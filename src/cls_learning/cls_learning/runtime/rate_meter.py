"""Rate of events over the last few seconds."""

from collections import deque


class RateMeter:
    """Measures a rate; monotonic time in s.

    Args:
        window: s over which it is measured.
    """

    def __init__(self, window: float = 5.0) -> None:
        self._window = window
        self._times: deque[float] = deque()

    def tick(self, now: float) -> None:
        """Counts one event."""
        self._times.append(now)
        self._drop(now)

    def value(self, now: float) -> float:
        """Returns the rate, Hz."""
        self._drop(now)
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(now - self._times[0], 1e-9)

    def pause(self) -> None:
        """Restarts the measurement, so that a pause does not lower the rate."""
        self._times.clear()

    def _drop(self, now: float) -> None:
        while self._times and now - self._times[0] > self._window:
            self._times.popleft()
