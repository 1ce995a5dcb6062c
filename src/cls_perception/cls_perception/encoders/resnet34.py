"""ResNet34: 512 pooled features as they are (row 000-009)."""

from typing import ClassVar

from torch import nn

from ..backbones import pooled
from ..torch_encoder import Network, TorchEncoder


class ResNet34(TorchEncoder):
    """512 pooled features; the projection is the identity."""

    name: ClassVar[str] = 'resnet34'
    published: ClassVar[str] = 'IMAGENET1K_V1'

    @classmethod
    def build(cls) -> Network:
        return Network(pooled(cls.name), nn.Identity())


ENCODER = ResNet34
