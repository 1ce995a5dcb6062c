"""Prediction error of Fast (Schmidhuber 1991), bounded to [0, 1].

The reward of a step is Fast's error before it learned the step. The error of a candidate action is unknown, so a
network predicts it. This reward attracts the robot to whatever is unpredictable, such as a noisy screen, and serves as
a baseline. The policy `prediction_error` is the original system's way to maximise the same error.
"""

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner, learner_of
from ..learners.learner import squared_error
from ..types import Batch
from .candidate_rollouts import CandidateRollouts
from .ensemble_reward import EnsembleReward
from .running_normalizer import to_doubles


class PredictionError(EnsembleReward):
    """One network predicts the normalised error from projection and action."""

    name = 'prediction_error'

    def score(self, rollouts: CandidateRollouts) -> Doubles:
        with torch.no_grad():
            expected = self._expected(self._projection(rollouts.path[:, :-1]), rollouts.held)
        return to_doubles(expected.sigmoid().nan_to_num(0.0))

    def observe(self, transition: Transition, error_before: float) -> float:
        return self._scaler.observe(error_before)

    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        errors = squared_error(self._fast.predict(batch.z, batch.action, batch.history), batch.z_next)  # (B,)
        expected = self._expected(self.project(batch.z), self.units(batch.action))
        target = self._scaler.share(errors).float()
        return nn.functional.binary_cross_entropy_with_logits(expected, target)

    def _expected(self, seen: Tensor, unit: Tensor) -> Tensor:
        """Returns logits (...) from projections (..., PROJECTED) and actions (..., A) in [-1, 1]."""
        inputs = torch.cat([seen, unit], dim=-1)
        out: Tensor = self._ensemble(inputs.flatten(0, -2))
        return out.view(inputs.shape[:-1])


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> PredictionError:
    """Makes the untrained reward; raises UserError without a learner."""
    learner = learner_of(fast, f'reward {PredictionError.name!r}')
    return PredictionError(settings, z_size, learner, seed, members=1, outputs=1, with_action=True)
