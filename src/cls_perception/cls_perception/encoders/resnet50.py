"""ResNet50 with a seeded linear projection: the encoder of the original visual-motor system."""

from typing import ClassVar

from torch import nn

from ..backbones import pooled
from ..encoder import EMBEDDING_SIZE
from ..torch_encoder import EncoderNetwork, TorchEncoder


class ResNet50(TorchEncoder):
    """2048 pooled features, projected to 512 by 1,049,088 seeded parameters."""

    name: ClassVar[str] = 'resnet50'
    # The weights of `pretrained=True` in older torchvision, used in the original system.
    published: ClassVar[str] = 'IMAGENET1K_V1'

    @classmethod
    def build(cls) -> EncoderNetwork:
        return EncoderNetwork(pooled(cls.name), nn.Linear(2048, EMBEDDING_SIZE))


ENCODER = ResNet50
