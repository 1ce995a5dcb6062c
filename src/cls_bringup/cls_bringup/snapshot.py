"""Statuses of learners and player as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Any

_SAVING = 'saving'
_FALLING = ('falling_asleep', 'asleep')


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """cls_interfaces/LearnerStatus; see there for meanings and units.

    Attributes:
        metrics: by name. headlines: those that a view shows first, each with whether higher is better.
    """

    node: str
    brain: str = ''
    phase: str = 'waiting'
    mode: str = ''
    model: str = ''
    run_id: str = ''
    loaded: bool = False
    steps: int = 0
    total_steps: int = 0
    wake_steps_in_cycle: int = 0
    wake_steps_per_cycle: int = 0
    cycles: int = 0
    generation: int = 0
    memory_size: int = 0
    dropped: int = 0
    faults: int = 0
    fault: str = ''
    rate_hz: float = 0.0
    frame_rate: float = 0.0
    memory_bytes: int = 0
    sleeps_rolled_back: int = 0
    is_asleep: bool = False
    alarms: tuple[str, ...] = ()
    joints: tuple[float, ...] = ()
    phase_step: int = 0
    phase_steps: int = 0
    last_sleep: str = ''
    written: int = 0
    behind: int = 0
    slowed: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    headlines: Mapping[str, bool] = field(default_factory=dict)

    def metric(self, name: str) -> float:
        """Returns a metric; NaN where the brain has none of that name."""
        return self.metrics.get(name, math.nan)


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """cls_interfaces/PlayerStatus; see there for meanings and units."""

    state: str = 'waiting'
    session: str = ''
    session_index: int = 0
    sessions: int = 1
    progress: float = 0.0
    rate: float = 1.0
    steps: int = 0
    filtered: int = 0
    unanswered: int = 0
    missing: tuple[str, ...] = ()
    fault: str = ''

    @property
    def is_finished(self) -> bool:
        """Whether the replay is complete."""
        return self.state == 'finished'

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for another node, or for the end of a sleep."""
        return self.state == 'waiting'

    def text(self) -> str:
        """Returns the progress on one line."""
        which = f' of session {self.session_index + 1}/{self.sessions}' if self.sessions > 1 else ''
        left_out = f', {self.filtered:,} left out' if self.filtered else ''
        done = f'{self.steps:,} actions{left_out}, {self.unanswered:,} not learned'
        return f'{self.state} {self.progress:.0%}{which}  {done}'

    def troubles(self) -> list[str]:
        """Returns the problems, for display."""
        return [
            *([f'the session lacks {", ".join(self.missing)}'] if self.missing else []),
            *filter(None, [self.fault]),
        ]


@dataclass(frozen=True)
class LearnerStatuses:
    """Newest status of both learners; None before the first."""

    fast: Snapshot | None = None
    slow: Snapshot | None = None

    @property
    def heard(self) -> tuple[Snapshot, ...]:
        """Statuses that were received."""
        return tuple(s for s in (self.fast, self.slow) if s is not None)

    @property
    def loaded(self) -> bool:
        """Whether both have weights, loaded or new."""
        return self.fast is not None and self.slow is not None and self.fast.loaded and self.slow.loaded

    @property
    def ready(self) -> bool:
        """Whether the graph does its work: loaded, and acting or waiting for a person to act."""
        if not self.loaded or self.fast is None:
            return False
        return self.fast.steps >= 1 or self.fast.mode in ('manual', 'follow')

    @property
    def done(self) -> bool:
        """Whether all requested wake steps are done."""
        return self.fast is not None and self.fast.phase == 'done'

    @property
    def phase(self) -> str:
        """Current phase of the brain, for display."""
        if self.slow is not None and (self.slow.is_asleep or self.slow.phase == _SAVING):
            return self.slow.phase
        return self.fast.phase if self.fast is not None else 'starting'

    @property
    def is_asleep(self) -> bool:
        """Whether a sleep is under way, or about to begin."""
        is_sleeping = self.slow is not None and self.slow.is_asleep
        return is_sleeping or (self.fast is not None and self.fast.phase in _FALLING)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps done and to do: of the phase of sleep under way, else of the wake steps before the next sleep."""
        if self.slow is not None and self.slow.phase_steps:
            return self.slow.phase_step, self.slow.phase_steps
        if self.fast is None:
            return 0, 0
        # After a sleep that failed another whole cycle follows.
        done, cycle = self.fast.wake_steps_in_cycle, self.fast.wake_steps_per_cycle
        return (done - 1) % cycle + 1 if done and cycle else done, cycle

    @property
    def last_sleep(self) -> str:
        """Result of the last sleep, in a sentence; empty before the first."""
        return self.slow.last_sleep if self.slow is not None else ''

    @property
    def total_steps(self) -> int:
        """Wake steps of the model in total."""
        return max((s.total_steps for s in self.heard), default=0)

    @property
    def cycles(self) -> int:
        """Completed sleeps of the model in total."""
        return max((s.cycles for s in self.heard), default=0)

    @property
    def model(self) -> str:
        """Name of the model folder; empty if unknown."""
        return next((s.model for s in (self.slow, self.fast) if s is not None and s.model), '')

    @property
    def alarms(self) -> list[str]:
        """Alarms of both learners."""
        return [alarm for s in self.heard for alarm in s.alarms]

    @property
    def headlines(self) -> dict[str, dict[str, float]]:
        """Metrics that are shown first: by name, then by `fast` and `slow`, whichever has it."""
        halves = [(name, s) for name, s in (('fast', self.fast), ('slow', self.slow)) if s is not None]
        names = dict.fromkeys(name for _, s in halves for name in s.headlines)
        return {name: {half: s.metrics[name] for half, s in halves if name in s.metrics} for name in names}

    def losses(self) -> dict[str, float]:
        """Returns metrics of both by name; slow_learner's where both have one."""
        return {name: value for s in self.heard for name, value in s.metrics.items()}

    def missing(self) -> str:
        """Returns what prevents the graph from being ready; empty if it is."""
        if self.slow is None:
            return 'slow_learner has no status yet'
        if not self.slow.loaded:
            return f'slow_learner has no weights yet ({self.slow.fault or self.slow.phase})'
        if self.fast is None:
            return 'fast_learner has no status yet'
        if not self.fast.loaded:
            return f'fast_learner has no weights yet ({self.fast.fault or self.fast.phase})'
        if not self.ready:
            return f'fast_learner has made no step yet ({self.fast.fault or self.fast.phase})'
        return ''


def measures(statuses: LearnerStatuses) -> dict[str, Any]:
    """Returns the values that report and `status` share; None where undefined or unknown."""
    fast, slow = statuses.fast, statuses.slow
    halves = {name: half for name, half in (('fast', fast), ('slow', slow)) if half is not None}
    return {
        'steps': fast.steps if fast else None,
        'total_steps': statuses.total_steps if statuses.heard else None,
        'cycles': statuses.cycles if statuses.heard else None,
        'rate_hz': number(fast.rate_hz) if fast else None,
        'frame_rate': number(fast.frame_rate) if fast else None,
        'brain': next((s.brain for s in statuses.heard if s.brain), None),
        'headlines': {
            name: {half: number(value) for half, value in values.items()} for name, values in statuses.headlines.items()
        },
        'sleeps_rolled_back': slow.sleeps_rolled_back if slow else None,
        'alarms': statuses.alarms,
        'metrics': {half: {name: number(value) for name, value in own.metrics.items()} for half, own in halves.items()},
        'memory_size': {half: own.memory_size for half, own in halves.items()},
        'memory_bytes': {half: own.memory_bytes for half, own in halves.items()},
        'dropped': sum(s.dropped for s in statuses.heard),
        'behind': fast.behind if fast else None,
        'slowed': fast.slowed if fast else None,
        'last_sleep': statuses.last_sleep,
        'faults': sum(s.faults for s in statuses.heard),
        'model': statuses.model,
    }


def activity(statuses: LearnerStatuses) -> dict[str, Any]:
    """Returns phase and mode; None where unknown."""
    return {'phase': statuses.phase, 'mode': statuses.fast.mode if statuses.fast else None}


def number(value: float) -> float | None:
    """Returns None for NaN and infinity, which JSON does not have."""
    return float(value) if math.isfinite(value) else None
