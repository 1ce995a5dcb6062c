"""Weight sparsity: a fixed random mask, or one that moves (SET, Mocanu et al. 2018).

Every row of a weight, the inputs of one gate of one unit, keeps equally many: nothing is padded, no unit is cut off.
"""

from typing import Protocol

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.errors import UserError


class Prunable(Protocol):
    """A module of which some weights may be pruned: a recurrent cell, or a network with masked layers."""

    def masks(self) -> dict[str, Tensor]:
        """Returns which weights exist, bool, by the name of their parameter."""

    def get_parameter(self, target: str) -> nn.Parameter:
        """Returns a parameter by its name; see `torch.nn.Module`."""


@torch.no_grad()
def prune(module: Prunable, sparsity: float, generator: np.random.Generator) -> None:
    """Keeps a random share 1 - `sparsity` of the weights of each row, at least one, and sets the others to 0.

    Raises:
        UserError: sparsity is not in [0, 1).
    """
    if not 0.0 <= sparsity < 1.0:
        raise UserError('weight sparsity', expected='0 <= sparsity < 1', found=str(sparsity))
    for name, mask in module.masks().items():
        rank = _draw(mask, generator).argsort(1).argsort(1)
        mask.copy_(rank < max(1, round((1.0 - sparsity) * mask.shape[1])))
        module.get_parameter(name).mul_(mask)


@torch.no_grad()
def rewire(module: Prunable, fraction: float, generator: np.random.Generator) -> int:
    """Replaces the smallest `fraction` of each row's weights by as many at random places where there was none.

    New weights are 0, so that they change nothing before they learn. Afterwards `RtrlLearner.take_masks` and
    `Adam.forget_zeros` are due, where there is such a learner or optimiser.

    Returns:
        the number of weights that were replaced.

    Raises:
        UserError: fraction is not in [0, 1].
    """
    if not 0.0 <= fraction <= 1.0:
        raise UserError('fraction of weights to replace', expected='0 <= fraction <= 1', found=str(fraction))
    replaced = 0
    for name, mask in module.masks().items():
        weight, kept = module.get_parameter(name), int(mask[0].sum())
        count = min(round(fraction * kept), mask.shape[1] - kept)
        if not count:
            continue
        size = weight.abs().masked_fill(~mask, torch.inf)
        dropped = size.argsort(stable=True, dim=1)[:, :count]
        free = _draw(mask, generator).masked_fill(mask, torch.inf).argsort(1)[:, :count]
        mask.scatter_(1, dropped, False).scatter_(1, free, True)
        weight.mul_(mask).scatter_(1, free, 0.0)
        replaced += dropped.numel()
    return replaced


def _draw(mask: Tensor, generator: np.random.Generator) -> Tensor:
    return torch.from_numpy(generator.random(tuple(mask.shape)))
