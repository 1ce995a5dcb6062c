"""The variance of the actions, as in the original system: what is learned is that actions vary little."""

from torch import nn, Tensor

from ..model import CrossModalModel
from .contract import Objective, WakeStep


class StabilityObjective(Objective):
    """Trains the network with the layers of the actions, and no prediction."""

    trains_actions = True

    def learns(self, model: CrossModalModel) -> nn.Module:
        """See Objective."""
        return model.network

    def loss(self, model: CrossModalModel, step: WakeStep) -> Tensor:
        """See Objective."""
        return model.network.act(step.state).var(dim=-1).mean()


def make() -> Objective:
    """Makes the objective."""
    return StabilityObjective()
