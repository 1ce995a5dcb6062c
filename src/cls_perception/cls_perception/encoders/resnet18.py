"""ResNet18: 512 pooled features, without projection."""

from typing import ClassVar

from torch import nn

from ..backbones import pooled
from ..torch_encoder import EncoderNetwork, TorchEncoder


class ResNet18(TorchEncoder):
    """512 pooled features; the projection is the identity."""

    name: ClassVar[str] = 'resnet18'
    published: ClassVar[str] = 'IMAGENET1K_V1'

    @classmethod
    def build(cls) -> EncoderNetwork:
        return EncoderNetwork(pooled(cls.name), nn.Identity())


ENCODER = ResNet18
