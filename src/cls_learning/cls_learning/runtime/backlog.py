"""Backlog of slow_learner: when acting waits for it, and when fast_learner may exit. Monotonic time in s, no ROS."""

# slow_learner reports twice a second; on a busy machine a report may take a few seconds.
SILENCE = 10.0
# Longest exit, s: supervisors kill a process that takes longer.
LONGEST_END = 30.0


class Backlog:
    """Compares the last experience sent with those that slow_learner has learned and written to its journal.

    Attributes:
        limit: experiences behind from which on acting waits; 0: acting does not wait.
        slowed: how often acting began to wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.slowed = 0
        self._sent = self._learned = self._written = 0
        self._reported: float | None = None
        self._waits = False
        self._ending_since: float | None = None

    def reset(self, sequence: int) -> None:
        """Starts from weights at `sequence`, which slow_learner sent and has learned up to there."""
        self._sent = self._learned = self._written = sequence
        self._waits = False

    def send(self, sequence: int) -> None:
        """Records that the experience `sequence` was sent."""
        self._sent = sequence

    def add_report(self, learned: int, written: int, now: float) -> None:
        """Takes a report of slow_learner about this run: sequences up to which it has learned and written down."""
        self._reported = now
        self._learned = max(self._learned, learned)
        self.acknowledge(max(written, learned))

    def acknowledge(self, written: int) -> None:
        """Records that the journal of slow_learner has every experience up to `written`."""
        self._written = max(self._written, written)

    @property
    def behind(self) -> int:
        """Experiences sent that slow_learner has not reported as learned."""
        return max(self._sent - self._learned, 0)

    @property
    def unwritten(self) -> int:
        """Experiences sent that slow_learner has not reported as written."""
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
        """Records that this process was asked to exit; later calls have no effect."""
        if self._ending_since is None:
            self._ending_since = now

    def may_end(self, now: float) -> bool:
        """Whether all is written, or slow_learner sent no report for `SILENCE` s since the exit began."""
        since = self._ending_since
        if since is None or not self.unwritten:
            return since is not None
        return now - max(since, self._reported or 0.0) > SILENCE or now - since > LONGEST_END
