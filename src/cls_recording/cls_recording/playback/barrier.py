"""Waits until another process has received what was published: it answers a request that was sent afterwards.

An rclpy executor takes one message of each topic and then one request, in turn. So the answer proves the receipt of
one message per topic, but not of two (observed: the action overtook the second).
"""


class Barrier:
    """Holds a replay until a request sent after the last publication was answered; steady time in s.

    Attributes:
        wanted: number of the request to send; the answer has the same number.
    """

    def __init__(self, timeout: float) -> None:
        self.wanted = 0
        self._passed = 0
        self._timeout = timeout
        self._since = 0.0
        # A learner without the service costs one timeout only.
        self._is_unsupported = False

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is pending."""
        return self._passed != self.wanted

    def request(self, now: float) -> None:
        """Requires a new answer; called after a publication."""
        self.wanted += 1
        self._since = now
        if self._is_unsupported:
            self._passed = self.wanted

    def on_answer(self, number: int) -> None:
        """Takes the answer to a request; answers to earlier ones are ignored."""
        self._is_unsupported = False
        if number == self.wanted:
            self._passed = number

    def is_passed(self, now: float) -> bool:
        """Whether the replay may go on: answered, or the timeout has passed."""
        if self.is_waiting and now - self._since > self._timeout:
            self._passed = self.wanted
            self._is_unsupported = True
        return not self.is_waiting
