"""Joint training on all scenes, shuffled: what the same network reaches without the order of the stream.

`joint_equal` has the learners' budget and `joint_converged` is trained until it no longer improves, since the bound
depends on the budget (by 0.15 of skill where it was measured). `action_blind` is the same without actions.
"""

from dataclasses import dataclass

import torch

from cls_learning.config import LearningSettings
from cls_learning.randomness import derive
from cls_learning.types import History

from ..evaluator import Metrics
from ..network import all_steps, Network, network_values, slow_hidden
from ..protocol import StreamProtocol
from .contract import Baseline, budget, Task, Values
from .recipe import default_budget

_BATCH_CONVERGED = 128
# Early stopping of `action_blind`, as shares of its steps.
_STOPS = (0.02, 0.05, 0.1, 0.2, 0.4, 1.0)


@dataclass(frozen=True)
class JointBaseline(Baseline):
    """Slow's network trained on all scenes together.

    Attributes:
        equal: with the default recipe's steps, samples and averaging; else longer, with a falling learning rate.
        blind: actions set to 0 in training and test.
    """

    name: str
    equal: bool
    blind: bool = False
    uses_memory: bool = False

    @property
    def grid(self) -> tuple[Values, ...]:
        rates = (3e-4, 1e-3)
        if self.blind:
            return tuple({'rate': 3e-4, 'residual': True, 'stop': stop} for stop in _STOPS)
        if self.equal:
            return tuple({'rate': rate, 'residual': True} for rate in rates)
        return tuple({'rate': rate, 'residual': residual} for residual in (True, False) for rate in rates)

    def depends_on(self, protocol: StreamProtocol, share: float) -> Values:
        return {
            'budget': self._budget(protocol),
            'average': self._average(),
            'hidden': slow_hidden(),
            **network_values(),
        }

    def _budget(self, protocol: StreamProtocol) -> tuple[int, int]:
        """Returns optimiser steps and samples of each."""
        if not self.equal:
            return protocol.total, _BATCH_CONVERGED
        steps, samples = default_budget(protocol)
        return steps, max(round(samples / steps), 1)

    def _average(self) -> float:
        return LearningSettings().slow.average if self.equal else 0.0

    def run(self, task: Task) -> Metrics:
        steps, batch = self._budget(task.protocol)
        stop = max(round(steps * task.values.get('stop', 1.0)), 1)
        network = Network(
            robot=task.robot,
            z_size=task.environment.z_size,
            hidden=slow_hidden(),
            seed=task.seed,
            rate=task.values['rate'],
            residual=task.values['residual'],
            average=self._average(),
            cosine_steps=0 if self.equal else steps,
        )
        walks = [scene.learning for scene in task.environment.scenes]
        network.fit_normalizer(walk.z for walk in walks)
        z, action, z_next = all_steps((walk.z, walk.action) for walk in walks)
        action_scale = 0.0 if self.blind else 1.0
        draws = torch.Generator().manual_seed(derive(task.seed, f'bench.{self.name}'))
        for step in range(stop):
            chosen = torch.randint(len(z), (batch,), generator=draws)
            network.update(network.loss(z[chosen], action_scale * action[chosen], z_next[chosen]).mean(), batch)
            if step % 50 == 0:
                task.report(step / stop)
        model = _ActionBlind(network) if self.blind else network
        return {
            **task.evaluator.final_metrics(model),
            **budget(steps=network.steps, samples=network.samples, stored=len(z)),
        }


class _ActionBlind:
    """Predictor that replaces every action by 0."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def dream(self, z: torch.Tensor, actions: torch.Tensor, before: History | None = None) -> torch.Tensor:
        return self._network.dream(z, torch.zeros_like(actions), before)


def baselines() -> list[Baseline]:
    """Returns both kinds of joint training and the action-blind baseline."""
    return [
        JointBaseline('joint_equal', equal=True),
        JointBaseline('joint_converged', equal=False),
        JointBaseline('action_blind', equal=False, blind=True),
    ]
