"""What slow_learner's callbacks ask of its worker."""

from collections.abc import Callable
from dataclasses import dataclass, field
import threading

from cls_interfaces.action import Sleep

from ..consolidation.gate import Verdict
from ..consolidation.night import Goal, Progress, Statistics


@dataclass
class SleepJob:
    """A night that somebody asked for."""

    goal: Goal
    feedback: Callable[[Progress], None]
    is_cancelled: Callable[[], bool]
    done: threading.Event = field(default_factory=threading.Event)
    code: int = Sleep.Result.UNKNOWN
    message: str = ''
    statistics: Statistics = field(default_factory=Statistics)
    verdict: Verdict = field(default_factory=Verdict)
    duration: float = 0.0


@dataclass
class SaveJob:
    """A save that somebody asked for."""

    done: threading.Event = field(default_factory=threading.Event)
    success: bool = False
    message: str = 'no answer'
