"""Where a replay is in time: recorded time goes on at a rate, and never past what still has to go out."""

from .settings import AS_FAST_AS_TAKEN, check_rate


class Pace:
    """A position in ns of log time that follows the steady clock.

    While the next message is held back the position stands at it, so nothing is hurried afterwards.

    Attributes:
        rate: times real time; 0: without waiting.
        position_ns: log time.
    """

    def __init__(self, rate: float) -> None:
        self.rate = check_rate(rate)
        self.position_ns = 0
        self._looked: float | None = None

    def set_rate(self, rate: float) -> None:
        """Goes on at another rate; raises UserError for one that there is not."""
        self.rate = check_rate(rate)

    def jump(self, position_ns: int) -> None:
        """Goes on elsewhere."""
        self.position_ns = position_ns
        self._looked = None

    def advance(self, now: float, due_ns: int) -> bool:
        """Lets time pass up to the next message at `due_ns`; returns whether it is due. Steady time in s."""
        passed, self._looked = 0.0 if self._looked is None else now - self._looked, now
        if self.rate == AS_FAST_AS_TAKEN:
            self.position_ns = max(self.position_ns, due_ns)
        else:
            limit = max(due_ns, self.position_ns)
            self.position_ns = min(self.position_ns + round(passed * self.rate * 1e9), limit)
        return self.position_ns >= due_ns

    def stand_still(self, now: float) -> None:
        """Time passes and nothing goes on: paused."""
        self._looked = now

    def seconds_until(self, due_ns: int) -> float:
        """Returns s of real time until a log time is reached, if nothing holds it."""
        return 0.0 if self.rate == AS_FAST_AS_TAKEN else max(0.0, (due_ns - self.position_ns) * 1e-9 / self.rate)
