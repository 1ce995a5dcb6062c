"""The next readings of all senses that are heeded, and the reward."""

import math

import torch
from torch import Tensor

from ....learners.symlog import symlog
from ..model import CrossModalModel, heeded_mean
from .contract import Objective, WakeStep


class PredictionObjective(Objective):
    """Mean squared error, in spreads of changes, and that of the symlog of the reward where there is one."""

    def loss(self, model: CrossModalModel, step: WakeStep) -> Tensor:
        """See Objective."""
        loss = heeded_mean(model.errors(step.predicted.senses, step.after), step.present)
        if not math.isfinite(step.reward):
            return loss + torch.zeros(())
        return loss + (step.predicted.reward - symlog(torch.tensor(step.reward, dtype=torch.float64))).square().mean()


def make() -> Objective:
    """Makes the objective."""
    return PredictionObjective()
