"""The gate on actors: one whose returns in real steps are worse than those of the actor before it is rolled back.

Each actor acts from one sleep to the next. Its discounted returns over `horizon` real steps are compared with those of
the last actor that was kept. Returns of neighbouring steps are correlated, so their means over segments are what is
resampled for the interval (bootstrap, Efron 1979). An episode that goes on counts like its first `horizon` steps, so
that a cycle without the end of an episode can be judged too.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cls_common.transition import Doubles

from ...brain import Verdict
from ...evaluation.gate import interval_of_difference, LEAST_SEGMENTS
from ...learners.optimisation import State

# Returns of as many neighbouring steps are one value.
SEGMENT = 15
# An actor that acts for longer is judged by its last steps.
_MOST_STEPS = 10_000


class Step(NamedTuple):
    """Of a real step: its reward, whether the episode ended with it, and whether it does not follow the one before."""

    reward: float
    terminal: bool
    begins: bool


class ActorGate:
    """Collects the returns of the actor in use, and compares them with those of the last one kept.

    Args:
        horizon: steps of a return. discount: worth of a reward one step later.
        is_on: whether a worse actor is rolled back; else it is only reported.

    Attributes:
        rolled_back: actors refused so far.
    """

    def __init__(self, horizon: int, discount: float, is_on: bool) -> None:
        self._horizon, self._discount, self._is_on = horizon, discount, is_on
        self._steps: deque[Step] = deque(maxlen=_MOST_STEPS)
        self._kept: Doubles = np.zeros(0)
        self.rolled_back = 0

    def add(self, step: Step) -> None:
        """Takes one real step of the actor in use."""
        self._steps.append(step)

    def judge(self, generator: np.random.Generator) -> tuple[Verdict, bool]:
        """Compares the actor in use with the last one kept, and begins a new cycle.

        Returns:
            the verdict in words and figures, and whether the actor is refused; if it is not, and there were enough
            steps to know, it is the one kept.
        """
        found = segments(returns(list(self._steps), self._horizon, self._discount))
        self._steps.clear()
        if len(found) < LEAST_SEGMENTS:
            needed = f'{LEAST_SEGMENTS} segments of {SEGMENT} steps needed to judge an actor'
            return Verdict(text=f'actor not judged: {len(found)} of {needed}'), False
        metrics = {'actor_return': float(found.mean())}
        if not len(self._kept):
            self._kept = found
            return Verdict(True, text=f'first actor: return {found.mean():.2f}', metrics=metrics), False
        change, low, high = interval_of_difference(found, self._kept, generator)
        is_worse = change < 0 and high < 0
        is_refused = is_worse and self._is_on
        what = 'rolled back' if is_refused else 'kept'
        figures = f'{self._kept.mean():.2f} to {found.mean():.2f}: {change:+.2f} [{low:+.2f}, {high:+.2f}]'
        if is_refused:
            self.rolled_back += 1
        else:
            self._kept = found
        metrics |= {'actor_change': change, 'actor_low': low, 'actor_high': high}
        text = f'actor {what}: return over {self._horizon} real steps {figures}'
        return Verdict(True, text=text, summary=f'actor {what}', metrics=metrics), is_refused

    def state(self) -> State:
        """Returns everything by name."""
        return {
            'gate.steps': torch.tensor(self._steps, dtype=torch.float64).reshape(len(self._steps), len(Step._fields)),
            'gate.kept': torch.from_numpy(self._kept.copy()),
            'gate.rolled_back': torch.tensor(self.rolled_back),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores everything."""
        rows = state['gate.steps'].tolist()
        self._steps.clear()
        self._steps.extend(Step(reward, bool(terminal), bool(begins)) for reward, terminal, begins in rows)
        self._kept = state['gate.kept'].numpy().copy()
        self.rolled_back = int(state['gate.rolled_back'])


def returns(steps: list[Step], horizon: int, discount: float) -> Doubles:
    """Returns the discounted sum of `horizon` rewards from each step on, float64 (N,).

    After a terminal step rewards are 0. A step is left out where fewer steps follow and the episode had not ended.
    """
    found = []
    for start in range(len(steps)):
        total = 0.0
        for ahead in range(horizon):
            at = start + ahead
            if at >= len(steps) or (ahead and steps[at].begins):
                break
            total += discount**ahead * steps[at].reward
            if steps[at].terminal:
                found.append(total)
                break
        else:
            found.append(total)
    return np.array(found, np.float64)


def segments(values: Doubles) -> Doubles:
    """Returns means of SEGMENT neighbouring values, float64 (P,); what is left over at the end is dropped."""
    count = len(values) // SEGMENT
    means: Doubles = values[: count * SEGMENT].reshape(count, SEGMENT).mean(axis=1)
    return means
