"""What eyes are trained by: the contract between an encoder that learns and the training."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Views:
    """What a robot saw and did in its first minutes.

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
class Batch:
    """Some steps: images before and after float32 (B, 3, 96, 96) in 0..1, actions float32 (B, A)."""

    before: torch.Tensor
    after: torch.Tensor
    actions: torch.Tensor


class Objective(nn.Module, ABC):
    """A backbone and what is thrown away after training it."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    @abstractmethod
    def loss(self, batch: Batch, draws: torch.Generator) -> torch.Tensor:
        """Returns what is to be made small, 0-d; everything random is drawn from `draws`."""
