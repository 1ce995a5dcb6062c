"""Base of the baselines that train one network on a stream without sleep: replay and penalties."""

from abc import abstractmethod
from dataclasses import dataclass
import itertools
from typing import Any

import numpy as np
from torch import Tensor

from cls_learning.config import LearningSettings
from cls_learning.randomness import stream

from .baselines.contract import Baseline, budget, Task, Values
from .baselines.recipe import default_budget
from .evaluator import matrix_metrics, Metrics
from .network import fast_hidden, Network, network_values, slow_hidden
from .protocol import StreamProtocol
from .stream_data import CappedMemory, Indices, stream_steps, StreamSteps

_OUTPUTS, _INPUTS = 512, 514  # of the image encoders' embeddings, and two joints' actions


@dataclass
class ContinualRun:
    """State of a run.

    Attributes:
        steps: of the whole stream. memory: those that may still be used.
        extra: state of the baseline, from `begin`.
    """

    network: Network
    steps: StreamSteps
    memory: CappedMemory
    extra: Any = None


@dataclass(frozen=True)
class ContinualBaseline(Baseline):
    """One network that learns from the newest steps and from a memory, at the default recipe's budget.

    Attributes:
        slow_size: as large as Slow, else as Fast.
        spends: 'steps': as many optimiser steps *and* sample-gradients as Slow, spread evenly over the wake steps;
            'samples': as many sample-gradients, in one larger batch a wake step; 'waking': one batch a wake step, of
            the arithmetic that both learners spend awake, as if sleep cost nothing.
    """

    name: str
    slow_size: bool = True
    spends: str = 'steps'

    def depends_on(self, protocol: StreamProtocol, share: float) -> Values:
        return {
            'budget': self.budget(protocol),
            'hidden': self.hidden(),
            'average': LearningSettings().slow.average,
            'window': protocol.window,
            'capacity': protocol.capacity(share),
            **network_values(),
        }

    def hidden(self) -> tuple[int, ...]:
        """Returns the widths of the hidden layers."""
        return slow_hidden() if self.slow_size else fast_hidden()

    def budget(self, protocol: StreamProtocol) -> tuple[int, int]:
        """Returns optimiser steps of the whole stream and samples of each."""
        if self.spends == 'waking':
            return protocol.total, waking_batch(self.hidden())
        steps, samples = default_budget(protocol)
        steps = protocol.total if self.spends == 'samples' else steps
        return steps, max(round(samples / steps), 2)

    def run(self, task: Task) -> Metrics:
        protocol, size = task.protocol, task.environment.z_size
        network = Network(
            robot=task.robot,
            z_size=size,
            hidden=self.hidden(),
            seed=task.seed,
            rate=task.values['rate'],
            average=LearningSettings().slow.average,
        )
        steps = stream_steps(task.environment)
        state = ContinualRun(
            network, steps, CappedMemory(protocol.window, protocol.capacity(task.share), task.seed), self.begin(network)
        )
        updates, batch = self.budget(protocol)
        matrix = []
        for now in range(len(steps)):
            self._observe(state, now, protocol)
            while network.steps < (now + 1) * updates // len(steps):
                draws = stream(task.seed, f'bench.{self.name}', network.steps)
                network.update(*self.learn(state, batch, task.values, draws))
            if now % 50 == 0:
                task.report(now / len(steps))
            if now + 1 == len(steps) or steps.scene[now + 1] != steps.scene[now]:
                self.end_scene(state)
                matrix.append(task.evaluator.skills(network))
        return {
            **task.evaluator.final_metrics(network),
            **matrix_metrics(matrix),
            **budget(steps=network.steps, samples=network.samples, stored=self.stored(protocol, task.share)),
        }

    def _observe(self, state: ContinualRun, now: int, protocol: StreamProtocol) -> None:
        steps, normalizer = state.steps, state.network.normalizer
        if now == 0 or steps.episode[now] != steps.episode[now - 1]:
            normalizer.observe(steps.z[now])
        normalizer.observe(steps.z_next[now])
        # When the learners do: early on, and after each sleep.
        if normalizer.is_due(now + 1) or (now + 1) % protocol.cycle == 0:
            state.network.renew_normalizer()
        left = state.memory.add(now, steps)
        if left is not None:
            self.remember(state, left)

    def begin(self, network: Network) -> Any:
        """Returns the initial `ContinualRun.extra`."""
        return None

    @abstractmethod
    def learn(self, state: ContinualRun, batch: int, values: Values, draws: np.random.Generator) -> tuple[Tensor, int]:
        """Returns the loss (0-d) of one optimiser step, and its number of samples."""

    def remember(self, state: ContinualRun, index: int) -> None:
        """Called when a step moves from the window to the memory."""

    def end_scene(self, state: ContinualRun) -> None:
        """Called after the last step of a scene, before it is scored."""

    def stored(self, protocol: StreamProtocol, share: float) -> int:
        """Returns the maximal number of transitions kept."""
        return protocol.window + protocol.capacity(share)


def waking_batch(hidden: tuple[int, ...]) -> int:
    """Returns the batch size at which a network of this size costs as much a wake step as the default recipe.

    Cost is counted as weights x samples: Fast's batch, and Slow's single transition.
    """
    settings = LearningSettings()
    batch = 1 + settings.fast.recent + settings.fast.older
    spent = _weights(fast_hidden()) * batch + _weights(slow_hidden()) / settings.slow.wake_interval
    return max(round(spent / _weights(hidden)), 2)


def _weights(hidden: tuple[int, ...]) -> int:
    sizes = (_INPUTS, *hidden, _OUTPUTS)
    return sum(a * b for a, b in itertools.pairwise(sizes))


def recent(state: ContinualRun, count: int, draws: np.random.Generator) -> Indices:
    """Returns the indices of the newest step and count - 1 others of the window, int64 (count,)."""
    window = state.memory.recent
    return np.append(draws.choice(window, count - 1), window[-1])


def steps_at(steps: StreamSteps, indices: Indices) -> tuple[Tensor, Tensor, Tensor]:
    """Returns z (B, D), action (B, 2) and z_next (B, D) of steps by index (B,)."""
    return steps.z[indices], steps.action[indices], steps.z_next[indices]
