"""Monitors the learner of a replay: whether it is connected, in mode follow, and awake."""

FOLLOW, WAKE = 'follow', 'wake'
# Statuses are published twice a second.
SILENCE_TIMEOUT = 5.0


class LearnerMonitor:
    """State of a learner, from its status and from the ends of cycles in its experiences.

    Attributes:
        is_loaded: whether it has weights.
        problem: why it processes no steps although it should; empty if it does, or sleeps.
    """

    def __init__(self) -> None:
        self.is_loaded = False
        self.problem = 'no learner has been found yet'
        self._status_time: float | None = None
        self._phase = ''
        self._sleep_after: int | None = None

    @property
    def is_asleep(self) -> bool:
        """Whether it sleeps, or is about to."""
        return self._sleep_after is not None or self._phase in ('falling_asleep', 'asleep')

    def on_status(self, *, phase: str, mode: str, loaded: bool, total_steps: int, fault: str, now: float) -> None:
        """Records its status; steady time in s."""
        self._status_time, self._phase, self.is_loaded = now, phase, loaded
        if not loaded:
            # A restarted learner does not sleep.
            self._sleep_after = None
            self.problem = 'the learner has no weights yet' + (f' ({fault})' if fault else '')
        elif mode != FOLLOW:
            self.problem = f'the learner is in mode {mode!r}: `./cls mode {FOLLOW}` lets it learn from a replay'
        else:
            self.problem = ''
        if self._sleep_after is not None and phase in (WAKE, 'done') and total_steps >= self._sleep_after:
            self._sleep_after = None

    def on_experience(self, sequence: int, ends_cycle: bool) -> None:
        """Records an experience; the last one of a cycle announces a sleep, in which nothing is learned from steps."""
        if ends_cycle:
            self._sleep_after = sequence

    def check_silence(self, now: float) -> None:
        """Reports a learner without a status for SILENCE_TIMEOUT."""
        if self._status_time is not None and now - self._status_time > SILENCE_TIMEOUT:
            self.problem = f'the learner has been silent for {now - self._status_time:.0f} s'
