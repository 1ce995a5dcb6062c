"""Contract between a trainable encoder and its training."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class ImagePairs:
    """Images and actions of a robot's first minutes.

    Attributes:
        images: uint8 (N, 3, 96, 96) RGB.
        before, after: int64 (M,), the image before and after each action.
        actions: float32 (M, A) as applied, about -1 to 1.
    """

    images: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor
    actions: torch.Tensor


@dataclass(frozen=True)
class TrainingBatch:
    """A batch of steps: images before and after float32 (B, 3, 96, 96) in 0..1, actions float32 (B, A)."""

    before: torch.Tensor
    after: torch.Tensor
    actions: torch.Tensor


class Objective(nn.Module, ABC):
    """Backbone with its training-only head."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    @abstractmethod
    def loss(self, batch: TrainingBatch, draws: torch.Generator) -> torch.Tensor:
        """Returns the loss, 0-d; all random numbers are drawn from `draws`."""
