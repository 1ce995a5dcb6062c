"""How long fast_learner stays asleep for a slow_learner that may have died: steady time in s."""

# A process that looks less often than this was stopped itself, s: what was sent meanwhile still waits to be heard.
STALL = 0.5


class Lease:
    """Sleep for one id at a time, ended by `end` or by its own running out.

    Attributes:
        id: of the sleep in force, empty when awake.
    """

    def __init__(self) -> None:
        self.id = ''
        self._until = self._looked = 0.0
        self._ended: set[str] = set()

    def begin(self, sleep_id: str, now: float, seconds: float) -> None:
        """Falls asleep for an id."""
        self.id = sleep_id
        self._until, self._looked = now + seconds, now

    def renew(self, sleep_id: str, now: float, seconds: float) -> bool:
        """Prolongs; returns whether this id still has the lease."""
        if self.id != sleep_id:
            return False
        self._until = now + seconds
        return True

    def end(self) -> None:
        """Wakes up, and remembers the id as ended in order."""
        self._ended.add(self.id)
        self.id = ''

    def has_ended(self, sleep_id: str) -> bool:
        """Whether this id was ended in order: asked again, the answer is the same."""
        return sleep_id in self._ended

    def runs_out(self, now: float) -> bool:
        """Wakes up where the lease has run out; returns whether it just did. To be asked a few times a second.

        Time in which this process itself stood still does not count against the other one.
        """
        stall = now - self._looked
        self._looked = now
        if self.id and stall > STALL:
            self._until += stall
        if self.id and now > self._until:
            self.id = ''
            return True
        return False
