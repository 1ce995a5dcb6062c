"""R3D-18: short clips instead of single images."""

from typing import ClassVar

import torch
from torch import nn

from ..backbones import pooled
from ..torch_encoder import EncoderNetwork, TorchEncoder


class R3D18(TorchEncoder):
    """512 pooled features of 8 frames; the projection is the identity. Mean and deviation are Kinetics'."""

    name: ClassVar[str] = 'r3d_18'
    published: ClassVar[str] = 'KINETICS400_V1'
    frames: ClassVar[int] = 8
    mean: ClassVar[tuple[float, float, float]] = (0.43216, 0.394666, 0.37645)
    deviation: ClassVar[tuple[float, float, float]] = (0.22803, 0.22145, 0.216989)
    memory_format: ClassVar[torch.memory_format] = torch.channels_last_3d

    @classmethod
    def build(cls) -> EncoderNetwork:
        return EncoderNetwork(pooled(cls.name), nn.Identity())


ENCODER = R3D18
