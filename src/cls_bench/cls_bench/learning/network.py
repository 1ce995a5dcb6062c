"""Network of the baselines: the learners' own world model and normaliser, trained with plain Adam."""

from collections.abc import Iterable
from dataclasses import asdict
import math
from typing import Any

import torch
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_learning import world_models
from cls_learning.config import LearningSettings, NormalizerSettings
from cls_learning.learners.actions import ActionCode
from cls_learning.learners.learner import Learner, squared_error
from cls_learning.learners.normalizer import Normalizer
from cls_learning.learners.optimisation import make_adam
from cls_learning.randomness import derive

from .predictor import LearnerPredictor


class Network(LearnerPredictor):
    """One world model with one optimiser.

    Attributes:
        learner: its weights, online and averaged.
        steps, samples: optimiser steps and sample-gradients so far.
    """

    def __init__(
        self,
        *,
        robot: RobotInfo,
        z_size: int,
        hidden: tuple[int, ...],
        seed: int,
        rate: float,
        residual: bool = True,
        average: float = 0.0,
        cosine_steps: int = 0,
    ) -> None:
        """Builds the network and its optimiser.

        Args:
            rate: learning rate of Adam. cosine_steps: steps over which it falls to 0; 0: constant.
            average: decay of the averaged weights that are scored.
        """
        defaults = LearningSettings().network
        self.normalizer = Normalizer(NormalizerSettings(), z_size)
        code = ActionCode(robot, defaults.action_scaling)
        model = world_models.make(
            defaults.world_model,
            z_size=z_size,
            action_size=code.size,
            hidden=hidden,
            residual=residual,
            seed=derive(seed, 'bench.network'),
        )
        self.learner = Learner('bench', model, average, self.normalizer, code, defaults.gradient_norm)
        self._optimizer = make_adam(self.learner.online, rate)
        self._rate, self._cosine_steps = rate, cosine_steps
        self.steps = self.samples = 0
        super().__init__(self.learner)

    def fit_normalizer(self, embeddings: Iterable[Tensor]) -> None:
        """Fits the normaliser on all embeddings of the training data, float32 (N, D) each, before training."""
        for walk in embeddings:
            for z in walk:
                self.normalizer.observe(z)
        self.normalizer.apply()

    def renew_normalizer(self) -> None:
        """Applies the statistics observed so far; predictions of raw embeddings stay the same."""
        change = self.normalizer.apply()
        if change is not None:
            self.learner.fold(change)
            self.learner.fold_optimizer(self._optimizer, change)

    def loss(self, z: Tensor, action: Tensor, target: Tensor) -> Tensor:
        """Returns the squared error (B,) in normalised units; z, target (B, D) raw, action (B, 2) degrees."""
        normalizer = self.normalizer
        return squared_error(self.learner.forward(normalizer.normalize(z), action), normalizer.normalize(target))

    def update(self, loss: Tensor, samples: int) -> None:
        """Takes one optimiser step on a loss (0-d) over `samples` samples."""
        if self._cosine_steps:
            share = min(self.steps / self._cosine_steps, 1.0)
            self._optimizer.learning_rate = self._rate * 0.5 * (1.0 + math.cos(math.pi * share))
        self.learner.take_step(self._optimizer, loss)
        self.steps += 1
        self.samples += samples


def all_steps(walks: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns z, action and z_next of all steps of walks given as z (N + 1, D) and action (N, 2)."""
    found = list(walks)
    return (
        torch.cat([z[:-1] for z, _ in found]),
        torch.cat([a for _, a in found]),
        torch.cat([z[1:] for z, _ in found]),
    )


def slow_hidden() -> tuple[int, ...]:
    """Returns the hidden layers of the default recipe's Slow."""
    width = LearningSettings().network.slow_hidden
    return (width, width)


def fast_hidden() -> tuple[int, ...]:
    """Returns the hidden layers of the default recipe's Fast."""
    return (LearningSettings().network.fast_hidden,)


def network_values() -> dict[str, Any]:
    """Returns the settings that a Network takes from the default recipe, by name."""
    settings = LearningSettings()
    return {'network': asdict(settings.network), 'normalizer': asdict(settings.normalizer)}
