"""Losses of pictures by name, and the picture that a decoder's output means.

Pictures and outputs are float32 (B, 3, H, W); pictures are in 0..1.
"""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import nn, Tensor

SQUARED, CROSS_ENTROPY, AUTOMATIC = 'squared', 'cross_entropy', 'automatic'
# A picture of which so many pixels are nearly black or white counts as one of two values.
_EXTREME, _SHARE = 0.1, 0.95
# As the original system's later versions had them.
_WEIGHT, _FOCAL, _SHARPNESS = 100.0, 0.9, 5.0
# Limits of a mean before its logit is taken.
_LOWEST: Final = 1e-3


def squared(output: Tensor, picture: Tensor) -> Tensor:
    """Returns the mean squared error."""
    return (output - picture).square().mean()


def cross_entropy(output: Tensor, picture: Tensor) -> Tensor:
    """Returns the cross-entropy, nats a pixel, of the output as logits.

    Its gradient for a missed bright pixel does not vanish where nearly all others are dark.
    """
    return nn.functional.binary_cross_entropy_with_logits(output, picture)


def weighted(output: Tensor, picture: Tensor) -> Tensor:
    """Returns the squared error, in which pixels brighter than 0.5 count 100 times."""
    weight = 1.0 + (_WEIGHT - 1.0) * (picture > 0.5)
    return (weight * (output - picture).square()).mean()


def focal(output: Tensor, picture: Tensor) -> Tensor:
    """Returns 0.1 x the squared error + 0.9 x the squared error with weights exp(5 |error|) (held constant)."""
    error = output - picture
    weight = torch.exp(_SHARPNESS * error.detach().abs().clamp(max=1.0))
    return (1 - _FOCAL) * error.square().mean() + _FOCAL * (weight * error.square()).mean()


PICTURE_LOSSES: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {
    SQUARED: squared, CROSS_ENTROPY: cross_entropy, 'weighted': weighted, 'focal': focal,
}  # fmt: skip


def picture_of(loss: str, output: Tensor) -> Tensor:
    """Returns the picture that an output means, in 0..1 for logits."""
    return output.sigmoid() if loss == CROSS_ENTROPY else output


def chosen(loss: str, picture: Tensor) -> str:
    """Returns the loss for pictures like this one: with `automatic`, the cross-entropy where it has two values only."""
    if loss != AUTOMATIC:
        return loss
    is_extreme = (picture < _EXTREME) | (picture > 1 - _EXTREME)
    return CROSS_ENTROPY if float(is_extreme.float().mean()) >= _SHARE else SQUARED


def output_at_mean(loss: str, picture: Tensor) -> Tensor:
    """Returns the output (3,) that means the mean colour of pictures (B, 3, H, W)."""
    mean = picture.mean((0, 2, 3))
    return mean.clamp(_LOWEST, 1 - _LOWEST).logit() if loss == CROSS_ENTROPY else mean
