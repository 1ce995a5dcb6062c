"""What every reward does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from cls_common.transition import Doubles, Transition

from ..space_change import SpaceChange
from ..types import Batch
from .imagined import Imagined


class Reward(ABC):
    """What a step is worth to curiosity, in [0, 1] whatever the networks say (H3).

    Attributes:
        learns: whether `learn` is worth calling.
    """

    learns = True

    @abstractmethod
    def ahead(self, imagined: Imagined) -> Doubles:
        """Returns what each imagined step is worth, float64 (C, H), in [0, 1]; changes nothing."""

    @abstractmethod
    def lived(self, transition: Transition, error_before: float) -> float:
        """Returns what a step was worth, in [0, 1], and remembers that it was made.

        Args:
            error_before: mean squared error of Fast's prediction before it learned this, raw units, 0 or more.
        """

    @abstractmethod
    def learn(self, batch: Batch, generator: np.random.Generator) -> float:
        """Learns from remembered transitions; returns its loss, NaN where a step was refused."""

    @abstractmethod
    def fold(self, change: SpaceChange) -> None:
        """Goes on as before under a new snapshot of the normaliser, where it reads normalised values."""

    @abstractmethod
    def begin_scene(self) -> None:
        """Forgets what was visited; what heads have learned stays."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Returns copies of everything learned, named `policy.<something of its own>`."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes everything back."""


class Counting(Reward):
    """A reward that keeps numbers of places and trains nothing."""

    learns = False

    def learn(self, batch: Batch, generator: np.random.Generator) -> float:
        return 0.0
