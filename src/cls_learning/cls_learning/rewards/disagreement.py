"""Disagreement of an ensemble of forward models (Pathak, Gandhi and Gupta 2019).

Five networks of one hidden layer, with different initial weights and samples, predict the change of a random
projection of the embedding. They agree where all have enough data, on noise too: each learns its mean.
"""

import numpy as np
import torch
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner, learner_of
from ..space_change import SpaceChange
from ..types import Batch
from .candidate_rollouts import CandidateRollouts
from .ensemble import PROJECTED
from .ensemble_reward import EnsembleReward
from .running_normalizer import to_doubles

MEMBERS = 5


class Disagreement(EnsembleReward):
    """Reward: standard deviation over the ensemble, root mean square over the projection."""

    name = 'disagreement'
    predicts_differences = True

    def score(self, rollouts: CandidateRollouts) -> Doubles:
        inputs = torch.cat([self._projection(rollouts.path[:, :-1]), rollouts.held], dim=-1)  # (C, H, PROJECTED + A)
        spread = self._spread(inputs.flatten(0, 1)).view(inputs.shape[:2])
        return to_doubles(self._scaler.share(spread))

    def observe(self, transition: Transition, error_before: float) -> float:
        z, action = (torch.from_numpy(part)[None] for part in (transition.z, transition.action_applied))
        return self._scaler.observe(float(self._spread(torch.cat([self.project(z), self.units(action)], dim=-1))[0]))

    @torch.no_grad()
    def _spread(self, inputs: Tensor) -> Tensor:
        """Returns the spread (B,) for inputs (B, PROJECTED + A)."""
        outputs: Tensor = self._ensemble(inputs)  # (MEMBERS, B, PROJECTED)
        return outputs.var(dim=0).mean(dim=-1).sqrt()

    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        seen = self.project(batch.z)
        error = self._ensemble(torch.cat([seen, self.units(batch.action)], dim=-1)) - (
            self.project(batch.z_next) - seen
        )
        # Each member learns from its own half of the batch.
        kept = torch.from_numpy((generator.random((MEMBERS, len(batch.z))) < 0.5).astype(np.float32))
        loss: Tensor = (error.square().mean(dim=-1) * kept).sum() / kept.sum().clamp_min(1.0)
        return loss

    def fold(self, change: SpaceChange) -> None:
        super().fold(change)
        self._scaler.rescale(1.0 / float(change.ratio))


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> Disagreement:
    """Makes the untrained reward; raises UserError without a learner."""
    learner = learner_of(fast, f'reward {Disagreement.name!r}')
    return Disagreement(settings, z_size, learner, seed, members=MEMBERS, outputs=PROJECTED, with_action=True)
