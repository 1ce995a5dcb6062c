"""Distributions over numbers of any size (Hafner et al. 2023)."""

import torch
from torch import Tensor

from ...learners.symlog import symexp, symlog

BINS = 255
_LIMIT = 20.0


def two_hot(x: Tensor) -> Tensor:
    """Returns, for x (...), distributions (..., BINS) over -20 to 20 with mean symlog(x), on two neighbours."""
    position = (symlog(x).clamp(-_LIMIT, _LIMIT) + _LIMIT) * ((BINS - 1) / (2 * _LIMIT))
    below = position.floor().clamp(max=BINS - 2)
    share = (position - below)[..., None]
    index = below.long()[..., None]
    return torch.zeros(*x.shape, BINS).scatter(-1, index, 1.0 - share).scatter(-1, index + 1, share)


def mean_of(logits: Tensor) -> Tensor:
    """Returns symexp of the mean, (...), of distributions (..., BINS) given as logits: exactly 0 for equal ones."""
    share = logits.softmax(-1)
    half = BINS // 2
    bins = torch.linspace(0.0, _LIMIT, half + 1)[1:]
    # Bins of equal size and opposite sign cancel before they are added.
    return symexp(((share[..., half + 1 :] - share[..., :half].flip(-1)) * bins).sum(-1))
