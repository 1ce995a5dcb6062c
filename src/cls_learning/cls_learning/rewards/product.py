"""The product of several rewards: high where all of them are."""

from collections.abc import Mapping, Sequence
import math

import numpy as np
from torch import Tensor

from cls_common.transition import Doubles, Transition

from ..space_change import SpaceChange
from ..types import Batch
from .candidate_rollouts import CandidateRollouts
from .contract import Reward


class ProductReward(Reward):
    """Multiplies rewards.

    Args:
        factors: two at least, of different names.
    """

    def __init__(self, factors: Sequence[Reward]) -> None:
        self._factors = list(factors)
        self.learns = any(factor.learns for factor in factors)

    def score(self, rollouts: CandidateRollouts) -> Doubles:
        product: Doubles = np.prod([factor.score(rollouts) for factor in self._factors], axis=0)
        return product

    def observe(self, transition: Transition, error_before: float) -> float:
        return math.prod([factor.observe(transition, error_before) for factor in self._factors])

    def update(self, batch: Batch, generator: np.random.Generator) -> float:
        return sum(factor.update(batch, generator) for factor in self._factors if factor.learns)

    def fold(self, change: SpaceChange) -> None:
        for factor in self._factors:
            factor.fold(change)

    def begin_scene(self) -> None:
        for factor in self._factors:
            factor.begin_scene()

    def state(self) -> dict[str, Tensor]:
        return {name: tensor for factor in self._factors for name, tensor in factor.state().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        for factor in self._factors:
            factor.load(state)
