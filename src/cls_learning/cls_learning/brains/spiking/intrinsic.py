"""Intrinsic rewards of imagined steps, by name: beside the robot's reward, or in its place."""

from collections.abc import Callable

import torch
from torch import Tensor

from ...rewards.sim_hash import BITS, SimHash
from .replay import Replay
from .world import Outcome, World

# Returns the reward of an imagined step, (B,).
Intrinsic = Callable[[Outcome], Tensor]


class VisitCount:
    """Count-based exploration: 1 / sqrt(1 + visits) by cell of the normalised state (Tang et al. 2017).

    Visits are those of the steps in memory, so that a step that is forgotten is new again, and nothing is to be saved.
    """

    def __init__(self, world: World, memory: Replay, size: int, seed: int) -> None:
        self._world, self._hash = world, SimHash(size, seed)
        # Through the origin, planes would tell directions apart only: a state may have few dimensions.
        self._hash.offset = torch.randn(BITS, generator=torch.Generator().manual_seed(seed + 1))
        _, after = memory.all()
        self._visits = torch.bincount(self._hash.cells(world.normalise(after)), minlength=SimHash.count)

    def __call__(self, outcome: Outcome) -> Tensor:
        """Returns the rewards, (B,) in [0, 1]."""
        return (1.0 + self._visits[self._hash.cells(self._world.normalise(outcome.state))]).rsqrt()


def make(name: str, world: World, memory: Replay, size: int, seed: int) -> Intrinsic:
    """Returns an intrinsic reward of `INTRINSIC` in settings; valid until the world model or the memory changes.

    Args:
        size: length of a state.
    """
    return VisitCount(world, memory, size, seed) if name == 'visit_count' else world.disagreement
