"""Explained variance of predicted pictures, effective rank of tokens, and evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn, Tensor

# Lowest explained variance of each band, highest first.
BANDS = (
    (0.6, 'most of the variance is explained'),
    (0.2, 'useful structure is explained'),
    (-0.05, 'no better than predicting the mean'),
)
WORST_BAND = 'worse than predicting the mean'


def explained_variance(predicted: Tensor, target: Tensor) -> float:
    """Returns R2 = 1 - Var(predicted - target) / Var(target), over all elements of both.

    1 is perfect and 0 as good as a constant. An offset that is the same everywhere is not counted as an error. Patches
    give the same value as pictures, since they are the same pixels in another order.
    """
    predicted, target = predicted.double(), target.double()
    unexplained = (predicted - target).var(correction=0) / (target.var(correction=0) + 1e-12)
    return 1.0 - float(unexplained)


def band(explained: float) -> str:
    """Returns in words what an explained variance means; NaN is the worst."""
    return next((text for lowest, text in BANDS if explained >= lowest), WORST_BAND)


def effective_rank(tokens: Tensor) -> float:
    """Returns in how many directions tokens vary: exp of the entropy of singular values (Roy and Vetterli 2007).

    It falls towards 1 as an encoder collapses, where the spread of each dimension may still look healthy; it is 0 if
    nothing varies.

    Args:
        tokens: (B, ..., D); the mean over the B pictures is subtracted at each place, since what all pictures share
            tells none from another.
    """
    tokens = tokens.detach().double()
    values = torch.linalg.svdvals((tokens - tokens.mean(0)).flatten(0, -2))
    total = values.sum()
    # Equal tokens differ from their own mean by rounding.
    if total <= 1e-9 * tokens.norm():
        return 0.0
    return float(torch.special.entr(values / total).sum().exp())


@contextmanager
def evaluation(*networks: nn.Module) -> Iterator[None]:
    """Switches dropout off and gradients too, and restores the modes at the end."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for network in networks:
        network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
