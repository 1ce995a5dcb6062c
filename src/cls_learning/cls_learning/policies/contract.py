"""The contract of policies."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from cls_common.transition import Doubles, Floats, Transition

from ..memory.ring_reservoir import RingReservoir
from ..space_change import SpaceChange


class EndOfActionsError(Exception):
    """The policy has no further action: the caller stops acting. This is a normal end, not a fault."""


class Policy(ABC):
    """Chooses actions in [-1, 1]; the caller scales them to robot units."""

    @abstractmethod
    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        """Chooses an action.

        Args:
            z: float32 (D,) raw. joints: float64 (J,) rad.
            step: wake steps of the model so far.
            generator: the only source of randomness.

        Returns:
            float32 (A,) in [-1, 1].

        Raises:
            EndOfActionsError: there is no action for this step nor for any later one.
        """

    @abstractmethod
    def reward(self, transition: Transition, error_before: float) -> float:
        """Returns the intrinsic reward of a step that was made, and counts it.

        Args:
            error_before: mean squared error of Fast's prediction before it learned the step, raw units.
        """

    @abstractmethod
    def learn(self, memory: RingReservoir, steps: int, generator: np.random.Generator) -> dict[str, float]:
        """Takes an optimiser step where `steps` is due for one; returns `policy_loss`, or an empty dict."""

    @abstractmethod
    def fold(self, change: SpaceChange) -> None:
        """Adapts weights that read normalised values to a new snapshot of the normaliser; actions stay the same."""

    @abstractmethod
    def begin_scene(self) -> None:
        """Clears the visits: the robot is in another scene, in which nothing was visited."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Returns the state as tensors named `policy.*`."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state."""


class Selector(Policy):
    """A policy without learning: its actions depend on the step, on random numbers or on user input only."""

    def reward(self, transition: Transition, error_before: float) -> float:
        return 0.0

    def learn(self, memory: RingReservoir, steps: int, generator: np.random.Generator) -> dict[str, float]:
        return {}

    def fold(self, change: SpaceChange) -> None:
        pass

    def begin_scene(self) -> None:
        pass

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        pass


def uniform(size: int, generator: np.random.Generator) -> Floats:
    """Returns a random action, uniform in [-1, 1], float32 (size,)."""
    return generator.uniform(-1.0, 1.0, size).astype(np.float32)
