"""A life of one network without sleep: what replay and penalties have in common."""

from abc import abstractmethod
from dataclasses import dataclass
import itertools
from typing import Any

import numpy as np
from torch import Tensor

from cls_learning.config import LearningSettings
from cls_learning.randomness import stream

from .judge import Figures, of_matrix
from .network import fast_hidden, Network, network_values, slow_hidden
from .plan import Plan
from .rows.contract import budget, Row, Task, Values
from .rows.product import default_budget
from .stream import Indices, Kept, Steps, steps_of_life

_OUTPUTS, _INPUTS = 512, 514  # of the image encoders' embeddings, and two joints' actions


@dataclass
class Living:
    """Where a life stands: its network, all its steps, what it may still see of them, and what a row adds."""

    network: Network
    steps: Steps
    kept: Kept
    own: Any = None


@dataclass(frozen=True)
class SequentialRow(Row):
    """One network that learns from the newest steps and, maybe, from kept ones, at the default recipe's budget.

    Attributes:
        slow_size: as large as Slow, else as Fast.
        spends: 'steps': as many optimiser steps *and* sample-gradients as Slow, spread evenly over the wake steps;
            'samples': as many sample-gradients, in one larger batch a wake step; 'waking': one batch a wake step, of
            the arithmetic that both halves spend awake, as if the night cost nothing.
    """

    name: str
    slow_size: bool = True
    spends: str = 'steps'

    def depends_on(self, plan: Plan, share: float) -> Values:
        return {
            'budget': self.budget(plan), 'hidden': self.hidden(), 'average': LearningSettings().slow.average,
            'window': plan.window, 'capacity': plan.capacity(share), **network_values(),
        }  # fmt: skip

    def hidden(self) -> tuple[int, ...]:
        """Returns the hidden layers."""
        return slow_hidden() if self.slow_size else fast_hidden()

    def budget(self, plan: Plan) -> tuple[int, int]:
        """Returns optimiser steps of the whole life and samples of each."""
        if self.spends == 'waking':
            return plan.total, waking_batch(self.hidden())
        steps, samples = default_budget(plan)
        steps = plan.total if self.spends == 'samples' else steps
        return steps, max(round(samples / steps), 2)

    def run(self, task: Task) -> Figures:
        plan, size = task.plan, task.world.z_size
        network = Network(
            robot=task.robot, z_size=size, hidden=self.hidden(), seed=task.seed, rate=task.values['rate'],
            average=LearningSettings().slow.average,
        )  # fmt: skip
        steps = steps_of_life(task.world)
        living = Living(network, steps, Kept(plan.window, plan.capacity(task.share), task.seed), self.begin(network))
        updates, batch = self.budget(plan)
        matrix = []
        for now in range(len(steps)):
            self._see(living, now, plan)
            while network.steps < (now + 1) * updates // len(steps):
                draws = stream(task.seed, f'bench.{self.name}', network.steps)
                network.update(*self.learn(living, batch, task.values, draws))
            if now % 50 == 0:
                task.report(now / len(steps))
            if now + 1 == len(steps) or steps.scene[now + 1] != steps.scene[now]:
                self.end_scene(living)
                matrix.append(task.judge.skills(network))
        return {
            **task.judge.final(network), **of_matrix(matrix),
            **budget(steps=network.steps, samples=network.samples, stored=self.stored(plan, task.share)),
        }  # fmt: skip

    def _see(self, living: Living, now: int, plan: Plan) -> None:
        steps, normalizer = living.steps, living.network.normalizer
        if now == 0 or steps.episode[now] != steps.episode[now - 1]:
            normalizer.observe(steps.z[now])
        normalizer.observe(steps.z_next[now])
        # When the product does: early on, and where its nights end.
        if normalizer.is_due(now + 1) or (now + 1) % plan.cycle == 0:
            living.network.renew_normalizer()
        left = living.kept.add(now, steps)
        if left is not None:
            self.remember(living, left)

    def begin(self, network: Network) -> Any:
        """Returns what this row carries through a life as `Living.own`."""
        return None

    @abstractmethod
    def learn(self, living: Living, batch: int, values: Values, draws: np.random.Generator) -> tuple[Tensor, int]:
        """Returns the loss (0-d) of one optimiser step, and how many samples went into it."""

    def remember(self, living: Living, index: int) -> None:
        """Called when a step leaves the window for the memory."""

    def end_scene(self, living: Living) -> None:
        """Called after the last step of a scene, before it is scored."""

    def stored(self, plan: Plan, share: float) -> int:
        """Returns how many transitions are kept at most."""
        return plan.window + plan.capacity(share)


def waking_batch(hidden: tuple[int, ...]) -> int:
    """Returns the samples of a wake step that cost a network of this size what the default recipe's wake step costs.

    Arithmetic is counted as weights x samples: Fast's batch, and Slow's single transition.
    """
    settings = LearningSettings()
    batch = 1 + settings.fast.recent + settings.fast.older
    spent = _weights(fast_hidden()) * batch + _weights(slow_hidden()) / settings.slow.wake_interval
    return max(round(spent / _weights(hidden)), 2)


def _weights(hidden: tuple[int, ...]) -> int:
    sizes = (_INPUTS, *hidden, _OUTPUTS)
    return sum(a * b for a, b in itertools.pairwise(sizes))


def recent(living: Living, count: int, draws: np.random.Generator) -> Indices:
    """Returns the newest step and count - 1 others of the window."""
    window = living.kept.recent
    return np.append(draws.choice(window, count - 1), window[-1])


def real(steps: Steps, indices: Indices) -> tuple[Tensor, Tensor, Tensor]:
    """Returns z, action and z_next of steps as they were lived."""
    return steps.z[indices], steps.action[indices], steps.z_next[indices]
