"""Untrained encoder: opponent colours and edges in wide receptive fields, as in early vision."""

import math
from typing import ClassVar, Final

import torch
from torch import nn

from ..encoder import EMBEDDING_SIZE
from ..receptive_fields import Isometry, ReceptiveFields
from ..small_images import SIDE, SmallImageEncoder
from ..torch_encoder import EncoderNetwork

# Fields per row for colour, which is smooth in space, and for edges.
_COLOUR_FIELDS, _EDGE_FIELDS, _WIDTH = 6, 3, 0.8
_DARK: Final = 16.0 / 255.0  # added before the logarithm, so that noise in dark areas does not appear as colour
_BLUR: Final = 2.0  # pixels, for edges: suppresses noise of a few grey levels
# Typical deviation of each channel's features in the simulated rooms, to weight them equally; edges have a lower
# weight, since they are the hardest to predict.
_COLOUR_SCALES: Final = (1.2, 0.9, 1.0)
_EDGE_SCALES: Final = (0.04, 0.024, 0.018)
_EDGE_SHARE: Final = 0.25


class EarlyVision(nn.Module):
    """Logarithmic opponent colours without the image's mean brightness, and the strength of their edges.

    A change of exposure adds a constant to the logarithmic brightness and nothing to the colours, so it is removed by
    subtracting the mean.
    """

    opponent: torch.Tensor
    blur: torch.Tensor
    slope: torch.Tensor
    colour_scale: torch.Tensor
    edge_scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        axes = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]])
        self.register_buffer('opponent', axes / torch.tensor([3.0, math.sqrt(2.0), math.sqrt(6.0)])[:, None])
        blur = ReceptiveFields(SIDE, SIDE, _BLUR).weight
        self.register_buffer('blur', blur[1:-1])  # (94, 96)
        self.register_buffer('slope', blur[2:] - blur[:-2])
        self.register_buffer('colour_scale', 1.0 / torch.tensor(_COLOUR_SCALES))
        self.register_buffer('edge_scale', _EDGE_SHARE / torch.tensor(_EDGE_SCALES))
        self.colour_fields = ReceptiveFields(SIDE, _COLOUR_FIELDS, _WIDTH)
        self.edge_fields = ReceptiveFields(SIDE - 2, _EDGE_FIELDS, _WIDTH)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (B, 3, 96, 96) in 0..1 to features (B, 162)."""
        colours = torch.einsum('oc,bchw->bohw', self.opponent, (images + _DARK).log())
        across = (self.blur @ colours @ self.slope.T).abs()  # (B, 3, 94, 94)
        down = (self.slope @ colours @ self.blur.T).abs()
        seen = self.colour_fields(colours)  # (B, 3, 6, 6)
        mean = colours[:, :1].mean((2, 3), keepdim=True)
        seen = torch.cat([seen[:, :1] - mean, seen[:, 1:]], dim=1) * self.colour_scale[:, None, None]
        edges = [self.edge_fields(edge) * self.edge_scale[:, None, None] for edge in (across, down)]
        return torch.cat([part.flatten(1) for part in (seen, *edges)], dim=1)  # (B, 162)


class Retina(SmallImageEncoder):
    """162 features, isometric to 512. The seed rotates the embedding and changes no distance."""

    name: ClassVar[str] = 'retina'

    @classmethod
    def build(cls) -> EncoderNetwork:
        features = 3 * _COLOUR_FIELDS**2 + 6 * _EDGE_FIELDS**2
        return EncoderNetwork(EarlyVision(), Isometry(features, EMBEDDING_SIZE))


ENCODER = Retina
