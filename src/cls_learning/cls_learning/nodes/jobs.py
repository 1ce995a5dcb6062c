"""What slow_learner's callbacks and its worker exchange: jobs, and what the status shows."""

from collections.abc import Callable
from dataclasses import dataclass, field
import threading

from cls_interfaces.action import Sleep

from ..brain import Goal, Progress, SleepStatistics, Verdict


@dataclass
class Job:
    """A request that its caller waits for."""

    done: threading.Event = field(default_factory=threading.Event, kw_only=True)


@dataclass
class SleepJob(Job):
    """A requested sleep."""

    goal: Goal
    feedback: Callable[[Progress], None]
    is_cancelled: Callable[[], bool]
    code: int = Sleep.Result.UNKNOWN
    message: str = ''
    statistics: SleepStatistics = field(default_factory=SleepStatistics)
    verdict: Verdict = field(default_factory=Verdict)
    duration: float = 0.0

    def summary(self) -> str:
        """Returns in one sentence how it ended, for people."""
        if self.code != Sleep.Result.NONE:
            return f'no sleep after {self.duration:.0f} s: {self.message}'
        return f'slept {self.duration:.0f} s, kept: {self.verdict.summary or self.verdict.text}'


@dataclass
class SaveJob(Job):
    """A requested save; every request while it is pending gets its answer."""

    success: bool = False
    message: str = 'slow_learner ended before it saved; the journal has every experience'


AWAKE, SAVING, WAITING = (Progress(phase, 0, 0, 0.0) for phase in ('wake', 'saving', 'waiting'))


@dataclass
class WorkerStatus:
    """What the worker is doing.

    Attributes:
        progress: phase as in the status, with step and steps of a phase of sleep.
        last_sleep: result of the last sleep in words.
    """

    progress: Progress = WAITING
    last_sleep: str = ''

    @property
    def is_asleep(self) -> bool:
        """Whether a phase of sleep is under way."""
        return self.progress.steps > 0
