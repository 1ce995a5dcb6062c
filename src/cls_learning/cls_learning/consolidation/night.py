"""One night: the phases in order, step by step, with what was done and what it cost."""

from collections.abc import Iterator
from dataclasses import dataclass, field
import math

import numpy as np

from ..randomness import stream
from . import make
from .contract import Phase, Sleeper

# Row 000-050: every key is there, NaN or 0 where the phase was skipped.
STATISTICS = ('avg_l_dyn', 'avg_l_sws', 'avg_l_ms', 'avg_l_rem', 'avg_tether_loss')


@dataclass(frozen=True)
class Goal:
    """Steps by phase name. Missing or 0: as configured. -1: skip the phase."""

    steps: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """One optimiser step done: phase, done and planned steps of it, loss."""

    phase: str
    step: int
    steps: int
    loss: float


@dataclass
class Statistics:
    """What a night did (row 000-050).

    Attributes:
        status: by phase, 'ok' or 'skipped: reason'.
        steps: optimiser steps done, by phase.
        means: STATISTICS by name, NaN where skipped.
        refused: optimiser steps refused because loss or gradient was not finite.
    """

    status: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STATISTICS, math.nan))
    refused: int = 0

    def text(self) -> str:
        """Returns the status of all phases in one line."""
        return ', '.join(f'{name} {status}' for name, status in self.status.items())


def run(sleeper: Sleeper, goal: Goal, seed: int, cycle: int, statistics: Statistics) -> Iterator[Progress]:
    """Runs the phases; yields after each optimiser step, so the caller may stop between any two.

    Args:
        seed, cycle: every draw is a function of them, the phase and the step.
        statistics: filled in as the night goes on.
    """
    for phase in [make(name) for name in sleeper.settings.phases.split()]:
        steps = goal.steps.get(phase.name, 0) or phase.steps(sleeper.settings)
        reason = 'not asked for' if steps < 0 else phase.skip_reason(sleeper)
        if reason:
            statistics.status[phase.name] = f'skipped: {reason}'
            statistics.steps[phase.name] = 0
            continue
        yield from _run_phase(phase, sleeper, steps, stream(seed, f'sleep.{phase.name}', cycle), statistics)
        statistics.status[phase.name] = 'ok'


def _run_phase(
    phase: Phase, sleeper: Sleeper, steps: int, generator: np.random.Generator, statistics: Statistics
) -> Iterator[Progress]:
    sums: dict[str, float] = {}
    for done in range(1, steps + 1):
        result = phase.step(sleeper, generator)
        if math.isnan(result.loss):
            statistics.refused += 1
        for name, value in {phase.loss_name: result.loss, **result.metrics}.items():
            sums[name] = sums.get(name, 0.0) + value
        statistics.steps[phase.name] = done
        statistics.means |= {name: total / done for name, total in sums.items()}
        yield Progress(phase.name, done, steps, result.loss)
