"""Elastic weight consolidation (Kirkpatrick et al. 2017): no replay; what mattered for a scene becomes stiff.

Penalty without the factor 1/2: weight x sum over scenes and weights of F (theta - theta*)^2, where F is the mean over
samples of squared gradients of the log-likelihood -1/2 squared error (reference, 3.4).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..network import Network
from ..plan import Plan
from ..sequential import Living, real, recent, SequentialRow
from .contract import Row, Values


class _Anchors:
    """Sums over scenes of F and of F x theta*, for each weight."""

    def __init__(self, network: Network) -> None:
        self.weights = list(network.learner.raw.parameters())
        self.stiffness = [torch.zeros_like(w) for w in self.weights]
        self.pull = [torch.zeros_like(w) for w in self.weights]

    def add(self, fisher: list[Tensor]) -> None:
        """Anchors the present weights."""
        for stiffness, pull, weight, found in zip(self.stiffness, self.pull, self.weights, fisher):
            stiffness += found
            pull += found * weight.detach()

    def penalty(self) -> Tensor:
        """Returns the penalty up to a constant: its gradient is what counts."""
        parts = zip(self.stiffness, self.pull, self.weights)
        return torch.stack([(s * w.square() - 2.0 * p * w).sum() for s, p, w in parts]).sum()


@dataclass(frozen=True)
class EwcRow(SequentialRow):
    """Learns from the window alone."""

    @property
    def grid(self) -> tuple[Values, ...]:
        return tuple({'rate': 3e-4, 'weight': weight} for weight in (0.01, 1.0, 100.0))

    def begin(self, network: Network) -> _Anchors:
        # Anchors are weights of before: they would not mean the same where a snapshot is folded into the network.
        network.normalizer.can_fold = False
        return _Anchors(network)

    def learn(self, living: Living, batch: int, values: Values, draws: np.random.Generator) -> tuple[Tensor, int]:
        loss = living.network.loss(*real(living.steps, recent(living, batch, draws))).mean()
        return loss + values['weight'] * living.own.penalty(), batch

    def end_scene(self, living: Living) -> None:
        living.own.add(fisher(living.network, *real(living.steps, living.kept.recent)))

    def stored(self, plan: Plan, share: float) -> int:
        return plan.window


def fisher(network: Network, z: Tensor, action: Tensor, z_next: Tensor) -> list[Tensor]:
    """Returns, for each weight, the mean over samples of the squared gradient of -1/2 squared error."""
    weights = list(network.learner.raw.parameters())
    sums = [torch.zeros_like(w) for w in weights]
    for i in range(len(z)):
        one = slice(i, i + 1)
        half = 0.5 * z.shape[1] * network.loss(z[one], action[one], z_next[one]).sum()
        for total, gradient in zip(sums, torch.autograd.grad(half, weights)):
            total += gradient.square()
    return [total / len(z) for total in sums]


def rows() -> list[Row]:
    """Returns the row."""
    return [EwcRow('ewc')]
