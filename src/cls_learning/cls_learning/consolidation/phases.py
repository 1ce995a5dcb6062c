"""Runs the phases of one sleep in order, step by step, and collects their statistics."""

from collections.abc import Iterator
import math

import numpy as np

from ..brain import Goal, Progress, SleepStatistics
from ..randomness import stream
from . import make
from .contract import Phase, SleepContext

# All keys are always present, NaN where the phase was skipped.
STATISTICS = ('avg_l_dyn', 'avg_l_sws', 'avg_l_ms', 'avg_l_rem', 'avg_tether_loss')


def run(sleep: SleepContext, goal: Goal, seed: int, cycle: int, statistics: SleepStatistics) -> Iterator[Progress]:
    """Runs the phases; yields after each optimiser step, so that the caller may stop between any two.

    Args:
        seed, cycle: every draw is a function of them, the phase and the step.
        statistics: updated after every step.
    """
    for phase in [make(name) for name in sleep.settings.phases.split()]:
        steps = goal.steps.get(phase.name, 0) or phase.steps(sleep.settings)
        reason = 'not asked for' if steps < 0 else phase.skip_reason(sleep)
        if reason:
            statistics.status[phase.name] = f'skipped: {reason}'
            statistics.steps[phase.name] = 0
            continue
        yield from _run_phase(phase, sleep, steps, stream(seed, f'sleep.{phase.name}', cycle), statistics)
        statistics.status[phase.name] = 'ok'


def _run_phase(
    phase: Phase, sleep: SleepContext, steps: int, generator: np.random.Generator, statistics: SleepStatistics
) -> Iterator[Progress]:
    sums: dict[str, float] = {}
    for done in range(1, steps + 1):
        result = phase.step(sleep, generator)
        if math.isnan(result.loss):
            statistics.refused += 1
        for name, value in {phase.loss_name: result.loss, **result.metrics}.items():
            sums[name] = sums.get(name, 0.0) + value
        statistics.steps[phase.name] = done
        statistics.means |= {name: total / done for name, total in sums.items()}
        yield Progress(phase.name, done, steps, result.loss)
