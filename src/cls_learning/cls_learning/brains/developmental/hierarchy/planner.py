"""Planners from picture to picture: at one time scale, and at two, of which the far one sets subgoals.

Shapes: N tokens of width D.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from .search import Found, Search, token_distance


class Plan(NamedTuple):
    """What a planner chose.

    Attributes:
        action: number of the action. near, far: evaluations of each predictor.
    """

    action: int
    near: int
    far: int = 0


class Planner(ABC):
    """Chooses actions towards the tokens of a goal's picture."""

    @abstractmethod
    def reset(self) -> None:
        """Begins an episode, or takes another goal."""

    @abstractmethod
    def plan(self, tokens: Tensor, goal: Tensor) -> Plan:
        """Chooses the next action.

        Args:
            tokens, goal: float32 (N, D), of the newest picture and of the goal's.
        """


class FlatPlanner(Planner):
    """Searches over actions with the near predictor.

    Args:
        search: over actions. tolerance: token distance up to which a path is followed without another search, as long
            as the pictures are those that were predicted; below 0: it searches before each action.
    """

    def __init__(self, search: Search, tolerance: float = -1.0) -> None:
        self._search, self._tolerance = search, tolerance
        self.reset()

    def reset(self) -> None:
        """See Planner."""
        self._path: Found | None = None
        self._taken = 0

    def plan(self, tokens: Tensor, goal: Tensor) -> Plan:
        """See Planner."""
        evaluations = 0
        if self._path is None or not self._is_as_predicted(tokens):
            self._path, self._taken = self._search(tokens, goal), 0
            evaluations = self._path.evaluations
        action = self._path.moves[self._taken]
        self._taken += 1
        return Plan(action, evaluations)

    def _is_as_predicted(self, tokens: Tensor) -> bool:
        path = self._path
        if path is None or self._taken >= len(path.moves):
            return False
        return _is_near(tokens, path.tokens[self._taken - 1], self._tolerance)


class HierarchicalPlanner(Planner):
    """Searches over macro-actions with the far predictor; a planner approaches what each of them leads to.

    The first prediction is the first subgoal, and the last subgoal is the goal. It searches again where a subgoal is
    not reached after `patience` actions.

    Args:
        search: over macro-actions. near: plans to a subgoal. patience: most actions for one subgoal.
        tolerance: token distance at which a subgoal counts as reached.
    """

    def __init__(self, search: Search, near: Planner, patience: int, tolerance: float) -> None:
        self._search, self._near, self._patience, self._tolerance = search, near, patience, tolerance
        self.reset()

    def reset(self) -> None:
        """See Planner."""
        self._subgoals: list[Tensor] = []
        self._left = 0

    def plan(self, tokens: Tensor, goal: Tensor) -> Plan:
        """See Planner."""
        evaluations = 0
        if self._subgoals and _is_near(tokens, self._subgoals[0], self._tolerance):
            self._begin(self._subgoals[1:])
        if not self._subgoals or self._left == 0:
            found = self._search(tokens, goal)
            evaluations = found.evaluations
            self._begin([*found.tokens[:-1], goal])
        self._left -= 1
        return self._near.plan(tokens, self._subgoals[0])._replace(far=evaluations)

    def _begin(self, subgoals: list[Tensor]) -> None:
        self._subgoals, self._left = subgoals, self._patience
        self._near.reset()


def _is_near(tokens: Tensor, others: Tensor, tolerance: float) -> bool:
    return float(token_distance(tokens[None], others)) <= tolerance
