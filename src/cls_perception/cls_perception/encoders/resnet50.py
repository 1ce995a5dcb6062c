"""ResNet50 with a seeded linear projection: the reference's eyes (rows 000-002 to 000-006)."""

from typing import ClassVar

from torch import nn

from ..backbones import pooled
from ..encoder import EMBEDDING_SIZE
from ..torch_encoder import Network, TorchEncoder


class ResNet50(TorchEncoder):
    """2048 pooled features, projected to 512 by 1,049,088 seeded parameters."""

    name: ClassVar[str] = 'resnet50'
    # What the reference's `pretrained=True` means.
    published: ClassVar[str] = 'IMAGENET1K_V1'

    @classmethod
    def build(cls) -> Network:
        return Network(pooled(cls.name), nn.Linear(2048, EMBEDDING_SIZE))


ENCODER = ResNet50
