"""Elastic weight consolidation (Kirkpatrick et al. 2017): a penalty on changes of important weights, no replay.

Penalty without the factor 1/2: weight x sum over scenes and weights of F (theta - theta*)^2, where F is the mean over
samples of squared gradients of the log-likelihood -1/2 squared error.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..continual import ContinualBaseline, ContinualRun, recent, steps_at
from ..network import Network
from ..protocol import StreamProtocol
from .contract import Baseline, Values


class _Anchors:
    """Sums over scenes of F and of F x theta*, for each weight."""

    def __init__(self, network: Network) -> None:
        self.weights = list(network.learner.online.parameters())
        self.stiffness = [torch.zeros_like(w) for w in self.weights]
        self.pull = [torch.zeros_like(w) for w in self.weights]

    def add(self, fisher: list[Tensor]) -> None:
        """Anchors the current weights."""
        for stiffness, pull, weight, found in zip(self.stiffness, self.pull, self.weights, fisher):
            stiffness += found
            pull += found * weight.detach()

    def penalty(self) -> Tensor:
        """Returns the penalty (0-d) up to a constant, which has no gradient."""
        parts = zip(self.stiffness, self.pull, self.weights)
        return torch.stack([(s * w.square() - 2.0 * p * w).sum() for s, p, w in parts]).sum()


@dataclass(frozen=True)
class EwcBaseline(ContinualBaseline):
    """Learns from the window only."""

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'rate': 3e-4, 'weight': weight} for weight in (0.01, 1.0, 100.0))

    def begin(self, network: Network) -> _Anchors:
        # Folding new normaliser statistics into the weights would invalidate the anchors.
        network.normalizer.can_fold = False
        return _Anchors(network)

    def learn(self, state: ContinualRun, batch: int, values: Values, draws: np.random.Generator) -> tuple[Tensor, int]:
        loss = state.network.loss(*steps_at(state.steps, recent(state, batch, draws))).mean()
        return loss + values['weight'] * state.extra.penalty(), batch

    def end_scene(self, state: ContinualRun) -> None:
        state.extra.add(fisher(state.network, *steps_at(state.steps, state.memory.recent)))

    def stored(self, protocol: StreamProtocol, share: float) -> int:
        return protocol.window


def fisher(network: Network, z: Tensor, action: Tensor, z_next: Tensor) -> list[Tensor]:
    """Returns, for each weight, the mean over samples of the squared gradient of -1/2 squared error.

    z, z_next (B, D) raw, action (B, 2) degrees.
    """
    weights = list(network.learner.online.parameters())
    sums = [torch.zeros_like(w) for w in weights]
    for i in range(len(z)):
        one = slice(i, i + 1)
        half = 0.5 * z.shape[1] * network.loss(z[one], action[one], z_next[one]).sum()
        for total, gradient in zip(sums, torch.autograd.grad(half, weights)):
            total += gradient.square()
    return [total / len(z) for total in sums]


def baselines() -> list[Baseline]:
    """Returns the baseline."""
    return [EwcBaseline('ewc')]
