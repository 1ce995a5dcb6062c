"""When a task counts as solved. Standard library only: peers run it in an environment of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import time

# Greedy episodes of each round; of a round whose mean reaches the bound; rounds that must follow it.
SCREENING, CONFIRMING, FOLLOWING = 20, 100, 2
# Real steps from one round to the next, or the least number of them after which new weights exist.
ROUND = 200


@dataclass(frozen=True)
class Bounds:
    """Bounds on the mean return: from `solved` a task may be solved, above `kept` it stays solved.

    Attributes:
        screening: greedy episodes of a round; fewer where episodes are long and alike.
    """

    solved: float
    kept: float
    screening: int = SCREENING


@dataclass(frozen=True)
class Round:
    """One evaluation.

    Attributes:
        steps: real steps before it. seconds: of learning before it.
        mean_return: of `Bounds.screening` greedy episodes, or of CONFIRMING ones where those were run.
        is_confirmed: the mean of CONFIRMING episodes reached `Bounds.solved`.
    """

    steps: int
    mean_return: float
    seconds: float
    is_confirmed: bool = False


def solved_round(rounds: Sequence[Round], bounds: Bounds) -> Round | None:
    """Returns the first confirmed round that two further rounds above `kept` follow; None: not solved."""
    for at, first in enumerate(rounds):
        following = rounds[at + 1 : at + 1 + FOLLOWING]
        if first.is_confirmed and len(following) == FOLLOWING and all(_is_kept(each, bounds) for each in following):
            return first
    return None


def is_undecided(rounds: Sequence[Round], bounds: Bounds) -> bool:
    """Returns whether a confirmed round still waits for the rounds that must follow it."""
    return any(
        first.is_confirmed and all(_is_kept(each, bounds) for each in rounds[at + 1 :])
        for at, first in enumerate(rounds)
        if len(rounds) - at - 1 < FOLLOWING
    )


def _is_kept(one: Round, bounds: Bounds) -> bool:
    return one.mean_return > bounds.kept


class Rounds:
    """The rounds of one run.

    Args:
        budget: real steps after which the run ends, unless a confirmed round is undecided.
        mean_return: runs so many greedy episodes, outside of the run, and returns the mean of their returns.
        clock: s.
    """

    def __init__(
        self,
        bounds: Bounds,
        budget: int,
        mean_return: Callable[[int], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.all: list[Round] = []
        self._bounds, self._budget, self._mean_return, self._clock = bounds, budget, mean_return, clock
        self._began = clock()

    def add(self, steps: int) -> bool:
        """Evaluates after so many real steps; returns whether the run may end. Its time does not count."""
        paused = self._clock()
        seconds = paused - self._began
        value, is_confirmed = self._mean_return(self._bounds.screening), False
        if value >= self._bounds.solved:
            value = self._mean_return(CONFIRMING)
            is_confirmed = value >= self._bounds.solved
        self.all.append(Round(steps, value, seconds, is_confirmed))
        self._began += self._clock() - paused
        is_over = steps >= self._budget and not is_undecided(self.all, self._bounds)
        return is_over or solved_round(self.all, self._bounds) is not None

    def metrics(self) -> dict[str, object]:
        """Returns solved_steps (None: not solved), return_at by steps, and seconds of learning until solved or over."""
        solved = solved_round(self.all, self._bounds)
        last = solved or self.all[-1]
        return {
            'solved_steps': solved and solved.steps,
            'return_at': {str(each.steps): each.mean_return for each in self.all},
            'seconds': last.seconds,
        }
