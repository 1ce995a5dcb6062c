"""Clock of a replay: log time advances at a rate, and never past the next message to publish."""

from .settings import AS_FAST_AS_POSSIBLE, check_rate


class PlaybackClock:
    """A position in ns of log time that follows the steady clock.

    While the next message is held back the position stays at it, so that later messages keep their distances.

    Attributes:
        rate: times real time; 0: without waiting.
        position_ns: log time.
    """

    def __init__(self, rate: float) -> None:
        self.rate = check_rate(rate)
        self.position_ns = 0
        self._advanced_at: float | None = None

    def set_rate(self, rate: float) -> None:
        """Sets the rate; raises UserError for an invalid one."""
        self.rate = check_rate(rate)

    def jump(self, position_ns: int) -> None:
        """Sets the position."""
        self.position_ns = position_ns
        self._advanced_at = None

    def advance(self, now: float, due_ns: int) -> bool:
        """Advances up to the next message at `due_ns`; returns whether it is due. Steady time in s."""
        passed, self._advanced_at = 0.0 if self._advanced_at is None else now - self._advanced_at, now
        if self.rate == AS_FAST_AS_POSSIBLE:
            self.position_ns = max(self.position_ns, due_ns)
        else:
            limit = max(due_ns, self.position_ns)
            self.position_ns = min(self.position_ns + round(passed * self.rate * 1e9), limit)
        return self.position_ns >= due_ns

    def stand_still(self, now: float) -> None:
        """Lets real time pass without advancing; called while paused."""
        self._advanced_at = now

    def seconds_until(self, due_ns: int) -> float:
        """Returns the real time until a log time is reached, s, if no message is held back."""
        return 0.0 if self.rate == AS_FAST_AS_POSSIBLE else max(0.0, (due_ns - self.position_ns) * 1e-9 / self.rate)
