"""How far slow_learner is behind, when acting waits for it, and when fast_learner may end. Pure; steady time in s."""

# slow_learner reports twice a second; on a busy machine a report may take a few seconds.
SILENCE = 10.0
# An end takes no longer than this, s: supervisors kill what takes longer.
LONGEST_END = 30.0


class Backlog:
    """Compares the last experience sent with what slow_learner reports to have learned and written down.

    Attributes:
        limit: experiences that slow_learner may be behind before acting waits; 0: acting never waits.
        slowed: times that acting began to wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.slowed = 0
        self._sent = self._learned = self._written = 0
        self._reported: float | None = None
        self._waits = False
        self._ending_since: float | None = None

    def reset(self, sequence: int) -> None:
        """Starts from weights at `sequence`: slow_learner, which gave them, has everything up to there."""
        self._sent = self._learned = self._written = sequence
        self._waits = False

    def send(self, sequence: int) -> None:
        """Notes that the experience `sequence` was sent."""
        self._sent = sequence

    def add_report(self, learned: int, written: int, now: float) -> None:
        """Takes a report of slow_learner about this run: sequences up to which it has learned and written down."""
        self._reported = now
        self._learned = max(self._learned, learned)
        self.acknowledge(max(written, learned))

    def acknowledge(self, written: int) -> None:
        """Takes that slow_learner has every experience up to `written` in its journal."""
        self._written = max(self._written, written)

    @property
    def behind(self) -> int:
        """Experiences sent that slow_learner has not learned yet, as far as it has reported."""
        return max(self._sent - self._learned, 0)

    @property
    def unwritten(self) -> int:
        """Experiences sent that are in no journal yet, as far as slow_learner has reported."""
        return max(self._sent - self._written, 0)

    @property
    def must_wait(self) -> bool:
        """Whether acting waits: from `limit` experiences behind until half of them are learned."""
        if not self.limit:
            return False
        if self._waits:
            self._waits = self.behind > self.limit // 2
        elif self.behind >= self.limit:
            self._waits = True
            self.slowed += 1
        return self._waits

    def begin_end(self, now: float) -> None:
        """Notes that this process was asked to end; later calls change nothing."""
        if self._ending_since is None:
            self._ending_since = now

    def may_end(self, now: float) -> bool:
        """Whether everything is written down, or slow_learner has been silent for `SILENCE` s since the end began."""
        since = self._ending_since
        if since is None or not self.unwritten:
            return since is not None
        return now - max(since, self._reported or 0.0) > SILENCE or now - since > LONGEST_END
