"""Waits until another process has surely taken what was published: it answers a question that was asked afterwards.

An rclpy executor takes one message of each topic and then one request, over and over. So after one message a topic an
answer says that it was taken; after two it does not (seen: the action overtook the second).
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
        # A learner that knows no such question is asked in vain once.
        self._is_in_vain = False

    @property
    def is_up(self) -> bool:
        """Whether an answer is awaited."""
        return self._passed != self.wanted

    def raise_up(self, now: float) -> None:
        """Asks anew: what was just published has to be taken before anything else."""
        self.wanted += 1
        self._since = now
        if self._is_in_vain:
            self._passed = self.wanted

    def hear(self, number: int) -> None:
        """Takes the answer to a question; one to an earlier question says nothing."""
        self._is_in_vain = False
        if number == self.wanted:
            self._passed = number

    def is_passed(self, now: float) -> bool:
        """Whether it may go on: answered, or given up after the timeout."""
        if self.is_up and now - self._since > self._timeout:
            self._passed = self.wanted
            self._is_in_vain = True
        return not self.is_up
