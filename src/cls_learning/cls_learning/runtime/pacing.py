"""When the next action may go out, and when an unanswered one is sent again. Pure; steady time in s."""

# An action or its answer may be lost while processes discover each other.
ASK_AGAIN = 0.5
# After a refusal, so that a refusing robot is not asked a thousand times a second.
REST = 0.5


class Pacing:
    """Paces the actions of one robot.

    Args:
        rate: actions a second at most, Hz; 0: as fast as they are answered.
    """

    def __init__(self, rate: float) -> None:
        self._period = 1.0 / rate if rate > 0 else 0.0
        self._sent = self._repeated = 0.0

    @property
    def is_paced(self) -> bool:
        """Whether an action may have to wait although the last one was answered."""
        return self._period > 0

    def may_send(self, now: float) -> bool:
        """Whether the period since the last action, or the rest after a refusal, is over."""
        return now - self._sent >= self._period

    def may_repeat(self, now: float) -> bool:
        """Whether an action that is still unanswered is due to be sent again."""
        return now - self._repeated > ASK_AGAIN

    def send(self, now: float) -> None:
        """Notes that a new action is sent."""
        self._sent = self._repeated = now

    def repeat(self, now: float) -> None:
        """Notes that the last action is sent again."""
        self._repeated = now

    def refuse(self, now: float) -> None:
        """Notes that the robot refused the last action."""
        self._sent = now + REST
