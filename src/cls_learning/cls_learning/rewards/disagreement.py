"""Where several small models disagree about what comes next (Pathak, Gandhi and Gupta 2019).

Five heads of one hidden layer, each from other initial weights and on other samples, predict the change of a random
view of the embedding. What all have seen often they agree about, noise too: of noise each learns the mean.
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
from .bounded import to_doubles
from .headed import HeadedReward
from .heads import VIEW
from .imagined import Imagined

HEADS = 5


class Disagreement(HeadedReward):
    """Worth is the spread of the heads: standard deviation, root mean square over the view."""

    name = 'disagreement'
    answers_differences = True

    def ahead(self, imagined: Imagined) -> Doubles:
        inputs = torch.cat([self._view(imagined.path[:, :-1]), imagined.held], dim=-1)  # (C, H, VIEW + A)
        spread = self._spread(inputs.flatten(0, 1)).view(inputs.shape[:2])
        return to_doubles(self._bounded.share(spread))

    def lived(self, transition: Transition, error_before: float) -> float:
        z, action = (torch.from_numpy(part)[None] for part in (transition.z, transition.action_applied))
        return self._bounded.live(float(self._spread(torch.cat([self.see(z), self.units(action)], dim=-1))[0]))

    @torch.no_grad()
    def _spread(self, inputs: Tensor) -> Tensor:
        """Returns (B,) from (B, VIEW + A)."""
        answers: Tensor = self._heads(inputs)  # (HEADS, B, VIEW)
        return answers.var(dim=0).mean(dim=-1).sqrt()

    def loss(self, batch: Batch, generator: np.random.Generator) -> Tensor:
        seen = self.see(batch.z)
        error = self._heads(torch.cat([seen, self.units(batch.action)], dim=-1)) - (self.see(batch.z_next) - seen)
        # Each head learns from its own half of the batch.
        kept = torch.from_numpy((generator.random((HEADS, len(batch.z))) < 0.5).astype(np.float32))
        loss: Tensor = (error.square().mean(dim=-1) * kept).sum() / kept.sum().clamp_min(1.0)
        return loss

    def fold(self, change: SpaceChange) -> None:
        super().fold(change)
        self._bounded.rescale(1.0 / float(change.ratio))


def make(
    settings: LearningSettings, robot: RobotInfo, z_size: int, fast: FastLearner | None, seed: int
) -> Disagreement:
    """Makes it untrained; raises UserError without a learner."""
    learner = learner_of(fast, f'reward {Disagreement.name!r}')
    return Disagreement(settings, z_size, learner, seed, heads=HEADS, outputs=VIEW, with_action=True)
