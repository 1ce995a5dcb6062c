"""What slow_learner's callbacks ask of its worker."""

from collections.abc import Callable
from dataclasses import dataclass, field
import threading

from cls_interfaces.action import Sleep

from ..consolidation.gate import Verdict
from ..consolidation.night import Goal, Progress, Statistics


@dataclass
class SleepJob:
    """A requested sleep."""

    goal: Goal
    feedback: Callable[[Progress], None]
    is_cancelled: Callable[[], bool]
    done: threading.Event = field(default_factory=threading.Event)
    code: int = Sleep.Result.UNKNOWN
    message: str = ''
    statistics: Statistics = field(default_factory=Statistics)
    verdict: Verdict = field(default_factory=Verdict)
    duration: float = 0.0

    def summary(self) -> str:
        """Returns in one sentence how it ended, for people."""
        if self.code != Sleep.Result.NONE:
            return f'no sleep after {self.duration:.0f} s: {self.message}'
        verdict = self.verdict
        if not verdict.probes:
            return f'slept {self.duration:.0f} s, kept (no held-out transitions yet to judge it by)'
        skills = (
            f'slow {verdict.skill_before:.2f} -> {verdict.skill_after:.2f}, '
            f'fast {verdict.fast_before:.2f} -> {verdict.fast_after:.2f}'
        )
        return f'slept {self.duration:.0f} s, kept: {skills} on {verdict.probes} held-out transitions'


@dataclass
class SaveJob:
    """A requested save; everyone who asks while it is pending gets its answer."""

    done: threading.Event = field(default_factory=threading.Event)
    success: bool = False
    message: str = 'slow_learner ended before it saved; the journal has every experience'
