"""The contract of objectives: the loss that Fast takes one step of Adam down, at each wake step.

A module of this package, or an entry point, has `make() -> Objective`; one that brings settings has `SETTINGS`, and
`make(own)` receives them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from torch import nn, Tensor

from ..model import CrossModalModel, Prediction, Senses


class WakeStep(NamedTuple):
    """One wake step, a batch of one; what the model made of it has its graph.

    Attributes:
        state: internal state after it was perceived, (1, H). heeded: readings as perceived, normalised (1, sum of S).
        predicted: the next readings and the reward, before they were known.
        before, after: raw readings by sense, (1, S). present: by sense, bool (1,), whether it is heeded.
        reward: the robot's own, NaN where none.
    """

    state: Tensor
    heeded: Tensor
    predicted: Prediction
    before: Senses
    after: Senses
    present: Mapping[str, Tensor]
    reward: float


class Objective(ABC):
    """What Fast learns awake. Sleep teaches predictions, whatever the objective.

    Attributes:
        trains_actions: whether `loss` trains the layers of the actions, which then learn nothing else.
    """

    trains_actions = False

    def learns(self, model: CrossModalModel) -> nn.Module:
        """Returns the parts that are trained: those that predict."""
        return model.predicting()

    @abstractmethod
    def loss(self, model: CrossModalModel, step: WakeStep) -> Tensor:
        """Returns the loss of one step, 0-d; one that is not finite is refused, and nothing is learned from it."""
