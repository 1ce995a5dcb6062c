"""Waits for the moment of a kill and records what was hit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
import threading
import time
from typing import TYPE_CHECKING

from cls_common.errors import UserError
from cls_learning.model_store.generations import Manifest

from .plan import Trial, VICTIMS
from .target import TargetGraph

if TYPE_CHECKING:
    from .nodes.observer import ExperienceObserver, ObservedExperience

# `any` means uniform within this many s of undisturbed running, a few cycles.
SPREAD = 5.0
# Length of a sleep before one was observed, and of a save, s: measured with the default brain's short cycles.
SLEEP, SAVE = 0.6, 0.15
# Longest wait for a sleep or a save, s.
_PATIENCE = 60.0
# Time for messages that are under way when their sender dies, s.
_UNDER_WAY = 0.4
# A process that waits for a disk ends only after its answer, s.
_LONGEST_EXIT = 30.0
_TURN, _POLL = 0.2, 0.002


@dataclass(frozen=True)
class KillRecord:
    """State of the graph at a kill.

    Attributes:
        phase: waking, sleeping or saving.
        before: highest sequence observed. count: experiences observed. rate: wake steps a second.
        generation: number of the newest one. saved: its manifest, None without a generation.
        time: s on the steady clock.
    """

    phase: str
    before: int
    count: int
    rate: float
    generation: int
    saved: Manifest | None
    time: float


def kill(trial: Trial, target: TargetGraph, observer: 'ExperienceObserver') -> KillRecord:
    """Waits for the moment of the trial and kills its victims; raises UserError where one does not run."""
    pids = target.pids()
    victims = [name for name in trial.order if name in target.names]
    missing = [name for name in victims if name not in pids]
    if missing:
        raise UserError('processes to kill', expected=', '.join(victims), found=f'no {", ".join(missing)}')
    await_moment(trial, target, observer)
    was_saving, rate, generation = target.is_saving, observer.rate, target.generation()
    target.kill(pids[name] for name in victims)
    died = time.monotonic()
    saved = target.saved(generation) if generation else None
    # An interrupted save leaves its folder.
    is_saving = was_saving or ('slow_learner' in victims and target.is_saving)
    if not target.await_end([pids[name] for name in victims], _LONGEST_EXIT):
        raise UserError(f'processes still run {_LONGEST_EXIT:g} s after SIGKILL')
    if 'fast_learner' in VICTIMS[trial.kind]:
        threading.Event().wait(_UNDER_WAY)
    phase = 'saving' if is_saving else 'sleeping' if observer.is_asleep else 'waking'
    return KillRecord(phase, observer.last, observer.count, rate, generation, saved, died)


def phase_of(target: TargetGraph, observer: 'ExperienceObserver') -> str:
    """Returns the phase of the learners: waking, sleeping or saving."""
    return 'saving' if target.is_saving else 'sleeping' if observer.is_asleep else 'waking'


def await_moment(trial: Trial, target: TargetGraph, observer: 'ExperienceObserver') -> None:
    """Waits for the moment of the trial."""
    if trial.aim == 'any':
        watch_until(lambda: False, SPREAD * trial.share, target, observer)
        return
    if trial.aim == 'sleeping':
        count = observer.count
        if not watch_until(lambda: _has_fallen_asleep(observer.since(count)), _PATIENCE, target, observer):
            raise UserError(f'no sleep within {_PATIENCE:g} s')
        threading.Event().wait(sleep_seconds(observer.since(0)) * trial.share)
        return
    deadline = time.monotonic() + _PATIENCE
    pause = threading.Event()
    while not target.is_saving:
        if time.monotonic() > deadline:
            raise UserError(f'no save within {_PATIENCE:g} s')
        pause.wait(_POLL)
    pause.wait(SAVE * trial.share)


def _has_fallen_asleep(experiences: Sequence['ObservedExperience']) -> bool:
    return any(h.ends_cycle for h in experiences[-3:])


def sleep_seconds(experiences: Sequence['ObservedExperience']) -> float:
    """Returns the shortest of the last five sleeps, s, each from the last step of a cycle to the next step."""
    sleeps = [b.time - a.time for a, b in pairwise(experiences) if a.ends_cycle]
    # A sleep that was interrupted by a kill took longer.
    return min([*sleeps[-5:], 3 * SLEEP]) if sleeps else SLEEP


def watch_until(
    condition: Callable[[], bool], timeout: float, target: TargetGraph, observer: 'ExperienceObserver'
) -> bool:
    """Keeps the graph up until the condition holds, checked at each experience.

    Returns:
        whether it held within `timeout` s.
    """
    deadline = time.monotonic() + timeout
    while not observer.wait(condition, min(_TURN, max(deadline - time.monotonic(), 0.0))):
        if time.monotonic() >= deadline:
            return False
        target.watch()
    return True
