"""How new it looks: random network distillation (Burda, Edwards, Storkey and Klimov 2018).

A head learns what a fixed random head says of each embedding; where it has not learned that yet, nothing like it was
seen.
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
from .bounded import to_doubles
from .headed import HeadedReward
from .heads import Heads, VIEW
from .imagined import Imagined

OUTPUTS = 32


class RandomDistillation(HeadedReward):
    """Worth is the squared error of the distilled head. The target follows from the seed."""

    name = 'rnd'

    def __init__(self, settings: LearningSettings, z_size: int, fast: FastLearner, seed: int) -> None:
        super().__init__(settings, z_size, fast, seed, heads=1, outputs=OUTPUTS, with_action=False)
        self._target = Heads(1, VIEW, OUTPUTS, derive(seed, 'reward.rnd.target')).requires_grad_(False)

    def ahead(self, imagined: Imagined) -> Doubles:
        after = imagined.path[:, 1:]  # (C, H, D)
        with torch.no_grad():
            error = self._error(self._view(after.flatten(0, 1))).view(after.shape[:2])
        return to_doubles(self._bounded.share(error))

    def lived(self, transition: Transition, error_before: float) -> float:
        with torch.no_grad():
            return self._bounded.live(float(self._error(self.see(torch.from_numpy(transition.z_next)[None]))[0]))

    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        return self._error(self.see(batch.z_next)).mean()

    def _error(self, seen: Tensor) -> Tensor:
        """Returns (B,) from views (B, VIEW)."""
        return squared_error(self._heads(seen)[0], self._target(seen)[0])

    def fold(self, change: SpaceChange) -> None:
        super().fold(change)
        fold = partial(self._target.fold, answers_differences=False)
        fold_module(self._target, fold, self._view.change(change))

    def state(self) -> dict[str, Tensor]:
        return super().state() | module_state('policy.rnd.target', self._target)

    def load(self, state: Mapping[str, Tensor]) -> None:
        super().load(state)
        if 'policy.rnd.target.into' in state:  # models of older versions keep the one of the seed
            load_module('policy.rnd.target', self._target, state)


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> RandomDistillation:
    """Makes it untrained; raises UserError without a learner."""
    return RandomDistillation(settings, z_size, learner_of(fast, f'reward {RandomDistillation.name!r}'), seed)
