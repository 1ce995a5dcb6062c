"""Interface of the models that are scored: open-loop prediction of raw embeddings."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from cls_learning.learners.learner import Learner
from cls_learning.types import History


class Predictor(Protocol):
    """World model."""

    def dream(self, z: Tensor, actions: Tensor, before: History | None = None) -> Tensor:
        """Predicts open loop.

        Args:
            z: float32 (B, D) raw. actions: float32 (B, K, 2) degrees.
            before: the steps before, raw and in degrees; a model without a state ignores them.

        Returns:
            float32 (B, K, D) raw: the predicted embedding after each action.
        """


class LearnerPredictor:
    """Adapter of a `Learner`, predicting with its averaged weights."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    def dream(self, z: Tensor, actions: Tensor, before: History | None = None) -> Tensor:
        """See Predictor."""
        return self._learner.rollout(z, actions, before)[:, 1:]


class OneStepPredictor(ABC):
    """Base of one-step models: a longer prediction feeds on its own output."""

    @abstractmethod
    def predict(self, z: Tensor, action: Tensor) -> Tensor:
        """Predicts z_next (B, D) raw from z (B, D) raw and action (B, 2) degrees."""

    def dream(self, z: Tensor, actions: Tensor, before: History | None = None) -> Tensor:
        """See Predictor."""
        path = []
        for k in range(actions.shape[1]):
            z = self.predict(z, actions[:, k])
            path.append(z)
        return torch.stack(path, dim=1)  # (B, K, D)


def predict(model: Predictor, z: Tensor, action: Tensor, before: History | None = None) -> Tensor:
    """Predicts one step: z (B, D) raw, action (B, 2) degrees."""
    return model.dream(z, action[:, None], before)[:, 0]
