"""Embedding of actions, and FiLM: features scaled and shifted by an action (Perez et al. 2018)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn, Tensor

# Length of an embedded action, and of the layer before it.
EMBEDDING = 64
HIDDEN = 128


class ActionEmbedding(nn.Sequential):
    """Embeds actions (..., A) in -1..1 as (..., 64), of mean 0 and variance 1 over the 64."""

    def __init__(self, action_size: int) -> None:
        super().__init__(
            nn.Linear(action_size, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, EMBEDDING), nn.GELU(), nn.LayerNorm(EMBEDDING)
        )


class Film(nn.Module):
    """Scales and shifts features by an embedded action. Untrained it changes nothing: scale 1, shift 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(EMBEDDING, 2 * width)
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.bias.copy_(torch.cat([torch.ones(width), torch.zeros(width)]))

    def forward(self, features: Tensor, embedded: Tensor) -> Tensor:
        """Returns features (B, S, D), all S of them changed by the same action (B, 64)."""
        scale, shift = self.linear(embedded)[:, None].chunk(2, dim=-1)
        return cast(Tensor, features * scale + shift)


def without_last(embedded: Tensor, removed: bool) -> Tensor:
    """Returns embedded actions (B, C, 64), the last one replaced by zeros if `removed`."""
    return torch.cat([embedded[:, :-1], torch.zeros_like(embedded[:, -1:])], 1) if removed else embedded


def check_routes(without: Sequence[str], routes: tuple[str, ...]) -> None:
    """Raises ValueError unless every route to leave out is one by which the last action reaches the prediction."""
    if unknown := set(without) - set(routes):
        raise ValueError(f'{sorted(unknown)}: no such route of the action; these are: {", ".join(routes)}')
