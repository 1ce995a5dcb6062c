"""Who explores: the product's own policies by the names of their rewards, chance, and one who knows everything."""

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

from .worlds import Index, PER_CELL, RESOLUTION_DEG, World

RANDOM, GREEDY, REFERENCE = 'random', 'greedy', 'reference'
# In the order of the table.
ALL: Final = (
    RANDOM, GREEDY, 'visit_count', 'disagreement', 'rnd', 'learning_progress', 'prediction_error', REFERENCE,
    'visit_count*disagreement', 'visit_count*rnd', 'visit_count*learning_progress',
)  # fmt: skip


class Explorer(ABC):
    """Chooses actions, and is told what became of them."""

    @abstractmethod
    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        """Returns an action in degrees, float32 (2,); `at` (2,) is the true pose on the grid."""

    def live(self, transition: Transition) -> None:  # noqa: B027 - most have nothing to learn
        """Takes the step that came of it."""


class Chance(Explorer):
    """Acts uniformly at random."""

    def __init__(self, world: World, seed: int) -> None:
        self._robot, self._seed = world.robot(), seed

    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        generator = stream(self._seed, 'act.random', step)
        return self._robot.to_units(uniform(len(self._robot.channels), generator))


class Greedy(Explorer):
    """The upper line: knows the map and what it has visited, and goes the shortest way to the nearest new cell."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._visits = np.zeros(world.is_free.shape, np.int64)

    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        cell = at // PER_CELL
        self._visits[tuple(cell)] += 1
        target = self._next(tuple(int(c) for c in cell)) * PER_CELL + PER_CELL // 2
        return np.asarray((target - at) * RESOLUTION_DEG, np.float32)

    def _next(self, start: tuple[int, ...]) -> Index:
        """Returns the first cell on the way to the nearest of the least visited ones: its neighbour, or itself."""
        free, visits = self._world.is_free, self._visits
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
                # Around a corner of the wall there is no diagonal way.
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


class Counting(Explorer):
    """The product's policy alone, where its reward needs no network: what Fast would learn changes no action."""

    def __init__(self, settings: LearningSettings, world: World, seed: int) -> None:
        self._robot, self._seed = world.robot(), seed
        self._policy = policies.make(settings, self._robot, 0, None, seed)

    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        return self._robot.to_units(self._policy.act(z, joints, step, stream(self._seed, 'act.curiosity', step)))

    def live(self, transition: Transition) -> None:
        self._policy.reward(transition, 0.0)


class Waking(Explorer):
    """The product's whole waking half: Fast learns from every step, and the policy from Fast."""

    def __init__(self, settings: LearningSettings, world: World, z_size: int, seed: int) -> None:
        self._half = ClsOnlineLearner(settings, world.robot(), z_size, seed)

    def act(self, z: Floats, joints: Doubles, at: Index, step: int) -> Floats:
        return self._half.act(Observation.of_embedding(z), joints, 'curiosity', step)

    def live(self, transition: Transition) -> None:
        self._half.learn(transition)


def check(name: str) -> None:
    """Refuses what `make` can't make; raises UserError."""
    if name not in (RANDOM, GREEDY, REFERENCE):
        rewards.parse(name)
    settings_of(name)


@cache  # a preset that is edited meanwhile changes nothing in this run
def settings_of(name: str) -> LearningSettings:
    """Returns the recipe: the reference preset, or the default one with this reward."""
    if name == REFERENCE:
        recipe: LearningSettings = resolve(config_dir() / 'presets', 'reference', {})[0]
        return recipe
    reward = 'visit_count' if name in (RANDOM, GREEDY) else name
    return LearningSettings.from_flat({'policy.kind': 'curious', 'policy.reward': reward})


def make(name: str, world: World, z_size: int, seed: int) -> Explorer:
    """Makes an explorer that has lived nothing yet."""
    if name == RANDOM:
        return Chance(world, seed)
    if name == GREEDY:
        return Greedy(world)
    if name == 'visit_count':
        return Counting(settings_of(name), world, seed)
    return Waking(settings_of(name), world, z_size, seed)
