"""How often images are embedded while the learner is asleep."""

from typing import Final

ASLEEP: Final = 'asleep'
# The status comes twice a second. A learner that is silent for so long, s, counts as awake.
_PATIENCE: Final = 3.0
# Asleep one embedding comes each so many s: it shows that the robot sees, and is fresh enough to wake up with.
_PERIOD: Final = 1.0


class IdlePace:
    """Decides which images are embedded: all, or few while the learner says that it is asleep.

    Without a learner, or with one that fell silent, all are. Times in s of the steady clock.
    """

    def __init__(self) -> None:
        self._asleep_until = self._embedded_at = float('-inf')

    def hear(self, phase: str, now: float) -> None:
        """Takes the phase of the learner's status."""
        self._asleep_until = now + _PATIENCE if phase == ASLEEP else float('-inf')

    def take(self, now: float) -> bool:
        """Returns whether an image is to be embedded now, and counts it as embedded then."""
        is_due = now >= self._asleep_until or now - self._embedded_at >= _PERIOD
        if is_due:
            self._embedded_at = now
        return is_due
