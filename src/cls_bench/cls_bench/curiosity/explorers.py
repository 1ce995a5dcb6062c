"""Explorers by name: the learners' policy with a reward, random actions, and a greedy planner that knows the map."""

from abc import ABC, abstractmethod
from collections import deque
from functools import cache
from typing import Final

import numpy as np

from cls_common.resources import config_dir
from cls_common.transition import Doubles, Floats, Observation, Transition
from cls_learning import policies, rewards
from cls_learning.brains.cls.online_learner import ClsOnlineLearner
from cls_learning.config import LearningSettings
from cls_learning.policies.contract import uniform
from cls_learning.randomness import stream
from cls_learning.runtime.config_resolution import resolve

from .environments import GridEnvironment, Index, PER_CELL, RESOLUTION_DEG

RANDOM, GREEDY, REFERENCE = 'random', 'greedy', 'reference'
# In the order of the table.
ALL: Final = (
    RANDOM,
    GREEDY,
    'visit_count',
    'disagreement',
    'rnd',
    'learning_progress',
    'prediction_error',
    REFERENCE,
    'visit_count*disagreement',
    'visit_count*rnd',
    'visit_count*learning_progress',
)


class Explorer(ABC):
    """Chooses actions and receives the resulting transitions."""

    @abstractmethod
    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        """Returns an action in degrees, float32 (2,).

        Args:
            z: float32 (D,) raw. joints: float64 (2,) rad. at: true pose on the grid, int64 (2,).
        """

    def learn(self, transition: Transition) -> None:  # noqa: B027 - some do not learn
        """Receives the transition of the last action."""


class RandomExplorer(Explorer):
    """Acts uniformly at random."""

    def __init__(self, environment: GridEnvironment, seed: int) -> None:
        self._robot, self._seed = environment.robot(), seed

    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        generator = stream(self._seed, 'act.random', step)
        return self._robot.to_units(uniform(len(self._robot.channels), generator))


class GreedyExplorer(Explorer):
    """Upper bound: takes the shortest way to the nearest of the least visited cells, knowing the map."""

    def __init__(self, environment: GridEnvironment) -> None:
        self._environment = environment
        self._visits = np.zeros(environment.is_free.shape, np.int64)

    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        cell = at // PER_CELL
        self._visits[tuple(cell)] += 1
        target = self._next(tuple(int(c) for c in cell)) * PER_CELL + PER_CELL // 2
        return np.asarray((target - at) * RESOLUTION_DEG, np.float32)

    def _next(self, start: tuple[int, ...]) -> Index:
        """Returns the first cell on the way to the nearest of the least visited ones: a neighbour, or `start`."""
        free, visits = self._environment.is_free, self._visits
        fewest = visits[free].min()
        first: dict[tuple[int, ...], tuple[int, ...]] = {start: start}
        waiting = deque([start])
        while waiting:
            cell = waiting.popleft()
            if visits[cell] == fewest:
                return np.array(first[cell])
            for move in _MOVES:
                there = (cell[0] + move[0], cell[1] + move[1])
                inside = 0 <= there[0] < free.shape[0] and 0 <= there[1] < free.shape[1]
                # No diagonal move around a corner of the wall.
                if (
                    inside
                    and there not in first
                    and free[there]
                    and free[cell[0], there[1]]
                    and free[there[0], cell[1]]
                ):
                    first[there] = there if cell == start else first[cell]
                    waiting.append(there)
        return np.array(start)


_MOVES: Final = tuple((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b)


class RewardExplorer(Explorer):
    """The curiosity policy alone, for rewards that need no network: Fast would not change its actions."""

    def __init__(self, settings: LearningSettings, environment: GridEnvironment, seed: int) -> None:
        self._robot, self._seed = environment.robot(), seed
        self._policy = policies.make(settings, self._robot, 0, None, seed)

    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        return self._robot.to_units(self._policy.act(z, joints, step, stream(self._seed, 'act.curiosity', step)))

    def learn(self, transition: Transition) -> None:
        self._policy.reward(transition, 0.0)


class LearnerExplorer(Explorer):
    """The whole online learner: Fast learns from every step, and the policy uses Fast."""

    def __init__(self, settings: LearningSettings, environment: GridEnvironment, z_size: int, seed: int) -> None:
        self._half = ClsOnlineLearner(settings, environment.robot(), z_size, seed)

    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        return self._half.act(Observation.of_embedding(z), joints, 'curiosity', step)

    def learn(self, transition: Transition) -> None:
        self._half.learn(transition)


def check(name: str) -> None:
    """Raises UserError where `make` does not know the name."""
    if name not in (RANDOM, GREEDY, REFERENCE):
        rewards.parse(name)
    settings_of(name)


@cache  # editing a preset during a run has no effect on it
def settings_of(name: str) -> LearningSettings:
    """Returns the settings: the reference preset, or the default ones with this reward."""
    if name == REFERENCE:
        recipe: LearningSettings = resolve(config_dir() / 'presets', 'reference', {})[0]
        return recipe
    reward = 'visit_count' if name in (RANDOM, GREEDY) else name
    return LearningSettings.from_flat({'policy.kind': 'curious', 'policy.reward': reward})


def make(name: str, environment: GridEnvironment, z_size: int, seed: int) -> Explorer:
    """Makes an untrained explorer."""
    if name == RANDOM:
        return RandomExplorer(environment, seed)
    if name == GREEDY:
        return GreedyExplorer(environment)
    if name == 'visit_count':
        return RewardExplorer(settings_of(name), environment, seed)
    return LearnerExplorer(settings_of(name), environment, z_size, seed)
