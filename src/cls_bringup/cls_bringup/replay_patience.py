"""For how long a replay has waited for another node, so that a run without progress ends and names the reason."""

from .snapshot import LearnerStatuses, Replayed


class ReplayPatience:
    """Measures the time without progress.

    Attributes:
        missing: what the replay waits for; empty while it plays, is paused, or waits for a person or for a sleep.
    """

    def __init__(self) -> None:
        self.missing = ''
        self._since = 0.0

    def waited(self, replay: Replayed | None, statuses: LearnerStatuses, now: float) -> float:
        """Returns for how long it has been waiting, s.

        Args:
            replay: its newest status; None before the first.
            statuses: a person who takes the learner out of mode follow is waited for without limit.
            now: steady time, s.
        """
        was_missing, self.missing = self.missing, ''
        if statuses.fast is not None and statuses.fast.mode == 'follow':
            self.missing = 'it has no status yet' if replay is None else replay.fault if replay.is_waiting else ''
        if not (was_missing and self.missing):
            self._since = now
        return now - self._since
