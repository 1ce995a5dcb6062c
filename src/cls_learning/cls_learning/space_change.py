"""Change of normalised values with the snapshot of the normaliser, and its folding into linear layers.

Networks read x = (z - mean) / scale. Another snapshot gives another x for the same z: x_old = ratio * x_new + shift. A
layer trained on old values computes the same on new ones after ratio and shift are folded into it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SpaceChange:
    """Map from normalised values of a new snapshot to those of an old one: x_old = ratio * x_new + shift.

    Attributes:
        ratio: float64, 0-d, above 0. shift: float64 (D,).
    """

    ratio: Tensor
    shift: Tensor

    def inverse(self) -> 'SpaceChange':
        """Returns the map from old to new values."""
        return SpaceChange(1.0 / self.ratio, -self.shift / self.ratio)

    def squared(self) -> 'SpaceChange':
        """Returns the change with ratio and shift squared."""
        return SpaceChange(self.ratio.square(), self.shift.square())

    def projected(self, planes: Tensor) -> 'SpaceChange':
        """Returns the change of x @ planes, with shift (P,); planes (D, P)."""
        return SpaceChange(self.ratio, self.shift @ planes.to(self.shift))

    def to(self, device: torch.device) -> 'SpaceChange':
        """Returns a copy on another device."""
        return SpaceChange(self.ratio.to(device), self.shift.to(device))


# Returns the weights that compute on new values what the given ones compute on old ones. Each new weight is a sum of
# old ones times powers of `ratio` and elements of `shift`, up to a sign: `squared` relies on it.
Fold = Callable[[Mapping[str, Tensor], SpaceChange], dict[str, Tensor]]


def fold_input(weight: Tensor, bias: Tensor, change: SpaceChange) -> tuple[Tensor, Tensor]:
    """Folds a change into weight (H, D + ...) and bias (H,) of a layer whose first D inputs are normalised values."""
    size = len(change.shift)
    ours, others = weight[:, :size], weight[:, size:]
    return torch.cat([change.ratio * ours, others], dim=1), bias + ours @ change.shift


def fold_output(weight: Tensor, bias: Tensor, change: SpaceChange, *, is_difference: bool) -> tuple[Tensor, Tensor]:
    """Folds it into weight (D, H) and bias (D,) of a layer whose outputs are normalised values or differences."""
    return weight / change.ratio, (bias if is_difference else bias - change.shift) / change.ratio


def fold_ends(
    weights: Mapping[str, Tensor], first: str, last: str, change: SpaceChange, *, is_difference: bool
) -> dict[str, Tensor]:
    """Folds a change into the first and the last Linear of a network, by name; other weights are unchanged."""
    weight, bias = fold_input(weights[f'{first}.weight'], weights[f'{first}.bias'], change)
    out, out_bias = fold_output(weights[f'{last}.weight'], weights[f'{last}.bias'], change, is_difference=is_difference)
    own = {f'{first}.weight': weight, f'{first}.bias': bias, f'{last}.weight': out, f'{last}.bias': out_bias}
    return {**weights, **own}


def pull_back(
    fold: Fold, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor], change: SpaceChange
) -> dict[str, Tensor]:
    """Returns J^T gradients by name, float64, where J is the matrix by which `fold` maps weights under a change."""
    at = {name: weight.detach().double().requires_grad_() for name, weight in weights.items()}
    folded = fold(at, change)
    found = torch.autograd.grad(
        [folded[name] for name in at], list(at.values()), [gradients[name].double() for name in at]
    )
    return dict(zip(at, found))
