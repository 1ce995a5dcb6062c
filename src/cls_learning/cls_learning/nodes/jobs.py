"""Jobs that slow_learner's callbacks give to its worker."""

from collections.abc import Callable
from dataclasses import dataclass, field
import threading

from cls_interfaces.action import Sleep

from ..brain import Goal, Progress, SleepStatistics, Verdict


@dataclass
class SleepJob:
    """A requested sleep."""

    goal: Goal
    feedback: Callable[[Progress], None]
    is_cancelled: Callable[[], bool]
    done: threading.Event = field(default_factory=threading.Event)
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
class SaveJob:
    """A requested save; everyone who asks while it is pending gets its answer."""

    done: threading.Event = field(default_factory=threading.Event)
    success: bool = False
    message: str = 'slow_learner ended before it saved; the journal has every experience'
