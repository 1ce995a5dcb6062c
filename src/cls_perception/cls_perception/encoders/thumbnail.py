"""A grey thumbnail: a minimal encoder, as a baseline for others."""

from typing import ClassVar

import torch
from torch import nn

from ..encoder import EMBEDDING_SIZE
from ..small_images import SmallImageEncoder
from ..torch_encoder import EncoderNetwork

_ROWS, _COLUMNS = 12, 16


class Grey(nn.Module):
    """Brightness of 16 x 12 cells, by the weights of ITU-R BT.601."""

    weight: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('weight', torch.tensor([0.299, 0.587, 0.114]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (B, 3, 96, 96) to brightnesses (B, 192)."""
        grey = (images * self.weight[:, None, None]).sum(1, keepdim=True)
        cells: torch.Tensor = nn.functional.adaptive_avg_pool2d(grey, (_ROWS, _COLUMNS)).flatten(1)  # (B, 192)
        return cells


class Thumbnail(SmallImageEncoder):
    """192 brightnesses, seeded projection to 512. The first component is the brightness of the image."""

    name: ClassVar[str] = 'thumbnail'

    @classmethod
    def build(cls) -> EncoderNetwork:
        return EncoderNetwork(Grey(), nn.Linear(_ROWS * _COLUMNS, EMBEDDING_SIZE))


ENCODER = Thumbnail
