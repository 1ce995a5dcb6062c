"""Encoder without downloads: early random layers keep the camera's pose, deep random ones lose it."""

from typing import ClassVar

import torch
from torch import nn

from ..backbones import classifier
from ..encoder import EMBEDDING_SIZE
from ..torch_encoder import EncoderNetwork, TorchEncoder


class EarlyLayers(nn.Module):
    """Stem and layer1 of a ResNet18, average-pooled to a grid of 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        whole = classifier('resnet18')
        self.conv1, self.bn1, self.relu, self.maxpool = whole.conv1, whole.bn1, whole.relu, whole.maxpool
        self.layer1 = whole.layer1
        self.pool = nn.AdaptiveAvgPool2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (B, 3, 224, 224) to features (B, 1024)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features: torch.Tensor = self.pool(self.layer1(x)).flatten(1)  # (B, 64 * 4 * 4)
        return features


class EarlyResNet18(TorchEncoder):
    """Seeded random, 1024 features, layer norm without affine, seeded projection to 512.

    Always random. Its predicted embeddings keep 61 % of the information on the camera's pose, those of a random
    ResNet50 none, at a seventh of its time.
    """

    name: ClassVar[str] = 'early_resnet18'

    @classmethod
    def build(cls) -> EncoderNetwork:
        return EncoderNetwork(
            EarlyLayers(), nn.Linear(1024, EMBEDDING_SIZE), nn.LayerNorm(1024, elementwise_affine=False)
        )


ENCODER = EarlyResNet18
