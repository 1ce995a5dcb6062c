"""Everything at once, shuffled: what the same network could reach without having to live through it in order.

Two rows, because a joint bound without a budget moves by 0.15 (learning probe, 7.6), and the twin that sees no actions.
"""

from dataclasses import dataclass

import torch

from cls_learning.config import LearningSettings
from cls_learning.randomness import derive
from cls_learning.types import History

from ..judge import Figures
from ..network import all_steps, Network, network_values, slow_hidden
from ..plan import Plan
from .contract import budget, Row, Task, Values
from .product import default_budget

_BATCH_CONVERGED = 128
# Places at which the blind twin may stop, as shares of its steps.
_STOPS = (0.02, 0.05, 0.1, 0.2, 0.4, 1.0)


@dataclass(frozen=True)
class JointRow(Row):
    """Slow's network on all scenes together.

    Attributes:
        equal: with the default recipe's steps, samples and averaging; else to a plateau with a falling rate.
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

    def depends_on(self, plan: Plan, share: float) -> Values:
        return {'budget': self._budget(plan), 'average': self._average(), 'hidden': slow_hidden(), **network_values()}

    def _budget(self, plan: Plan) -> tuple[int, int]:
        """Returns steps and samples of each."""
        if not self.equal:
            return plan.total, _BATCH_CONVERGED
        steps, samples = default_budget(plan)
        return steps, max(round(samples / steps), 1)

    def _average(self) -> float:
        return LearningSettings().slow.average if self.equal else 0.0

    def run(self, task: Task) -> Figures:
        steps, batch = self._budget(task.plan)
        stop = max(round(steps * task.values.get('stop', 1.0)), 1)
        network = Network(
            robot=task.robot, z_size=task.world.z_size, hidden=slow_hidden(), seed=task.seed, rate=task.values['rate'],
            residual=task.values['residual'], average=self._average(), cosine_steps=0 if self.equal else steps,
        )  # fmt: skip
        walks = [scene.learning for scene in task.world.scenes]
        network.fit_normalizer(walk.z for walk in walks)
        z, action, z_next = all_steps((walk.z, walk.action) for walk in walks)
        sight = 0.0 if self.blind else 1.0
        draws = torch.Generator().manual_seed(derive(task.seed, f'bench.{self.name}'))
        for step in range(stop):
            chosen = torch.randint(len(z), (batch,), generator=draws)
            network.update(network.loss(z[chosen], sight * action[chosen], z_next[chosen]).mean(), batch)
            if step % 50 == 0:
                task.report(step / stop)
        model = _Blind(network) if self.blind else network
        return {
            **task.judge.final(model), **budget(steps=network.steps, samples=network.samples, stored=len(z)),
        }  # fmt: skip


class _Blind:
    """Sees no actions."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def dream(self, z: torch.Tensor, actions: torch.Tensor, before: History | None = None) -> torch.Tensor:
        return self._network.dream(z, torch.zeros_like(actions), before)


def rows() -> list[Row]:
    """Returns the joint rows and the blind twin."""
    return [
        JointRow('joint_equal', equal=True), JointRow('joint_converged', equal=False),
        JointRow('action_blind', equal=False, blind=True),
    ]  # fmt: skip
