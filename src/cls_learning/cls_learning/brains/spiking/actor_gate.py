"""The gate on actors: one whose returns in real steps are worse than those of the actor before it is rolled back.

Each actor acts from one sleep to the next. Its discounted returns over `horizon` real steps are compared with those of
the last actor that was kept. Returns of neighbouring steps share rewards, so their means over segments are resampled
for the interval (bootstrap, Efron 1979), which is widened by what neighbouring segments still share. A return needs no
end of an episode, so that a cycle without one can be judged too; near the end of a cycle only steps count whose
episode ended in failure, in both actors alike.
"""

from collections import deque
from collections.abc import Mapping
import math
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
# Change of a return that may come of rounding alone, as a share of it.
_ROUNDING = 1e-6
# An actor that acts for longer is judged by its last steps.
_MOST_STEPS = 10_000


class Step(NamedTuple):
    """A real step.

    Attributes:
        terminal: the episode ended with it. begins: it does not follow the step before.
        by_actor: its action was the one that the actor chose, and not that of a person or of another mode.
    """

    reward: float
    terminal: bool
    begins: bool
    by_actor: bool = True


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

    def clear(self) -> None:
        """Forgets the steps of the actor in use, where another one may have made some of them."""
        self._steps.clear()

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
            needed = f'{LEAST_SEGMENTS} segments of {SEGMENT} steps, each step followed by {self._horizon - 1} more'
            return Verdict(text=f'actor not judged: {len(found)} of {needed}'), False
        metrics = {'actor_return': float(found.mean())}
        if not len(self._kept):
            self._kept = found
            return Verdict(True, text=f'first actor: return {found.mean():.2f}', metrics=metrics), False
        change, *ends = interval_of_difference(found, self._kept, generator)
        low, high = (change + (end - change) * overlap(self._horizon) for end in ends)
        is_worse = high < -_ROUNDING * max(1.0, abs(float(self._kept.mean())))
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
        self._steps.clear()
        self._steps.extend(Step(reward, *map(bool, flags)) for reward, *flags in state['gate.steps'].tolist())
        self._kept = state['gate.kept'].numpy().copy()
        self.rolled_back = int(state['gate.rolled_back'])


def returns(steps: list[Step], horizon: int, discount: float) -> Doubles:
    """Returns the discounted sum of `horizon` rewards from each step on, float64 (N,).

    After a terminal step rewards are 0. A step is left out where fewer steps of the actor follow and the episode had
    not ended.
    """
    found = []
    for start in range(len(steps)):
        total = 0.0
        for ahead in range(horizon):
            at = start + ahead
            if at >= len(steps) or not steps[at].by_actor or (ahead and steps[at].begins):
                break
            total += discount**ahead * steps[at].reward
            if steps[at].terminal:
                found.append(total)
                break
        else:
            found.append(total)
    return np.array(found, np.float64)


def segments(values: Doubles) -> Doubles:
    """Returns means of SEGMENT neighbouring values (N,), float64 (P,); what is left over at the end is dropped."""
    count = len(values) // SEGMENT
    means: Doubles = values[: count * SEGMENT].reshape(count, SEGMENT).mean(axis=1)
    return means


def overlap(horizon: int) -> float:
    """Returns the factor, 1 or more, by which an interval from segments is too narrow, since their returns overlap.

    It is exact for independent rewards: sums of `horizon` rewards have the covariance `horizon` - lag.
    """
    lags = np.abs(np.subtract.outer(np.arange(SEGMENT), np.arange(SEGMENT)))
    of_segment = np.clip(horizon - lags, 0, None).mean()
    return max(1.0, math.sqrt(horizon**2 / SEGMENT / of_segment))
