"""The moment of the kill: what was aimed at, and what was hit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
import threading
import time
from typing import TYPE_CHECKING

from cls_common.errors import UserError
from cls_learning.model_store.generations import Manifest

from .plan import Trial, VICTIMS
from .reference import CYCLE
from .subject import Subject

if TYPE_CHECKING:
    from .nodes.witness import Heard, Witness

# Uniform in time means: within this many s from when the graph lives undisturbed, a few cycles.
SPREAD = 5.0
# What a night takes until one was seen, and what a save takes, s: measured with the recipe of `reference`.
NIGHT, SAVE = 0.6, 0.15
# s until what is aimed at must have come.
_PATIENCE = 60.0
# Messages under way when their sender died, s.
_UNDER_WAY = 0.4
# Who waits for a disk can't die before it answers, s.
_LAST_BREATH = 30.0
_TURN, _POLL = 0.2, 0.002


@dataclass(frozen=True)
class Kill:
    """What was so when they died.

    Attributes:
        phase: waking, sleeping or saving.
        before: highest sequence heard from whoever died.
        count: experiences heard by then. rate: wake steps a second.
        generation: number of the newest one. saved: what it says of itself, None where there is none.
        time: s on the steady clock.
    """

    phase: str
    before: int
    count: int
    rate: float
    generation: int
    saved: Manifest | None
    time: float


def kill(trial: Trial, subject: Subject, witness: 'Witness') -> Kill:
    """Waits for the moment that the trial aims at and kills its victims."""
    pids = subject.pids()
    missing = [name for name in trial.order if name not in pids]
    if missing:
        raise UserError('nobody to kill', expected=', '.join(trial.order), found=f'no {", ".join(missing)}')
    await_moment(trial, subject, witness)
    was_saving, rate, generation = subject.is_saving, witness.rate, subject.generation()
    subject.kill(pids[name] for name in trial.order)
    died = time.monotonic()
    saved = subject.saved(generation) if generation else None
    # A save that died leaves its folder behind.
    is_saving = was_saving or ('slow_learner' in trial.order and subject.is_saving)
    if not subject.await_end([pids[name] for name in trial.order], _LAST_BREATH):
        raise UserError(f'somebody lives on {_LAST_BREATH:g} s after SIGKILL')
    if 'fast_learner' in VICTIMS[trial.kind]:
        threading.Event().wait(_UNDER_WAY)
    phase = 'saving' if is_saving else 'sleeping' if _is_asleep(witness.last) else 'waking'
    return Kill(phase, witness.last, witness.count, rate, generation, saved, died)


def _is_asleep(sequence: int) -> bool:
    return sequence > 0 and sequence % CYCLE == 0


def phase_of(subject: Subject, witness: 'Witness') -> str:
    """Returns what the learners do now: waking, sleeping or saving."""
    return 'saving' if subject.is_saving else 'sleeping' if _is_asleep(witness.last) else 'waking'


def await_moment(trial: Trial, subject: Subject, witness: 'Witness') -> None:
    """Waits for the moment that the trial aims at."""
    if trial.aim == 'any':
        watch_until(lambda: False, SPREAD * trial.share, subject, witness)
        return
    if trial.aim == 'sleeping':
        count = witness.count
        if not watch_until(lambda: _has_fallen_asleep(witness.since(count)), _PATIENCE, subject, witness):
            raise UserError(f'no night within {_PATIENCE:g} s')
        threading.Event().wait(night_seconds(witness.since(0)) * trial.share)
        return
    deadline = time.monotonic() + _PATIENCE
    pause = threading.Event()
    while not subject.is_saving:
        if time.monotonic() > deadline:
            raise UserError(f'no save within {_PATIENCE:g} s')
        pause.wait(_POLL)
    pause.wait(SAVE * trial.share)


def _has_fallen_asleep(heard: Sequence['Heard']) -> bool:
    return any(_is_asleep(h.sequence) for h in heard[-3:])


def night_seconds(heard: Sequence['Heard']) -> float:
    """Returns how long the last whole night took: from a cycle's last step to the first one after it, s."""
    nights = [b.time - a.time for a, b in pairwise(heard) if _is_asleep(a.sequence)]
    # One in which somebody died took longer, and says nothing about where to aim.
    return min([*nights[-5:], 3 * NIGHT]) if nights else NIGHT


def watch_until(condition: Callable[[], bool], timeout: float, subject: Subject, witness: 'Witness') -> bool:
    """Keeps the graph up until the condition holds, asked with each experience; returns whether it did in time, s."""
    deadline = time.monotonic() + timeout
    while not witness.wait(condition, min(_TURN, max(deadline - time.monotonic(), 0.0))):
        if time.monotonic() >= deadline:
            return False
        subject.watch()
    return True
