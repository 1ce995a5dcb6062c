"""A small masked autoencoder (He et al. 2022), trained to reconstruct hidden patches."""

import math
from typing import ClassVar, Final

import torch
from torch import nn

from ..objective import Objective, TrainingBatch
from ..receptive_fields import ReceptiveFields
from ..small_images import SIDE
from ..trained_encoder import TrainedEncoder

_PATCH: Final = 16
_GRID: Final = SIDE // _PATCH  # 6 patches in a row
_WIDTH, _LAYERS, _HEADS = 192, 4, 6
_DECODER_WIDTH, _DECODER_LAYERS, _DECODER_HEADS = 96, 2, 3
_HIDDEN: Final = 0.75  # share of the patches, as in the paper
_FIELDS: Final = 4


class PatchTransformer(nn.Module):
    """Transformer over patches, whose outputs are averaged over 4 x 4 smooth fields."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3 * _PATCH**2, _WIDTH)
        self.layers = _transformer(_WIDTH, _LAYERS, _HEADS)
        self.norm = nn.LayerNorm(_WIDTH)
        self.fields = ReceptiveFields(_GRID, _FIELDS, 0.6)
        self.register_buffer('places', _position_encoding(_WIDTH))

    places: torch.Tensor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (B, 3, 96, 96) in 0..1 to features (B, 3072)."""
        tokens: torch.Tensor = self.norm(self.layers(self.tokens(cut(images))))
        maps = tokens.transpose(1, 2).reshape(-1, _WIDTH, _GRID, _GRID)  # (B, 192, 6, 6)
        pooled: torch.Tensor = self.fields(maps).flatten(1)  # (B, 192 * 4 * 4)
        return pooled

    def tokens(self, patches: torch.Tensor) -> torch.Tensor:
        """Returns patches (B, 36, 768) as tokens with position encoding, (B, 36, 192)."""
        embedded: torch.Tensor = self.embed(patches) + self.places
        return embedded


class PatchReconstruction(Objective):
    """Reconstruction error of the hidden patches, each in units of its own deviation."""

    def __init__(self, backbone: PatchTransformer) -> None:
        super().__init__(backbone)
        self._transformer_backbone = backbone
        self.narrow = nn.Linear(_WIDTH, _DECODER_WIDTH)
        self.hidden = nn.Parameter(torch.zeros(_DECODER_WIDTH))
        self.layers = _transformer(_DECODER_WIDTH, _DECODER_LAYERS, _DECODER_HEADS)
        self.norm = nn.LayerNorm(_DECODER_WIDTH)
        self.fill = nn.Linear(_DECODER_WIDTH, 3 * _PATCH**2)
        self.register_buffer('places', _position_encoding(_DECODER_WIDTH))

    places: torch.Tensor

    def loss(self, batch: TrainingBatch, draws: torch.Generator) -> torch.Tensor:
        patches = cut(batch.before)  # (B, 36, 768)
        count, number = patches.shape[:2]
        order = torch.rand((count, number), generator=draws).argsort(1).to(patches.device)
        shown = order[:, : round(number * (1.0 - _HIDDEN))]
        tokens = self._transformer_backbone.tokens(patches).gather(1, shown[..., None].expand(-1, -1, _WIDTH))
        seen = self.narrow(self._transformer_backbone.norm(self._transformer_backbone.layers(tokens)))  # (B, 9, 96)
        everywhere = self.hidden.expand(count, number, -1)
        everywhere = everywhere.scatter(1, shown[..., None].expand(-1, -1, _DECODER_WIDTH), seen)
        filled = self.fill(self.norm(self.layers(everywhere + self.places)))
        target = nn.functional.layer_norm(patches, patches.shape[2:])
        is_hidden = torch.ones_like(order, dtype=torch.bool).scatter(1, shown, False)
        error: torch.Tensor = (filled - target)[is_hidden].square().mean()
        return error


class MaskedAutoencoder(TrainedEncoder):
    """Vision transformer, 96 px in patches of 16, width 192, 4 layers, trained with 3 of 4 patches hidden.

    As an encoder it gets all patches. Actions are not used in its training.
    """

    name: ClassVar[str] = 'masked_autoencoder'
    features: ClassVar[int] = _WIDTH * _FIELDS**2
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format

    @classmethod
    def backbone(cls) -> nn.Module:
        return PatchTransformer()

    @classmethod
    def objective(cls, backbone: nn.Module, actions: int) -> Objective:
        assert isinstance(backbone, PatchTransformer)
        return PatchReconstruction(backbone)


def cut(images: torch.Tensor) -> torch.Tensor:
    """Cuts (B, 3, 96, 96) into patches (B, 36, 3 * 16 * 16), row by row, brightness around 0."""
    grid = (images - 0.5).reshape(-1, 3, _GRID, _PATCH, _GRID, _PATCH)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, _GRID**2, 3 * _PATCH**2)


def _transformer(width: int, layers: int, heads: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation='gelu', batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def _position_encoding(width: int) -> torch.Tensor:
    """Returns sines and cosines of row and column of each patch, (36, width)."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(width // 4) / (width // 4))
    rows, columns = torch.meshgrid(torch.arange(_GRID), torch.arange(_GRID), indexing='ij')
    waves = [wave(place.flatten()[:, None] * rates) for place in (rows, columns) for wave in (torch.sin, torch.cos)]
    return torch.cat(waves, dim=1)


ENCODER = MaskedAutoencoder
