"""Novelty by random network distillation (Burda, Edwards, Storkey and Klimov 2018).

A network learns the output of a fixed random network for each embedding; its error is large where it has had no similar
embedding.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cls_common.robot import RobotInfo
from cls_common.transition import Doubles, Transition

from ..config import LearningSettings
from ..learners.fast import FastLearner, learner_of
from ..learners.folding import fold_module
from ..learners.learner import squared_error
from ..learners.optimisation import load_module, module_state
from ..randomness import derive
from ..space_change import SpaceChange
from ..types import Batch
from .candidate_rollouts import CandidateRollouts
from .ensemble import Ensemble, PROJECTED
from .ensemble_reward import EnsembleReward
from .running_normalizer import to_doubles

OUTPUTS = 32


class RandomDistillation(EnsembleReward):
    """Reward: squared error of the distilled network. The seed determines the target network."""

    name = 'rnd'

    def __init__(self, settings: LearningSettings, z_size: int, fast: FastLearner, seed: int) -> None:
        super().__init__(settings, z_size, fast, seed, members=1, outputs=OUTPUTS, with_action=False)
        self._target = Ensemble(1, PROJECTED, OUTPUTS, derive(seed, 'reward.rnd.target')).requires_grad_(False)

    def score(self, rollouts: CandidateRollouts) -> Doubles:
        after = rollouts.path[:, 1:]  # (C, H, D)
        with torch.no_grad():
            error = self._error(self._projection(after.flatten(0, 1))).view(after.shape[:2])
        return to_doubles(self._scaler.share(error))

    def observe(self, transition: Transition, error_before: float) -> float:
        with torch.no_grad():
            return self._scaler.observe(float(self._error(self.project(torch.from_numpy(transition.z_next)[None]))[0]))

    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        return self._error(self.project(batch.z_next)).mean()

    def _error(self, seen: Tensor) -> Tensor:
        """Returns the error (B,) for projections (B, PROJECTED)."""
        return squared_error(self._ensemble(seen)[0], self._target(seen)[0])

    def fold(self, change: SpaceChange) -> None:
        super().fold(change)
        fold = partial(self._target.fold, predicts_differences=False)
        fold_module(self._target, fold, self._projection.change(change))

    def state(self) -> dict[str, Tensor]:
        return super().state() | module_state('policy.rnd.target', self._target)

    def load(self, state: Mapping[str, Tensor]) -> None:
        super().load(state)
        if 'policy.rnd.target.into' in state:  # absent in models of older versions: the seed gives the same one
            load_module('policy.rnd.target', self._target, state)


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> RandomDistillation:
    """Makes the untrained reward; raises UserError without a learner."""
    return RandomDistillation(settings, z_size, learner_of(fast, f'reward {RandomDistillation.name!r}'), seed)
