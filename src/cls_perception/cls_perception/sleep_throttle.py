"""Limits the rate of embeddings while the learner sleeps."""

from typing import Final

ASLEEP: Final = 'asleep'
# Statuses are published twice a second. A learner without a status for this time, s, counts as awake.
_TIMEOUT: Final = 3.0
# Period of embeddings during sleep, s: shows that the camera works, and is recent enough for waking up.
_PERIOD: Final = 1.0


class SleepThrottle:
    """Chooses the images to embed: all, or few while the learner's status is asleep.

    Without a learner or its status all are. Times in s of the steady clock.
    """

    def __init__(self) -> None:
        self._asleep_until = self._embedded_at = float('-inf')

    def on_phase(self, phase: str, now: float) -> None:
        """Records the phase of the learner's status."""
        self._asleep_until = now + _TIMEOUT if phase == ASLEEP else float('-inf')

    def accept(self, now: float) -> bool:
        """Returns whether an image is to be embedded now, and counts it as embedded if so."""
        is_due = now >= self._asleep_until or now - self._embedded_at >= _PERIOD
        if is_due:
            self._embedded_at = now
        return is_due
