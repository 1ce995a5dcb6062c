"""Waits until another process has surely taken what was published: it answers a question that was asked afterwards.

A node takes messages before requests, and both in the order in which they came.
"""


class Barrier:
    """Holds a replay until a question asked after the last publication was answered; steady time in s.

    Attributes:
        wanted: number of the question to ask; the answer names it.
    """

    def __init__(self, timeout: float) -> None:
        self.wanted = 0
        self._passed = 0
        self._timeout = timeout
        self._since = 0.0

    @property
    def is_up(self) -> bool:
        """Whether an answer is awaited."""
        return self._passed != self.wanted

    def raise_up(self, now: float) -> None:
        """Asks anew: what was just published has to be taken before anything else."""
        self.wanted += 1
        self._since = now

    def hear(self, number: int) -> None:
        """Takes the answer to a question; one to an earlier question says nothing."""
        if number == self.wanted:
            self._passed = number

    def is_passed(self, now: float) -> bool:
        """Whether it may go on: answered, or given up after the timeout."""
        if self.is_up and now - self._since > self._timeout:
            self._passed = self.wanted
        return not self.is_up
