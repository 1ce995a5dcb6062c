"""The contract of the two networks: an autoencoder of pictures, and a predictor of its tokens.

Shapes: B batch, H x W picture, N tokens of width D, C pictures of context, A length of an action, E members.
Pictures are float32 (B, 3, H, W) in 0..1, actions float32 (B, A) in -1..1. What a decoder gives becomes a picture by
the loss that trained it (`picture_losses`): as it is for the squared error, through a sigmoid for the cross-entropy.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import nn, Tensor


class Predicted(NamedTuple):
    """What a predictor gives for each of B histories.

    Attributes:
        tokens: float32 (B, N, D), of the picture after the last action.
        attention: of each layer, float32 (B, heads, S, S) over a sequence of S tokens; empty unless requested, or where
            the predictor has no attention.
    """

    tokens: Tensor
    attention: tuple[Tensor, ...] = ()


class Autoencoder(nn.Module, ABC):
    """Codes a picture as tokens, and back.

    Attributes:
        size: (H, W) of pictures. tokens, width: N and D.
        masks: whether `reconstruct` can hide a share of the picture.
    """

    size: tuple[int, int]
    tokens: int
    width: int
    masks: bool = True

    def begin_at(self, output: Tensor) -> None:
        """Lets an untrained decoder give the same output (3,) everywhere, where the network supports it."""

    @abstractmethod
    def encode(self, pictures: Tensor) -> Tensor:
        """Returns tokens (B, N, D) of pictures (B, 3, H, W), of which nothing is hidden."""

    @abstractmethod
    def decode(self, tokens: Tensor) -> Tensor:
        """Returns the decoder's output (B, 3, H, W) for tokens (B, N, D)."""

    @abstractmethod
    def reconstruct(self, pictures: Tensor, hidden: float, generator: np.random.Generator) -> Tensor:
        """Returns the decoder's output (B, 3, H, W) for pictures of which a share of the patches is hidden.

        Args:
            hidden: share of the patches, 0 <= hidden < 1; other patches for each picture.
        """


class Predictor(nn.Module, ABC):
    """Predicts the tokens of the next picture from the tokens before and the actions.

    Attributes:
        context: C, pictures that it is given. members: E, predictions that it makes of each step.
    """

    context: int
    members: int = 1

    @abstractmethod
    def forward(self, tokens: Tensor, actions: Tensor, with_attention: bool = False) -> Predicted:
        """Predicts one step.

        Args:
            tokens: float32 (B, C, N, D), oldest first; fewer than `context` pictures are allowed.
            actions: float32 (B, C, A), the action taken at each picture; the last one's outcome is predicted.
        """

    def each_member(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """Returns the tokens that each member predicts, float32 (E, B, N, D)."""
        predicted: Tensor = self(tokens, actions).tokens
        return predicted[None]

    def by_member(self, tokens: Tensor, actions: Tensor, chosen: Tensor) -> Tensor:
        """Returns the tokens (B, N, D) that one member predicts for each row, its number in `chosen`, int (B,)."""
        members = self.each_member(tokens, actions)
        return members[chosen, torch.arange(len(chosen))]

    def sweep(self, tokens: Tensor, earlier: Tensor, candidates: Tensor) -> Tensor:
        """Returns what each member predicts for K possible last actions, float32 (E, K, N, D).

        Args:
            tokens: float32 (1, C, N, D). earlier: float32 (1, C - 1, A), actions before. candidates: float32 (K, A).
        """
        count = len(candidates)
        actions = torch.cat([earlier.expand(count, -1, -1), candidates[:, None]], 1)
        return self.each_member(tokens.expand(count, -1, -1, -1), actions)
