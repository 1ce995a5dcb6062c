"""Statuses of learners and player as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Any

# During these phases of slow_learner its phase is shown, otherwise that of fast_learner.
_SLEEP_PHASES = ('sws', 'rem', 'tether', 'saving')
_FALLING = ('falling_asleep', 'asleep')


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """cls_interfaces/LearnerStatus; see there for meanings and units. `metrics` is by name."""

    node: str
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
    skill: float = math.nan
    probe_skill: float = math.nan
    forgetting: float = math.nan
    nights_rolled_back: int = 0
    action_use: float = math.nan
    alarms: tuple[str, ...] = ()
    joints: tuple[float, ...] = ()
    phase_step: int = 0
    phase_steps: int = 0
    last_sleep: str = ''
    written: int = 0
    behind: int = 0
    slowed: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


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
        """Phase of the brain, for display."""
        if self.slow is not None and self.slow.phase in _SLEEP_PHASES:
            return self.slow.phase
        return self.fast.phase if self.fast is not None else 'starting'

    @property
    def is_asleep(self) -> bool:
        """Whether a sleep is under way, or about to begin."""
        return self.phase in _SLEEP_PHASES[:-1] or (self.fast is not None and self.fast.phase in _FALLING)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps done and to do: of the current phase of sleep, else of the wake steps before the next sleep."""
        if self.slow is not None and self.slow.phase in _SLEEP_PHASES and self.slow.phase_steps:
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


def measures(pair: LearnerStatuses) -> dict[str, Any]:
    """Returns the values that report and `status` share; None where undefined or unknown."""
    fast, slow = pair.fast, pair.slow
    return {
        'steps': fast.steps if fast else None,
        'total_steps': pair.total_steps if pair.heard else None,
        'cycles': pair.cycles if pair.heard else None,
        'rate_hz': number(fast.rate_hz) if fast else None,
        'frame_rate': number(fast.frame_rate) if fast else None,
        'skill': {'fast': number(fast.skill) if fast else None, 'slow': number(slow.skill) if slow else None},
        'probe_skill': {
            'fast': number(fast.probe_skill) if fast else None,
            'slow': number(slow.probe_skill) if slow else None,
        },
        'forgetting': number(slow.forgetting) if slow else None,
        'action_use': number(slow.action_use) if slow else None,
        'nights_rolled_back': slow.nights_rolled_back if slow else None,
        'alarms': pair.alarms,
        'losses': {name: number(value) for name, value in pair.losses().items()},
        'dropped': sum(s.dropped for s in pair.heard),
        'behind': fast.behind if fast else None,
        'slowed': fast.slowed if fast else None,
        'last_sleep': pair.last_sleep,
        'faults': sum(s.faults for s in pair.heard),
        'model': pair.model,
    }


def activity(pair: LearnerStatuses) -> dict[str, Any]:
    """Returns phase and mode; None where unknown."""
    return {'phase': pair.phase, 'mode': pair.fast.mode if pair.fast else None}


def number(value: float) -> float | None:
    """Returns None for NaN and infinity, which JSON does not have."""
    return float(value) if math.isfinite(value) else None
