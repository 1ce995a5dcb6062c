"""Lease of a sleep: fast_learner wakes by itself where slow_learner died. Monotonic time in s."""

# Longest interval between two checks, s: after a longer one this process was stopped itself, and messages that arrived
# meanwhile are not processed yet.
STALL = 0.5


class Lease:
    """Lease of one sleep at a time; it ends by `end` or by expiry.

    Attributes:
        id: of the present sleep, empty when awake.
    """

    def __init__(self) -> None:
        self.id = ''
        self._until = self._looked = 0.0
        self._ended: set[str] = set()

    def begin(self, sleep_id: str, now: float, seconds: float) -> None:
        """Begins the lease of a sleep for `seconds`."""
        self.id = sleep_id
        self._until, self._looked = now + seconds, now

    def renew(self, sleep_id: str, now: float, seconds: float) -> bool:
        """Extends the lease; returns whether this id still has it."""
        if self.id != sleep_id:
            return False
        self._until = now + seconds
        return True

    def end(self) -> None:
        """Ends the lease in order."""
        self._ended.add(self.id)
        self.id = ''

    def has_ended(self, sleep_id: str) -> bool:
        """Whether the lease of this id ended in order, so that a repeated request gets the same answer."""
        return sleep_id in self._ended

    def runs_out(self, now: float) -> bool:
        """Ends an expired lease; returns whether it just expired. Call it a few times a second.

        Time in which this process was stopped does not count.
        """
        stall = now - self._looked
        self._looked = now
        if self.id and stall > STALL:
            self._until += stall
        if self.id and now > self._until:
            self.id = ''
            return True
        return False
