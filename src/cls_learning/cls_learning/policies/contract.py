"""What every policy does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from cls_common.transition import Doubles, Floats, Transition

from ..memory.recent import RecentMemory
from ..space_change import SpaceChange


class EndOfActionsError(Exception):
    """There is no further action: what was to be done is done. Whoever acts stops, and nothing is wrong."""


class Policy(ABC):
    """Chooses actions in [-1, 1]; the border scales them by RobotInfo."""

    @abstractmethod
    def act(self, z: Floats, joints: Doubles, step: int, generator: np.random.Generator) -> Floats:
        """Chooses an action.

        Args:
            z: float32 (D,) raw. joints: float64 (J,) rad.
            step: wake steps of the model's life so far.
            generator: the only source of chance.

        Returns:
            float32 (A,) in [-1, 1].

        Raises:
            EndOfActionsError: there is no action for this step nor for any later one.
        """

    @abstractmethod
    def reward(self, transition: Transition, error_before: float) -> float:
        """Returns what this step was worth to curiosity and remembers that it was made."""

    @abstractmethod
    def learn(self, memory: RecentMemory, steps: int, generator: np.random.Generator) -> dict[str, float]:
        """Learns from memory where it is due; returns policy_loss, or nothing."""

    @abstractmethod
    def fold(self, change: SpaceChange) -> None:
        """Goes on as before under a new snapshot of the normaliser, where it reads normalised values."""

    @abstractmethod
    def begin_scene(self) -> None:
        """Forgets where it has been: the robot looks at another scene, in which nothing was visited."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Returns everything learned, named `policy.*`."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes everything back."""


class Selector(Policy):
    """A policy that learns nothing: what it does depends on the step, on chance or on a person alone."""

    def reward(self, transition: Transition, error_before: float) -> float:
        return 0.0

    def learn(self, memory: RecentMemory, steps: int, generator: np.random.Generator) -> dict[str, float]:
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
