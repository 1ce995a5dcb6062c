"""The contract of intrinsic rewards: score candidates, observe steps, update from memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from cls_common.transition import Doubles, Transition

from ..space_change import SpaceChange
from ..types import Batch
from .candidate_rollouts import CandidateRollouts


class Reward(ABC):
    """Intrinsic reward of a step, in [0, 1] for any output of the networks: an unbounded one grows without limit.

    Attributes:
        learns: whether `update` trains anything.
    """

    learns = True

    @abstractmethod
    def score(self, rollouts: CandidateRollouts) -> Doubles:
        """Returns the reward of each step of C candidate actions, float64 (C, H) in [0, 1]; changes no state."""

    @abstractmethod
    def observe(self, transition: Transition, error_before: float) -> float:
        """Returns the reward of a step that was made, in [0, 1], and counts it.

        Args:
            error_before: mean squared error of Fast's prediction before it learned the step, raw units, 0 or more.
        """

    @abstractmethod
    def update(self, batch: Batch, generator: np.random.Generator) -> float:
        """Takes one optimiser step; returns its loss, NaN where the step was refused.

        Args:
            batch: z, z_next (B, D) raw, action (B, A) robot units, of memory.
        """

    @abstractmethod
    def fold(self, change: SpaceChange) -> None:
        """Adapts weights that read normalised values to a new snapshot of the normaliser; outputs stay the same."""

    @abstractmethod
    def begin_scene(self) -> None:
        """Clears the visits; trained weights stay."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Returns copies of the state as tensors named `policy.<name of its own>`."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state."""


class CountReward(Reward):
    """Base of rewards that count by cell and train nothing."""

    learns = False

    def update(self, batch: Batch, generator: np.random.Generator) -> float:
        return 0.0
