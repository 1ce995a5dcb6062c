"""What Fast predicts badly: the reference's reward (row 000-060), bounded.

Lived, it is Fast's error before it learned the step. Of an action that was not taken nobody knows the error, so a head
learns to expect it. It is drawn to whatever can't be predicted, a noisy screen above all: it is here to be compared.
The reference's own way to seek it is the policy `prediction_error` (H3).
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
from .bounded import to_doubles
from .headed import HeadedReward
from .imagined import Imagined


class PredictionError(HeadedReward):
    """One head from what is seen and the action to the share of error that is to be expected."""

    name = 'prediction_error'

    def ahead(self, imagined: Imagined) -> Doubles:
        with torch.no_grad():
            expected = self._expected(self._view(imagined.path[:, :-1]), imagined.held)
        return to_doubles(expected.sigmoid().nan_to_num(0.0))

    def lived(self, transition: Transition, error_before: float) -> float:
        return self._bounded.live(error_before)

    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        errors = squared_error(self._fast.predict(batch.z, batch.action, batch.history), batch.z_next)  # (B,)
        expected = self._expected(self.see(batch.z), self.units(batch.action))
        target = self._bounded.share(errors).float()
        return nn.functional.binary_cross_entropy_with_logits(expected, target)

    def _expected(self, seen: Tensor, unit: Tensor) -> Tensor:
        """Returns logits (...) from views (..., VIEW) and actions (..., A)."""
        inputs = torch.cat([seen, unit], dim=-1)
        out: Tensor = self._heads(inputs.flatten(0, -2))
        return out.view(inputs.shape[:-1])


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> PredictionError:
    """Makes it untrained; raises UserError without a learner."""
    learner = learner_of(fast, f'reward {PredictionError.name!r}')
    return PredictionError(settings, z_size, learner, seed, heads=1, outputs=1, with_action=True)
