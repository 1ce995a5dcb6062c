"""Memory chain: a cue at the first step must be named at the last, with distractors between (Osband et al. 2020)."""

from typing import NamedTuple

import torch
from torch import Tensor

from cls_learning.randomness import stream

# Cue, distractor, query.
INPUTS = 3


class Episode(NamedTuple):
    """x: float32 (L, 1, INPUTS). target: float32 (1, 1), 1 where the cue was positive."""

    x: Tensor
    target: Tensor


def episode(length: int, seed: int, number: int) -> Episode:
    """Draws an episode: the cue is -1 or 1, and so is the distractor of each step between the first and the last."""
    draws = stream(seed, f'bench.memory_chain.{length}', number)
    signs = torch.from_numpy(2.0 * draws.integers(0, 2, length) - 1.0).float()
    x = torch.zeros(length, 1, INPUTS)
    x[0, 0, 0] = signs[0]
    x[1:-1, 0, 1] = signs[1:-1]
    x[-1, 0, 2] = 1.0
    return Episode(x, (signs[:1] > 0).float()[None])
