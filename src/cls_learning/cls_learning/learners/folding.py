"""Folds a new snapshot of the normaliser into the weights of a module and into Adam's moments.

Predictions in raw units stay the same to rounding, except where a snapshot clips. Folding is affine, so that averaged
weights fold like the weights. Moments follow from the transformation of a gradient, g_new = J^T g_old with
J = d weights_old / d weights_new, and of the loss, which is in the new units. First moments are exact. Second moments
would need products of gradients that Adam does not keep; gradients are taken as uncorrelated, which makes a step up to
sqrt(2) times too large in the first layer's columns of normalised values, and is exact elsewhere. Gradients that were
clipped to a norm were clipped in the old units.
"""

import torch
from torch import nn

from ..space_change import Fold, pull_back, SpaceChange
from .adam import Adam


@torch.no_grad()
def fold_module(module: nn.Module, fold: Fold, change: SpaceChange) -> None:
    """Folds a change into the weights of a module in place, in double precision."""
    weights = dict(module.named_parameters())
    change = change.to(next(iter(weights.values())).device)
    for name, folded in fold({name: weight.double() for name, weight in weights.items()}, change).items():
        weights[name].copy_(folded)


def fold_moments(module: nn.Module, optimizer: Adam, fold: Fold, change: SpaceChange, *, is_in_units: bool) -> None:
    """Folds a change into Adam's moments of a module in place; exact as described above.

    Args:
        is_in_units: whether the loss is a mean of squared normalised differences; else it has no unit.
    """
    if not optimizer.moments:
        return
    weights = dict(module.named_parameters())
    change = change.to(next(iter(weights.values())).device)
    loss = 1.0 / change.ratio.square() if is_in_units else torch.ones_like(change.ratio)
    back = change.inverse()
    for moment, linear, factor in (('exp_avg', back, loss), ('exp_avg_sq', back.squared(), loss.square())):
        moments = dict(zip(weights, optimizer.moments[moment]))
        for name, new in pull_back(fold, weights, moments, linear).items():
            moments[name].copy_(new * factor)
