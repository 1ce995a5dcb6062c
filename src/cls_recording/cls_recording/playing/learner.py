"""What a replay knows of the learner that follows it: whether it is there, follows, and is awake."""

FOLLOW, WAKE = 'follow', 'wake'
# A learner says how it is twice a second.
SILENCE = 5.0


class Learner:
    """Hears a learner's status and the nights that its experiences announce.

    Attributes:
        trouble: why it takes no steps although it should; empty where it does, or sleeps.
    """

    def __init__(self) -> None:
        self.trouble = 'no learner was heard yet'
        self._heard: float | None = None
        self._phase = ''
        self._night_after: int | None = None

    @property
    def sleeps(self) -> bool:
        """Whether it is in a night, or about to begin one."""
        return self._night_after is not None or self._phase in ('falling_asleep', 'asleep')

    def hear_status(self, *, phase: str, mode: str, loaded: bool, total_steps: int, fault: str, now: float) -> None:
        """Takes its status; steady time in s."""
        self._heard, self._phase = now, phase
        if not loaded:
            # A learner that was started anew knows of no night.
            self._night_after = None
            self.trouble = 'the learner has no weights yet' + (f' ({fault})' if fault else '')
        elif mode != FOLLOW:
            self.trouble = f'the learner is in mode {mode!r}: `./cls mode {FOLLOW}` lets it learn from a replay'
        else:
            self.trouble = ''
        if self._night_after is not None and phase in (WAKE, 'done') and total_steps >= self._night_after:
            self._night_after = None

    def hear_experience(self, sequence: int, ends_cycle: bool) -> None:
        """Takes an experience; the last one of a cycle says that nothing is learned until the night is over."""
        if ends_cycle:
            self._night_after = sequence

    def look(self, now: float) -> None:
        """Notices that it went silent."""
        if self._heard is not None and now - self._heard > SILENCE:
            self.trouble = f'the learner has been silent for {now - self._heard:.0f} s'
