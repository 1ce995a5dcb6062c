"""Interface of the models that are scored: open-loop prediction of raw embeddings."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from cls_learning.learners.learner import Learner


class Predictor(Protocol):
    """World model."""

    def dream(self, z: Tensor, actions: Tensor) -> Tensor:
        """Predicts open loop.

        Args:
            z: float32 (B, D) raw. actions: float32 (B, K, 2) degrees.

        Returns:
            float32 (B, K, D) raw: the predicted embedding after each action.
        """


class LearnerPredictor:
    """Adapter of a `Learner`, predicting with its averaged weights."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    def dream(self, z: Tensor, actions: Tensor) -> Tensor:
        """See Predictor."""
        return self._learner.dream(z, actions)[:, 1:]


class OneStepPredictor(ABC):
    """Base of one-step models: a longer prediction feeds on its own output."""

    @abstractmethod
    def predict(self, z: Tensor, action: Tensor) -> Tensor:
        """Predicts z_next (B, D) raw from z (B, D) raw and action (B, 2) degrees."""

    def dream(self, z: Tensor, actions: Tensor) -> Tensor:
        """See Predictor."""
        path = []
        for k in range(actions.shape[1]):
            z = self.predict(z, actions[:, k])
            path.append(z)
        return torch.stack(path, dim=1)  # (B, K, D)


def predict(model: Predictor, z: Tensor, action: Tensor) -> Tensor:
    """Predicts one step: z (B, D) raw, action (B, 2) degrees."""
    return model.dream(z, action[:, None])[:, 0]
